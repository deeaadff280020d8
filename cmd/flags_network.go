package cmd

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// networkFlags are the flags of a command that talks to servers.
type networkFlags struct {
	registry registryFlags
	transfer transferFlags
}

func (n *networkFlags) register(c *cobra.Command) {
	n.transfer.register(c)
	n.registry.register(c)
}

// registryFlags are the flags for a registry. The certificates also apply to upstream.
type registryFlags struct {
	// prefix is what the names of the flags begin with.
	prefix                string
	plainHTTP             bool
	insecure              bool
	caFiles               []string
	clientCert, clientKey string
}

// register adds the flags.
func (r *registryFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.BoolVar(&r.plainHTTP, "plain-http", false, "Use HTTP, not HTTPS, for the registry")
	flags.StringArrayVar(&r.caFiles, "ca-file", nil, "`FILE` Also trust the certificate authorities in this PEM file. Those of the system stay trusted.")
	flags.StringVar(&r.clientCert, "client-cert", "", "`FILE` Present this PEM certificate to servers that ask for one")
	flags.StringVar(&r.clientKey, "client-key", "", "`FILE` Private key of the client certificate, in PEM")
	flags.BoolVar(&r.insecure, "insecure-skip-verify", false, "Do not verify the registry's certificate")
	group(flags, registryGroup)
}

// registerSource adds the flags for a registry that is read while another one is written.
func (r *registryFlags) registerSource(c *cobra.Command) {
	r.prefix = "source-"
	flags := c.Flags()
	flags.BoolVar(&r.plainHTTP, "source-plain-http", false, "Like --plain-http, for the registry of BUNDLE")
	flags.StringArrayVar(&r.caFiles, "source-ca-file", nil, "`FILE` Like --ca-file, for the registry of BUNDLE")
	flags.StringVar(&r.clientCert, "source-client-cert", "", "`FILE` Like --client-cert, for the registry of BUNDLE")
	flags.StringVar(&r.clientKey, "source-client-key", "", "`FILE` Like --client-key, for the registry of BUNDLE")
	flags.BoolVar(&r.insecure, "source-insecure-skip-verify", false, "Like --insecure-skip-verify, for the registry of BUNDLE")
	group(flags, "If BUNDLE is in a registry")
}

func (r *registryFlags) identity() transfer.Identity {
	return transfer.Identity{CAFiles: r.caFiles, CertFile: r.clientCert, KeyFile: r.clientKey, FlagPrefix: r.prefix}
}

func (r *registryFlags) client(o transfer.Options, parallel int, p *progress) *registry.Client {
	return registry.New(registry.Config{
		Options: o, PlainHTTP: r.plainHTTP, Insecure: r.insecure, FlagPrefix: r.prefix, Parallel: parallel, Retrying: p.retrying,
		Waiting: func(subject string) { p.observe(mirror.Waiting(subject)) },
	})
}

type transferFlags struct {
	via               []string
	parallel, retries int
	stall, maxWait    time.Duration
	rate              byteCount
	maxSize           byteCount
}

func (t *transferFlags) register(c *cobra.Command) {
	c.Flags().StringArrayVar(&t.via, "via", nil, "`PREFIX=PREFIX` Download through a proxy repository. A repository in Nexus or Artifactory is one. A URL that begins with the first prefix is read from the second one instead. Prefixes are https:// for files and git repositories, docker:// for images. The longest match wins.")
	c.Flags().IntVar(&t.parallel, "parallel", 4, "`N` Transfer this many files at the same time")
	c.Flags().IntVar(&t.retries, "retries", transfer.DefaultRetries, "`N` Repeat a failed request up to this many times in a row. The default pauses for one to two minutes in all.")
	c.Flags().DurationVar(&t.maxWait, "max-wait", transfer.DefaultMaxWait, "`DURATION` Wait at most this long if a server asks for a pause. Servers do so after a rate limit. If a server asks for more, the command fails at once.")
	c.Flags().DurationVar(&t.stall, "stall-timeout", transfer.DefaultIdleTimeout, "`DURATION` Reconnect if a transfer stands still for this long. The whole transfer may take any time.")
	t.rate.kind = "rate"
	c.Flags().Var(&t.rate, "max-rate", "`RATE` Limit the rate of all transfers together. Write bytes a second like 500KB or 2MiB. (default: no limit)")
	group(c.Flags(), networkGroup)
}

func (t transferFlags) check() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"parallel", t.parallel}, {"retries", t.retries}} {
		if c := constraints[f.name]; f.value < c.Min || f.value > c.Max {
			return fault.New(fault.Usage, "--%s must be between %d and %d, not %d", f.name, c.Min, c.Max, f.value)
		}
	}
	if t.stall < minStall {
		return fault.New(fault.Usage, "--stall-timeout must be at least %s, not %s", minStall, t.stall).
			WithHint("the default is 30s; a slow transfer is not cut off as long as it moves")
	}
	if t.maxWait <= 0 {
		return fault.New(fault.Usage, "--max-wait must be more than 0, not %s", t.maxWait).
			WithHint("the default is 5m; --retries 0 never waits")
	}
	return nil
}

// byteCount is the value of a flag: a number of bytes, or of bytes per second.
type byteCount struct {
	// kind is size or rate.
	kind  string
	text  string
	bytes int64
}

func (b *byteCount) String() string { return b.text }

func (b *byteCount) Type() string { return b.kind }

func (b *byteCount) Set(text string) error {
	number, least := text, uint64(1)
	problem := errors.New("it is not a number of bytes, such as 500MB or 2GiB")
	if b.kind == "rate" {
		number, least = strings.TrimSuffix(text, "/s"), minRate
		problem = fmt.Errorf("it is not a number of bytes a second, such as 500KB, 2MiB or 1.5MB, of at least %d", minRate)
	}
	n, err := humanize.ParseBytes(number)
	if err != nil || strings.Contains(text, ",") || n < least || n > math.MaxInt64 {
		return problem
	}
	b.text, b.bytes = text, int64(n)
	return nil
}

func (t *transferFlags) registerMaxSize(c *cobra.Command) {
	t.maxSize = byteCount{"size", "1GiB", fetch.DefaultMaxBytes}
	c.Flags().Var(&t.maxSize, "max-size", "`SIZE` Refuse to download a larger file. Write sizes like 500MB or 2GiB.")
	group(c.Flags(), networkGroup)
}

// minRate is a rate at which even a handshake would take seconds.
const minRate = 1000

// minStall is the shortest silence that means anything.
const minStall = time.Second

func (t transferFlags) options(version string) transfer.Options {
	retries := t.retries
	if retries == 0 {
		retries = -1 // there, 0 stands for the default
	}
	o := transfer.Options{
		UserAgent: "botkube-mirror/" + version, Retry: transfer.Retry{Limit: retries, MaxWait: t.maxWait}, IdleTimeout: t.stall,
	}
	if t.rate.bytes > 0 {
		o.Limit = transfer.NewLimiter(t.rate.bytes)
	}
	return o
}

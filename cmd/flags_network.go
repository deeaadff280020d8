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

// networkFlags are those of a command that talks to servers.
type networkFlags struct {
	registry registryFlags
	transfer transferFlags
}

func (n *networkFlags) register(c *cobra.Command) {
	n.registry.register(c, "", "the registry", "")
	n.transfer.register(c)
}

// registryFlags are for registries. Their certificates and authorities count for upstream, too.
type registryFlags struct {
	// prefix begins the names of the flags.
	prefix                string
	plainHTTP             bool
	insecure              bool
	caFiles               []string
	clientCert, clientKey string
}

// register adds the flags. Their help names the registry by which, and ends in where if a flag counts
// for other servers as well.
func (r *registryFlags) register(c *cobra.Command, prefix, which, where string) {
	r.prefix = prefix
	flags := c.Flags()
	flags.BoolVar(&r.plainHTTP, prefix+"plain-http", false, "speak http to "+which)
	flags.StringArrayVar(&r.caFiles, prefix+"ca-file", nil, "`FILE` of authorities in PEM form to trust beside the system's"+where+"; repeatable")
	flags.StringVar(&r.clientCert, prefix+"client-cert", "", "`FILE` of a certificate in PEM form, for servers that ask who this is"+where)
	flags.StringVar(&r.clientKey, prefix+"client-key", "", "`FILE` of the certificate's private key in PEM form")
	flags.BoolVar(&r.insecure, prefix+"insecure-skip-verify", false, "do not verify the certificate of "+which)
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
	c.Flags().StringArrayVar(&t.via, "via", nil, "`PREFIX=PREFIX`: download URLs that begin with the first prefix from the second one, such as a proxy repository of Artifactory or Nexus; https:// for files and git repositories, docker:// for images; repeatable, the longest match wins")
	c.Flags().IntVar(&t.parallel, "parallel", 4, "how many files to transfer at a time")
	c.Flags().IntVar(&t.retries, "retries", transfer.DefaultRetries, "how often in a row an attempt over a network may fail before a command gives up; the pauses between take one to two minutes by default")
	c.Flags().DurationVar(&t.maxWait, "max-wait", transfer.DefaultMaxWait, "longest `DURATION` for which a server may ask to be left alone, as after a rate limit; a command gives up at once if a server asks for more")
	c.Flags().DurationVar(&t.stall, "stall-timeout", transfer.DefaultIdleTimeout, "`DURATION` that a connection may move nothing before it is dropped and the attempt repeated, of the form 30s or 2m; there is no limit on the time that the whole takes")
	t.rate.kind = "rate"
	c.Flags().Var(&t.rate, "max-rate", "`RATE` of bytes a second that all downloads and uploads together move at most, of the form 500KB or 2MiB (default: no limit)")
}

func (t transferFlags) check() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"parallel", t.parallel}, {"retries", t.retries}} {
		if c := constraints[f.name]; f.value < c.Min || f.value > c.Max {
			return fault.New(fault.Usage, "--%s %d is not between %d and %d", f.name, f.value, c.Min, c.Max)
		}
	}
	if t.stall < minStall {
		return fault.New(fault.Usage, "--stall-timeout %s is not at least %s", t.stall, minStall).
			WithHint("30s is the default; a line that is slow but moves is never dropped")
	}
	if t.maxWait <= 0 {
		return fault.New(fault.Usage, "--max-wait %s is not more than 0", t.maxWait).
			WithHint("5m is the default; --retries 0 waits for nothing")
	}
	return nil
}

// byteCount is the value of a flag: a number of bytes, or of bytes a second.
type byteCount struct {
	// kind is what help calls the value: size, or rate.
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
	c.Flags().Var(&t.maxSize, "max-size", "most that one file may have, as a `SIZE` of the form 500MB or 2GiB: a larger one is not downloaded")
}

// minRate is a rate at which even a handshake would take seconds.
const minRate = 1000

// minStall is the shortest time after which silence means anything.
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

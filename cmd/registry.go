package cmd

import (
	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/registry"
)

// registryFlags say how to talk to registries.
type registryFlags struct {
	// prefix begins the names of the flags.
	prefix    string
	plainHTTP bool
	caFile    string
	insecure  bool
}

func (r *registryFlags) register(c *cobra.Command) { r.registerAs(c, "", "the registry") }

// registerAs registers the flags with a prefix, for the registry that is named.
func (r *registryFlags) registerAs(c *cobra.Command, prefix, which string) {
	r.prefix = prefix
	flags := c.Flags()
	flags.BoolVar(&r.plainHTTP, prefix+"plain-http", false, "speak http to "+which)
	flags.StringVar(&r.caFile, prefix+"ca-file", "", "`FILE` of authorities in PEM form that may sign the certificate of "+which+", beside the system's")
	flags.BoolVar(&r.insecure, prefix+"insecure-skip-verify", false, "do not verify the certificate of "+which)
}

// sourcePrefix begins the flags of the registry that a push reads from.
const sourcePrefix = "source-"

// registerSource registers the flags of the registry that a push reads from.
func (r *registryFlags) registerSource(c *cobra.Command) {
	r.registerAs(c, sourcePrefix, "the registry that is read (docker://)")
}

func (r *registryFlags) client(version string, transfer transferFlags, p *progress) (*registry.Client, error) {
	return registry.New(registry.Config{
		PlainHTTP: r.plainHTTP, CAFile: r.caFile, Insecure: r.insecure, FlagPrefix: r.prefix,
		UserAgent: "botkube-mirror/" + version, Retries: transfer.attempts(), StallTimeout: transfer.stall, Limit: transfer.rate.limit, Retrying: p.retrying, Waiting: p.waiting,
	})
}

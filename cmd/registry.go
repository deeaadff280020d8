package cmd

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/registry"
)

// registryFlags say how to talk to registries.
type registryFlags struct {
	plainHTTP bool
	caFile    string
	insecure  bool
}

func (r *registryFlags) register(c *cobra.Command) { r.registerAs(c, "", "the registry") }

// registerAs registers the flags with a prefix, for the registry that is named.
func (r *registryFlags) registerAs(c *cobra.Command, prefix, which string) {
	flags := c.Flags()
	flags.BoolVar(&r.plainHTTP, prefix+"plain-http", false, "speak http to "+which)
	flags.StringVar(&r.caFile, prefix+"ca-file", "", "`FILE` of authorities in PEM form that may sign the certificate of "+which+", beside the system's")
	flags.BoolVar(&r.insecure, prefix+"insecure-skip-verify", false, "do not verify the certificate of "+which)
}

// sourcePrefix begins the flags of the registry that a push reads from.
const sourcePrefix = "source-"

// registerSource registers the flags of the registry that is read.
func (r *registryFlags) registerSource(c *cobra.Command) {
	r.registerAs(c, sourcePrefix, "the registry that docker:// names, if it is not as the other")
}

// orElse returns the flags, with those of another registry for what was not given.
func (r registryFlags) orElse(c *cobra.Command, other registryFlags) registryFlags {
	given := func(name string) bool { return c.Flags().Changed(sourcePrefix + name) }
	if !given("plain-http") {
		r.plainHTTP = other.plainHTTP
	}
	if !given("ca-file") {
		r.caFile = other.caFile
	}
	if !given("insecure-skip-verify") {
		r.insecure = other.insecure
	}
	return r
}

func (r *registryFlags) client(version string, transfer transferFlags, retrying func(string, error, time.Duration)) (*registry.Client, error) {
	return registry.New(registry.Config{
		PlainHTTP: r.plainHTTP, CAFile: r.caFile, Insecure: r.insecure,
		UserAgent: "botkube-mirror/" + version, Retries: transfer.attempts(), Retrying: retrying,
	})
}

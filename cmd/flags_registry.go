package cmd

import (
	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// registryFlags say how to talk to registries. Their certificates and authorities count
// for upstream, too.
type registryFlags struct {
	// prefix begins the names of the flags.
	prefix                string
	plainHTTP             bool
	insecure              bool
	caFiles               []string
	clientCert, clientKey string
}

// register registers the flags with a prefix, for the registry called which. Where is
// added to flags that count for other servers as well.
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

func (r *registryFlags) client(o transfer.Options, p *progress) *registry.Client {
	return registry.New(registry.Config{
		Options: o, PlainHTTP: r.plainHTTP, Insecure: r.insecure, FlagPrefix: r.prefix, Retrying: p.retrying,
		Waiting: func(subject string) { p.observe(mirror.Waiting(subject)) },
	})
}

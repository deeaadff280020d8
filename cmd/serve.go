package cmd

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/serve"
)

func serveCommand(g *global) *cobra.Command {
	var o mirror.ServeOptions
	c := &cobra.Command{
		Use:   "serve TARGET",
		Short: "Serve a bundle or a site to agents over HTTP(S)",
		Long: `Serve what agents with an empty cache download: indexes that name files of this
server only, and the files as their publishers made them. The URLs are those of
a site (pull -o site:DIR), so a server can replace a site, and a site a server.

TARGET is a bundle (a file or a layout directory), a directory with several of
them, one for each version, a site, or SITE/VERSION. serve notices what is
added, replaced or removed there. It serves a new version once all of its files
are there and right. SIGHUP looks for changes at once.

URLs in indexes begin with --base-url or, without it, with the host that the
agent asked. Give it if a proxy ends TLS or has another name: X-Forwarded-Host
and the like are ignored.

A file is compared with its digest before it is served for the first time, and
again when it was changed since. Standard error has a line for each request; -q
leaves them out. /healthz is answered with 200, and so is /readyz if there is
something to serve. / is a page for people: versions, Helm values, files and
checksums.

With --htpasswd, every path but /healthz and /readyz needs a user and a
password. --metrics is a second address, for Prometheus and probes.

SIGTERM and SIGINT end it: downloads that have begun may come to their end, then
the exit code is 0. A second signal kills.`,
		Example: `  botkube-mirror serve bundle.tar --listen :8080
  botkube-mirror serve /srv/bundles --listen :8443 --tls-cert tls.crt --tls-key tls.key
  botkube-mirror serve /srv/www --base-url https://mirror.example.com/botkube`,
		Args: exactArgs("TARGET"),
		RunE: func(c *cobra.Command, args []string) error {
			o.Target = args[0]
			if err := checkServe(o); err != nil {
				return err
			}
			return g.serve(c, o)
		},
	}
	c.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:8080", "`HOST:PORT` to accept connections at; without a host, at every interface; port 0 is one that is free")
	c.Flags().StringVar(&o.BaseURL, "base-url", "", "`URL` at which agents reach the server, if that is not the host that they ask")
	c.Flags().StringVar(&o.TLSCert, "tls-cert", "", "`FILE` of the certificate in PEM, with those between it and its authority; it is read again when it changes")
	c.Flags().StringVar(&o.TLSKey, "tls-key", "", "`FILE` of the certificate's private key in PEM")
	c.Flags().StringVar(&o.Htpasswd, "htpasswd", "", "`FILE` of users and passwords that agents need, as htpasswd -B writes it; it is read again when it changes")
	c.Flags().StringVar(&o.Metrics, "metrics", "", "`HOST:PORT` of metrics for Prometheus, over HTTP, and of an answer to probes, however busy the server is")
	c.Flags().IntVar(&o.Connections, "max-connections", 4096, "most `NUMBER` of open connections; at most half as many as the process may have files open")
	c.Flags().IntVar(&o.ConnectionsOfAddress, "max-connections-per-client", 0, "most `NUMBER` of open connections from one IPv4 address or one IPv6 network of 64 bits; 0 is three quarters of all")
	c.Flags().DurationVar(&o.Interval, "watch", 5*time.Second, "`DURATION` between two looks for changes of TARGET; 0 looks at SIGHUP only")
	c.Flags().DurationVar(&o.Grace, "grace", 5*time.Minute, "`DURATION` for which a replaced or removed version can still be downloaded")
	c.Flags().DurationVar(&o.ShutdownTimeout, "shutdown-timeout", 30*time.Second, "`DURATION` that downloads may go on once the server is told to end, of the form 30s or 2m")
	return c
}

// minWatch is how often the target may be looked at.
const minWatch = 10 * time.Millisecond

func checkServe(o mirror.ServeOptions) error {
	switch {
	case o.TLSCert != "" && o.TLSKey == "":
		return fault.New(fault.Usage, "--tls-cert has no --tls-key").WithHint("name the file of the certificate's private key: --tls-key FILE")
	case o.TLSKey != "" && o.TLSCert == "":
		return fault.New(fault.Usage, "--tls-key has no --tls-cert").WithHint("name the file of the certificate: --tls-cert FILE")
	case o.Interval < 0 || o.Interval > 0 && o.Interval < minWatch:
		return fault.New(fault.Usage, "--watch %s is less than %s", o.Interval, minWatch).WithHint("0 looks for changes at SIGHUP only; 5s is the default")
	case o.Connections < 1:
		return fault.New(fault.Usage, "--max-connections %d is not positive", o.Connections).WithHint("4096 is the default")
	case o.ConnectionsOfAddress < 0:
		return fault.New(fault.Usage, "--max-connections-per-client %d is negative", o.ConnectionsOfAddress).WithHint("0 is three quarters of --max-connections")
	case o.Grace < 0:
		return fault.New(fault.Usage, "--grace %s is negative", o.Grace).WithHint("0 ends a version at once; 5m is the default")
	case o.ShutdownTimeout < 0:
		return fault.New(fault.Usage, "--shutdown-timeout %s is negative", o.ShutdownTimeout).WithHint("0 cuts downloads at once; 30s is the default")
	}
	return nil
}

func (g *global) serve(c *cobra.Command, o mirror.ServeOptions) error {
	out := newLineWriter(g.env.Stderr)
	defer out.close()
	log := &serverLog{out: out, quiet: g.quiet, probes: g.verbose}
	if g.logFormat == "json" {
		log.json = jsonLog(out)
	}
	o.Access, o.Problem = log.access, log.problem
	o.Refused = func(err error) {
		if !g.quiet {
			log.problem(err)
		}
	}
	o.Changed, o.Program = log.changed, programVersion(g.env.Version)
	o.Hangup = hangup(c.Context())
	o.Started = func(s *serve.Serving) error {
		return g.print(s, func(out *layout) { out.raw(servingSummary(s)) })
	}
	p := g.events()
	defer p.close()
	return (&mirror.Session{Parallel: 1, Observe: p.observe}).Serve(c.Context(), o)
}

func servingSummary(s *serve.Serving) string {
	var out strings.Builder
	fmt.Fprintf(&out, "serving %s (%s) at %s\n", s.Target, forms.All.NameOf(s.Kind), s.Address)
	if s.Metrics != "" {
		fmt.Fprintf(&out, "metrics: %s\n", s.Metrics)
	}
	for _, path := range s.Ignored {
		fmt.Fprintf(&out, "note: %s is no bundle, and left out\n", tameName(path))
	}
	base := s.BaseURL
	if base == "" {
		base = s.Scheme + "://HOST" + s.Address[strings.LastIndexByte(s.Address, ':'):]
	}
	if len(s.Versions) == 0 {
		fmt.Fprintf(&out, "nothing to serve yet: waiting for a bundle or a site in %s\n", tameName(s.Target))
		return out.String()
	}
	out.WriteString("in the agent's Helm values, set those of one version:\n")
	for _, v := range s.Versions {
		fmt.Fprintf(&out, "%s for %s\n", v.Tag, agent.JoinPlatforms(v.Platforms))
		indexes := map[string]string{}
		for name, path := range v.Paths {
			indexes[name] = cmp.Or(v.Indexes[name], base+path)
		}
		var templates []form.Template
		for _, t := range v.Templates {
			templates = append(templates, form.Template{Plugin: t.Plugin, Ref: t.Ref, URL: cmp.Or(t.URL, base+t.Path)})
		}
		out.WriteString(site.Settings(indexes, templates))
		fmt.Fprintf(&out, "  these, and the others that it needs: botkube-mirror values %s --base-url %s --values YOURS.yaml\n", tameName(v.Source), base)
	}
	if s.BaseURL == "" {
		out.WriteString("HOST is what agents call this machine\n")
	}
	return out.String()
}

package cmd

import (
	"cmp"
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
		Long: `Serve the plugin index, plugins and dependencies to agents that download them.
TARGET is a bundle (a file or a directory), a site, one version of a site
(SITE/VERSION), or a directory with a bundle for each version.

A server and a site (pull -o site:DIR) have the same URLs, so one can replace
the other. Indexes name files of this server only. Their URLs begin with
--base-url or, without it, with the host that the agent asked for. Give
--base-url if a proxy ends TLS or has another name, because X-Forwarded-Host and
similar headers are ignored.

Every file is compared with its checksum before it is served for the first time,
and again after a change. You may add, replace and remove bundles at any time. A
new version is served once all its files are complete and correct.

These paths are not for agents:

  /         a page for people: versions, Helm values, files and checksums
  /healthz  200 while the server runs
  /readyz   200 if there is a version to serve

With --htpasswd, all paths except /healthz and /readyz need a user and password.
Standard error has a line for each request; --quiet turns them off.

SIGHUP looks for changes at once. SIGTERM and SIGINT let downloads finish, and
the exit code is 0. A second signal ends serve at once.`,
		Example: `  botkube-mirror serve bundle.tar --listen :8080

  # a directory with several bundles, with TLS
  botkube-mirror serve /srv/bundles --listen :8443 \
    --tls-cert tls.crt --tls-key tls.key

  # a site, behind a proxy
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
	flags := c.Flags()
	flags.StringVar(&o.Listen, "listen", "127.0.0.1:8080", "`HOST:PORT` Accept connections at this address. Without HOST, every interface is used. Port 0 is any free port.")
	flags.StringVar(&o.BaseURL, "base-url", "", "`URL` URL under which agents reach this server (default: the host that the agent asks for)")
	flags.StringVar(&o.Metrics, "metrics", "", "`HOST:PORT` Serve metrics for Prometheus here, over HTTP. Probes are answered here too, however busy the server is.")
	group(flags, "Addresses")
	flags.StringVar(&o.TLSCert, "tls-cert", "", "`FILE` Serve HTTPS with this certificate chain (PEM). A changed file is read again.")
	flags.StringVar(&o.TLSKey, "tls-key", "", "`FILE` Private key of the certificate, in PEM")
	flags.StringVar(&o.Htpasswd, "htpasswd", "", "`FILE` Ask agents for a user and password from this file. htpasswd -B writes it. A changed file is read again.")
	group(flags, "TLS and passwords")
	flags.IntVar(&o.Connections, "max-connections", 4096, "`N` Accept at most this many connections. Half the number of files that the process may open is the upper bound.")
	flags.IntVar(&o.ConnectionsOfAddress, "max-connections-per-client", 0, "`N` Accept at most this many from one client. A client is an IPv4 address or a /64 network of IPv6. (default: three quarters of --max-connections)")
	flags.DurationVar(&o.Interval, "watch", 5*time.Second, "`DURATION` Look for changes of TARGET this often. With 0, only SIGHUP does.")
	flags.DurationVar(&o.Grace, "grace", 5*time.Minute, "`DURATION` Keep serving a replaced or removed version for this long")
	flags.DurationVar(&o.ShutdownTimeout, "shutdown-timeout", 30*time.Second, "`DURATION` Let downloads go on for this long after SIGTERM")
	group(flags, "Limits and times")
	return c
}

// minWatch is the shortest time between two looks at the target.
const minWatch = 10 * time.Millisecond

func checkServe(o mirror.ServeOptions) error {
	switch {
	case o.TLSCert != "" && o.TLSKey == "":
		return fault.New(fault.Usage, "--tls-cert needs --tls-key").WithHint("name the file of the certificate's private key: --tls-key FILE")
	case o.TLSKey != "" && o.TLSCert == "":
		return fault.New(fault.Usage, "--tls-key needs --tls-cert").WithHint("name the file of the certificate: --tls-cert FILE")
	case o.Interval < 0 || o.Interval > 0 && o.Interval < minWatch:
		return fault.New(fault.Usage, "--watch must be 0 or at least %s, not %s", minWatch, o.Interval).WithHint("the default is 5s; with 0, serve looks for changes only at SIGHUP")
	case o.Connections < 1:
		return fault.New(fault.Usage, "--max-connections must be at least 1, not %d", o.Connections).WithHint("the default is 4096")
	case o.ConnectionsOfAddress < 0:
		return fault.New(fault.Usage, "--max-connections-per-client must not be negative: %d", o.ConnectionsOfAddress).WithHint("0 means three quarters of --max-connections")
	case o.Grace < 0:
		return fault.New(fault.Usage, "--grace must not be negative: %s", o.Grace).WithHint("the default is 5m; with 0, a version ends at once")
	case o.ShutdownTimeout < 0:
		return fault.New(fault.Usage, "--shutdown-timeout must not be negative: %s", o.ShutdownTimeout).WithHint("the default is 30s; with 0, downloads are cut off at once")
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
		return g.print(s, func(out *layout) { servingSummary(out, s) })
	}
	p := g.events()
	defer p.close()
	return (&mirror.Session{Parallel: 1, Observe: p.observe}).Serve(c.Context(), o)
}

func servingSummary(out *layout, s *serve.Serving) {
	out.verdict(good, s.Target+" ("+forms.All.NameOf(s.Kind)+")", "serving at "+s.Address)
	if s.Metrics != "" {
		out.item("metrics at %s", s.Metrics)
	}
	base := s.BaseURL
	if base == "" {
		base = s.Scheme + "://HOST" + s.Address[strings.LastIndexByte(s.Address, ':'):]
	}
	var versions [][]string
	for _, v := range s.Versions {
		versions = append(versions, []string{v.Tag, agent.JoinPlatforms(v.Platforms), v.Source})
	}
	out.table([]column{word("VERSION"), word("PLATFORMS"), word("SOURCE")}, versions)
	for _, v := range s.Versions {
		indexes := map[string]string{}
		for name, path := range v.Paths {
			indexes[name] = cmp.Or(v.Indexes[name], base+path)
		}
		var templates []form.Template
		for _, t := range v.Templates {
			templates = append(templates, form.Template{Plugin: t.Plugin, Ref: t.Ref, URL: cmp.Or(t.URL, base+t.Path)})
		}
		out.title("Helm values of the agent for %s:", v.Tag)
		out.settings(site.Settings(indexes, templates))
	}
	for _, path := range s.Ignored {
		out.note("%s is not a bundle, and is left out", path)
	}
	if len(s.Versions) == 0 {
		out.note("nothing to serve yet: waiting for a bundle or a site in %s", s.Target)
	} else if s.BaseURL == "" {
		out.note("HOST is the name at which agents reach this machine")
	}
	for _, v := range s.Versions {
		what := "print all Helm values that the agent needs"
		if len(s.Versions) > 1 {
			what += " for " + v.Tag
		}
		out.next(what, "botkube-mirror values "+v.Source+" --base-url "+base+" --values YOURS.yaml")
	}
}

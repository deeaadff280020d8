package mirror

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
	"github.com/botkube-mirror/botkube-mirror/internal/serve"
)

// ServeOptions say what [Session.Serve] does.
type ServeOptions struct {
	// Target is a bundle, a directory of bundles, a site or SITE/VERSION.
	Target string
	// Listen is HOST:PORT; no host means all, and port 0 a free one.
	Listen string
	// BaseURL is as in [serve.Options].
	BaseURL string
	// TLSCert and TLSKey are PEM files; empty for plain HTTP.
	TLSCert, TLSKey string
	// ShutdownTimeout is as in [serve.RunOptions].
	ShutdownTimeout time.Duration
	// Started is called once connections are accepted.
	Started func(*Serving) error
	// Access, Refused and Problem are as in [serve.Options].
	Access  func(serve.Access)
	Refused func(error)
	Problem func(error)
}

func (o ServeOptions) base() string { return strings.TrimSuffix(o.BaseURL, "/") }

func (o ServeOptions) scheme() string {
	if o.TLSCert != "" {
		return "https"
	}
	return "http"
}

// Serving is what is served. It is printed as JSON for machines: what is here
// stays as it is, see docs/serve.md.
type Serving struct {
	Target string    `json:"target"`
	Kind   form.Kind `json:"kind"`
	// Address is where connections are accepted.
	Address string `json:"address"`
	// Scheme is http or https.
	Scheme string `json:"scheme"`
	// BaseURL is what the URLs of indexes begin with: the one that was given, or
	// that of the address. It is empty where the address is that of every
	// interface.
	BaseURL string `json:"baseURL,omitempty"`
	// Versions are in order, the newest first.
	Versions []ServedVersion `json:"versions"`
	// Ignored are files and directories in a directory of bundles that are none.
	Ignored []string `json:"ignored,omitempty"`
}

// ServedVersion is one version of what is served.
type ServedVersion struct {
	Tag string `json:"tag"`
	// Source is the path of its bundle, or of its directory in a site.
	Source         string           `json:"source"`
	BotkubeVersion string           `json:"botkubeVersion,omitempty"`
	Platforms      []agent.Platform `json:"platforms"`
	// Paths are those of the indexes, below the base URL, by repository.
	Paths map[string]string `json:"paths"`
	// Indexes are their URLs, if there is a base URL.
	Indexes map[string]string `json:"indexes,omitempty"`
	// Templates are those of exec, which downloads what its configuration names.
	Templates []ServedTemplates `json:"templates,omitempty"`
}

// ServedTemplates are the templates of a source that exec can take from the server.
type ServedTemplates struct {
	Plugin agent.PluginKey `json:"plugin"`
	// Ref is what would be configured without a mirror.
	Ref string `json:"ref"`
	// Path is below the base URL; it has the digest, which exec compares.
	Path string `json:"path"`
	// URL is what to configure, if there is a base URL.
	URL string `json:"url,omitempty"`
}

// Serve answers agents over HTTP until ctx is done.
func (s *Session) Serve(ctx context.Context, o ServeOptions) error {
	if o.BaseURL != "" {
		if err := site.CheckBaseURL(o.BaseURL); err != nil {
			return err
		}
	}
	run := serve.RunOptions{ShutdownTimeout: o.ShutdownTimeout}
	if o.TLSCert != "" {
		var err error
		if run.Certificate, err = serve.LoadCertificate(o.TLSCert, o.TLSKey, o.Problem); err != nil {
			return err
		}
	}
	served, err := s.openServed(ctx, o.Target)
	if err != nil {
		return err
	}
	defer served.Close()
	l, err := listen(ctx, o.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	serving, err := describeServed(served, o, l.Addr().String())
	if err != nil {
		return err
	}
	// Files are read until the last request was answered.
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	handler, err := serve.New(reading, o.handling(served), cmp.Or(serving.BaseURL, anyBase))
	if err != nil {
		return err
	}
	if err := o.Started(serving); err != nil {
		return err
	}
	return handler.Run(ctx, l, run)
}

// openServed opens what is served, the newest version first.
func (s *Session) openServed(ctx context.Context, target string) (*form.Served, error) {
	p, err := s.locate(ctx, target, nil)
	if err != nil {
		return nil, err
	}
	served, err := forms.All.Serve(ctx, p)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(served.Versions, func(a, b form.Version) int {
		return lock.CompareReleases(a.Lock.BotkubeVersion, a.Tag, b.Lock.BotkubeVersion, b.Tag)
	})
	return served, nil
}

func (o ServeOptions) handling(served *form.Served) serve.Options {
	return serve.Options{
		Versions: served.Versions, BaseURL: o.base(), TLS: o.scheme() == "https",
		Access: o.Access, Refused: o.Refused, Problem: o.Problem,
	}
}

// anyBase stands for a base URL that nobody knows yet.
const anyBase = "http://host"

// describeServed tells what is served at an address.
func describeServed(s *form.Served, o ServeOptions, address string) (*Serving, error) {
	serving := &Serving{
		Target: o.Target, Kind: s.Kind, Address: address, Scheme: o.scheme(), Ignored: s.Ignored,
		BaseURL: cmp.Or(o.base(), baseOf(o.scheme(), address)),
	}
	for _, v := range s.Versions {
		d, err := describeVersion(v, serving.BaseURL)
		if err != nil {
			return nil, err
		}
		serving.Versions = append(serving.Versions, d)
	}
	return serving, nil
}

// describeVersion tells of a version, whose indexes have URLs if base is not empty.
func describeVersion(v form.Version, base string) (ServedVersion, error) {
	d := ServedVersion{Tag: v.Tag, Source: v.Source, BotkubeVersion: v.Lock.BotkubeVersion, Platforms: v.Lock.Platforms}
	at, err := indexURLs(anyBase, v.Lock)
	if err != nil {
		return d, err
	}
	d.Paths = map[string]string{}
	for name, u := range at {
		d.Paths[name] = strings.TrimPrefix(u, anyBase)
	}
	if base != "" {
		if d.Indexes, err = indexURLs(base, v.Lock); err != nil {
			return d, err
		}
	}
	d.Templates, err = servedTemplatesOf(v.Lock, base)
	return d, err
}

// servedTemplatesOf returns the templates of a version, which have URLs if base is
// not empty.
func servedTemplatesOf(l *lock.Lock, base string) ([]ServedTemplates, error) {
	templates, err := site.Templates(anyBase, l)
	if err != nil {
		return nil, err
	}
	var all []ServedTemplates
	for _, t := range templates {
		s := ServedTemplates{Plugin: t.Plugin, Ref: t.Ref, Path: strings.TrimPrefix(t.URL, anyBase)}
		if base != "" {
			s.URL = base + s.Path
		}
		all = append(all, s)
	}
	return all, nil
}

func indexURLs(base string, l *lock.Lock) (map[string]string, error) {
	urls := map[string]string{}
	for _, r := range l.Repositories {
		var err error
		if urls[r.Name], err = site.IndexURL(base, l, r.Name); err != nil {
			return nil, err
		}
	}
	return urls, nil
}

const listenHint = "name it as HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080, or :8080 for every interface"

// listen accepts connections at an address.
func listen(ctx context.Context, address string) (net.Listener, error) {
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return nil, fault.New(fault.Usage, "the address %q cannot be read", address).WithHint(listenHint)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err == nil {
		return l, nil
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = e.Err // the rest says again what is said here
	}
	e := fault.New(fault.Usage, "listening at %s: %w", address, err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, e.WithHint("another program listens there: name another port, or 0 for one that is free")
	case errors.Is(err, syscall.EACCES):
		return nil, e.WithHint("your user may not listen there: name a port above 1023")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, e.WithHint("this machine has no such address: name one that it has, or :PORT for all")
	}
	return nil, e.WithHint(listenHint)
}

// baseOf returns the base URL of an address, or "" if it is that of every
// interface, which has no name.
func baseOf(scheme, address string) string {
	if a, err := netip.ParseAddrPort(address); err != nil || a.Addr().IsUnspecified() {
		return ""
	}
	return (&url.URL{Scheme: scheme, Host: address}).String()
}

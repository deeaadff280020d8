package mirror

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/serve"
)

// ServeOptions say what [Session.Serve] does.
type ServeOptions struct {
	// Target is a bundle, a directory of bundles, a site or SITE/VERSION.
	Target string
	// Listen is HOST:PORT. An empty host means all addresses, port 0 any free port.
	Listen string
	// Metrics is HOST:PORT of the metrics and health endpoints, or empty.
	Metrics string
	// Htpasswd is a file of passwords, or empty.
	Htpasswd string
	// TLSCert and TLSKey are PEM files; empty for plain HTTP.
	TLSCert, TLSKey string
	// Started is called once connections are accepted.
	Started func(*serve.Serving) error
	// Library, Certificate and Passwords of these come of Target, TLSCert and Htpasswd.
	serve.Options
}

// Serve serves a mirror over HTTP or HTTPS until ctx is done.
func (s *Session) Serve(ctx context.Context, o ServeOptions) error {
	if o.BaseURL != "" {
		if err := form.CheckBaseURL(o.BaseURL); err != nil {
			return err
		}
	}
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	if err := o.load(); err != nil {
		return err
	}
	scheme := "http"
	if o.Certificate != nil {
		scheme = "https"
	}
	var err error
	o.Library, err = serve.OpenLibrary(ctx, func(ctx context.Context) (*form.Served, error) {
		p, err := s.locate(ctx, o.Target)
		if err != nil {
			return nil, err
		}
		return forms.All.Serve(ctx, p)
	}, o.Problem)
	if err != nil {
		return err
	}
	defer o.Library.Close()
	l, err := listen(ctx, o.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	if o.Passwords != nil && o.Certificate == nil && !isLoopback(l.Addr()) && !strings.HasPrefix(strings.ToLower(o.BaseURL), "https://") {
		return fault.New(fault.Usage, "--htpasswd without TLS is refused: passwords would be sent in clear text to %s", l.Addr()).
			WithHint("add --tls-cert and --tls-key\nif a proxy in front of the server ends TLS: --base-url https://HOST\nif only this machine connects: --listen 127.0.0.1:PORT")
	}
	serving, err := o.Library.Describe(o.Target, l.Addr().String(), scheme, o.BaseURL)
	if err != nil {
		return err
	}
	// Files are read until the last request was answered.
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	handler, err := serve.New(reading, o.Options, cmp.Or(serving.BaseURL, serve.AnyBase))
	if err != nil {
		return err
	}
	var monitoring net.Listener
	if o.Metrics != "" {
		if monitoring, err = listen(ctx, o.Metrics); err != nil {
			return err
		}
		defer monitoring.Close()
		serving.Metrics = "http://" + monitoring.Addr().String() + "/metrics"
	}
	if err := o.Started(serving); err != nil {
		return err
	}
	return handler.Run(ctx, l, monitoring)
}

// load reads the certificate and the passwords.
func (o *ServeOptions) load() (err error) {
	if o.TLSCert != "" {
		if o.Certificate, err = serve.LoadCertificate(o.TLSCert, o.TLSKey, o.Problem); err != nil {
			return err
		}
	}
	if o.Htpasswd != "" {
		if o.Passwords, err = serve.LoadPasswords(o.Htpasswd, o.Problem); err != nil {
			return err
		}
	}
	return nil
}

func isLoopback(a net.Addr) bool {
	at, err := netip.ParseAddrPort(a.String())
	return err == nil && at.Addr().IsLoopback()
}

const listenHint = "write HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080; or :8080 for all addresses of this machine"

func listen(ctx context.Context, address string) (net.Listener, error) {
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return nil, fault.New(fault.Usage, "the address %q is not HOST:PORT", address).WithHint(listenHint)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err == nil {
		return l, nil
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = e.Err // the rest says again what is said here
	}
	e := fault.New(fault.Usage, "cannot listen on %s: %w", address, err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, e.WithHint("another program uses the port: choose another one, or 0 for any free port")
	case errors.Is(err, syscall.EACCES):
		return nil, e.WithHint("your user cannot use this port: choose a port above 1023")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, e.WithHint("this machine does not have the address: use one that it has, or :PORT for all")
	}
	return nil, e.WithHint(listenHint)
}

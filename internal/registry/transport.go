package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

const (
	maxRedirects = 10
	// maxCAFile bounds a file of certificates.
	maxCAFile = 16 << 20
)

// trusted returns whom to believe.
func trusted(cfg Config) (*tls.Config, error) {
	trust := &tls.Config{InsecureSkipVerify: cfg.Insecure, MinVersion: tls.VersionTLS12} //nolint:gosec // the user asked for it
	if cfg.CAFile == "" {
		return trust, nil
	}
	fi, err := os.Stat(cfg.CAFile)
	if err == nil && fi.Size() > maxCAFile {
		err = fmt.Errorf("it has %d bytes; at most %d are read", fi.Size(), maxCAFile)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(cfg.CAFile)
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "reading the certificates in %s: %w", cfg.CAFile, err).
			WithHint("%sca-file names a PEM file", cfg.flag())
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(data) {
		return nil, fault.New(fault.Usage, "reading the certificates in %s: there is none in it", cfg.CAFile).
			WithHint("%sca-file wants PEM, which begins with -----BEGIN CERTIFICATE-----; openssl x509 -inform der -in FILE converts what does not", cfg.flag())
	}
	trust.RootCAs = roots
	return trust, nil
}

// newTransport returns a transport without a timeout for answers and bodies,
// which [response] watches: how long a registry may think depends on the request.
func newTransport(patience time.Duration, trust *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            (&net.Dialer{Timeout: patience, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:        trust,
		TLSHandshakeTimeout:    patience,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: 256 << 10,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		ReadBufferSize:         64 << 10,
		WriteBufferSize:        64 << 10,
		// A dropped HTTP/2 stream leaves its connection in the pool, dead or
		// not; pings find out.
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: patience / 2, PingTimeout: patience / 2},
		OnProxyConnectResponse: proxyAnswer,
	}
}

// proxy hides the error of net/http, which quotes the proxy's URL with its password.
func proxy(req *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(req)
	if err != nil {
		return nil, errProxySetting
	}
	return u, nil
}

var errProxySetting = errors.New("the proxy that the environment names is not a URL")

// proxyAnswer gives the refusal of a proxy its status.
func proxyAnswer(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &statusError{code: resp.StatusCode, retryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now()), proxy: true}
}

// door is what every request to a registry goes through, those of the
// handshake included: it alone decides on the scheme, whatever a challenge, a
// redirect or the library's heuristics for hosts that look local say.
type door struct {
	inner     http.RoundTripper
	userAgent string
	plainHTTP bool
	host      string

	mu         sync.Mutex
	err        error
	retryAfter time.Duration
}

var (
	errInClear   = &redirectError{"the registry leads to plain http, which would send credentials and content in the clear"}
	errNotSpoken = errors.New("https is not spoken")
)

// RoundTrip sends a request as http.Transport does.
func (d *door) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := d.refuse(req.URL); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	sent := *req // the request is the caller's, and a retry may go another way
	sent.Header = req.Header.Clone()
	sent.Header.Set("User-Agent", d.userAgent)
	resp, err := d.inner.RoundTrip(&sent)
	d.mu.Lock()
	d.err, d.retryAfter = err, 0
	if err == nil {
		d.retryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
		resp.Request = req
	}
	d.mu.Unlock()
	return resp, err
}

func (d *door) refuse(u *url.URL) error {
	switch {
	case u.Scheme == "https" && d.plainHTTP && u.Host == d.host:
		return errNotSpoken // the library tries https before http
	case u.Scheme == "https", u.Scheme == "http" && d.plainHTTP:
		return nil
	}
	return errInClear
}

// failure returns why the last request failed.
func (d *door) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// pauseAsked returns how long the last answer asks to be left alone.
func (d *door) pauseAsked() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.retryAfter
}

// redirectError is a redirect that is not followed.
type redirectError struct{ reason string }

func (e *redirectError) Error() string { return e.reason }

// checkRedirect follows at most ten redirects, never from https to http, and
// takes nothing but harmless header fields to another host. The library adds
// credentials to requests to the registry's host only.
func checkRedirect(req *http.Request, via []*http.Request) error {
	last := via[len(via)-1].URL
	switch {
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return &redirectError{"the registry redirects to a URL that is neither http nor https"}
	case last.Scheme == "https" && req.URL.Scheme == "http":
		return &redirectError{fmt.Sprintf("the registry redirects from https to plain http, at %s", clean(req.URL.Host, maxMessage))}
	case len(via) > maxRedirects:
		return &redirectError{fmt.Sprintf("the registry redirects more than %d times", maxRedirects)}
	}
	req.Header.Del("Referer")
	if !sameOrigin(via[0].URL, req.URL) {
		for name := range req.Header {
			if !travels[name] {
				req.Header.Del(name)
			}
		}
		req.URL.User = nil
	}
	return nil
}

// travels has the header fields that may go to another host.
var travels = map[string]bool{"Accept": true, "Accept-Encoding": true, "Range": true, "User-Agent": true}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Host, b.Host) && a.Scheme == b.Scheme
}

// response is an answer whose body is read under watch.
type response struct {
	*http.Response
	parent, ctx context.Context
	cancel      context.CancelCauseFunc
	timer       *time.Timer
	stall       time.Duration
}

var errStalled = errors.New("the connection stalls")

// request is what to send.
type request struct {
	method string
	url    *url.URL
	header http.Header
	// body may be nil.
	body *upload
	// data is a short body.
	data []byte
	// patience is how long the registry may take to answer; 0 stands for the usual.
	patience time.Duration
}

// do sends a request and returns the answer, whatever its status.
func (r *Repository) do(ctx context.Context, q request) (*response, error) {
	stall := r.client.stall
	resp := &response{parent: ctx, stall: stall}
	resp.ctx, resp.cancel = context.WithCancelCause(ctx)
	// Redirects, a new token, and connecting anew for each, take their time.
	resp.timer = time.AfterFunc(max(q.patience, 4*stall), func() { resp.cancel(errStalled) })
	req, err := q.http(resp.ctx)
	if err == nil {
		if q.body != nil {
			q.body.watch(resp.timer, stall)
		}
		resp.Response, err = r.http.Do(req)
	}
	resp.timer.Stop()
	if err != nil {
		err = r.reason(resp, err)
		_ = resp.Close()
		return nil, err
	}
	return resp, nil
}

// http returns the request as net/http wants it.
func (q request) http(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, q.method, q.url.String(), nil)
	if err != nil {
		return nil, permanent(errors.New("the registry names a URL that is none"))
	}
	for name, values := range q.header {
		req.Header[name] = values
	}
	req.Header.Set("Accept-Encoding", "identity")
	switch {
	case q.body != nil:
		req.Body, req.ContentLength = q.body, q.body.left()
	case q.data != nil:
		setBody(req, q.data)
	}
	return req, nil
}

// Read reads the body. It fails when nothing comes for a while.
func (r *response) Read(p []byte) (int, error) {
	// The time that the caller takes for what it has read does not count.
	r.timer.Reset(r.stall)
	n, err := r.Body.Read(p)
	r.timer.Stop()
	if err != nil {
		err = r.reason(err)
	}
	return n, err
}

// Close ends the request.
func (r *response) Close() error {
	r.timer.Stop()
	r.cancel(nil)
	if r.Response == nil {
		return nil
	}
	return r.Body.Close()
}

// reason returns why something failed.
func (r *response) reason(err error) error {
	if r.parent.Err() != nil {
		return context.Cause(r.parent)
	}
	if errors.Is(context.Cause(r.ctx), errStalled) {
		return fmt.Errorf("%w: nothing moved for %s", errStalled, r.stall)
	}
	return plainReason(err)
}

// plainReason returns an error without the URL, which may be that of a
// redirect, signed.
func plainReason(err error) error {
	for {
		e, ok := err.(*url.Error)
		if !ok {
			break
		}
		err = e.Err
	}
	if strings.HasPrefix(err.Error(), "failed to parse Location header") {
		return &redirectError{"the registry redirects to something that is not a URL"}
	}
	if is[textproto.ProtocolError](err) {
		// Its text quotes header fields.
		return errors.New("the answer is not HTTP")
	}
	if text := clean(hide(firstLine(err.Error()), nil), maxMessage); text != err.Error() {
		return &cleanError{text, err}
	}
	return err
}

// cleanError is an error whose text quoted too much of what a server says: the
// library's has what a token server answers in its second line.
type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

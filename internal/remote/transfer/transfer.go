// Package transfer is what every transfer over HTTP has in common, whoever is
// at the other end: how patient it is, how fast, how it is repeated and resumed,
// and what its failures mean.
package transfer

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"
)

// DefaultIdleTimeout is how long a connection may move no byte.
const DefaultIdleTimeout = 30 * time.Second

// IdleTimeout returns a setting, or the default for 0.
func IdleTimeout(set time.Duration) time.Duration { return cmp.Or(set, DefaultIdleTimeout) }

// NewTransport returns a transport without a timeout of its own for
// handshakes, answers and bodies, which [Watchdog] does better: it knows whether
// anything moves. Trust and limit may be nil.
func NewTransport(patience time.Duration, trust *tls.Config, limit *Limiter) *http.Transport {
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            dial(patience, limit),
		TLSClientConfig:        trust,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: 256 << 10,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		ReadBufferSize:         64 << 10,
		WriteBufferSize:        64 << 10,
		OnProxyConnectResponse: proxyAnswer,
	}
}

func proxy(req *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(req)
	if err != nil {
		return nil, ErrProxySetting
	}
	return u, nil
}

// proxyAnswer gives the refusal of a proxy its status.
func proxyAnswer(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	e := NewStatusError(resp)
	e.Proxy = true
	return e
}

// Client sends requests, and watches that something moves.
type Client struct {
	http     *http.Client
	who      string
	patience time.Duration
	// Reason, if not nil, puts the errors of a transport of one's own into words.
	Reason func(error) error
}

// NewClient returns a client. Who is what messages call the other side: "the server".
func NewClient(transport http.RoundTripper, who string, patience time.Duration) *Client {
	c := &Client{who: who, patience: patience}
	c.http = &http.Client{Transport: transport, CheckRedirect: c.checkRedirect}
	return c
}

const maxRedirects = 10

// checkRedirect follows at most ten redirects, never from https to http, and
// takes nothing but harmless header fields to another host, or back from one. net/http strips
// only the fields that it knows, and only across domains, not ports; and its
// Referer holds the query of the URL before.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	last, host := via[len(via)-1].URL, Printable(req.URL.Host, maxHost)
	refuse := func(format string, args ...any) error {
		return &RedirectError{Reason: c.who + " redirects " + fmt.Sprintf(format, args...)}
	}
	switch {
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return refuse("to a URL of the form %.20s:", req.URL.Scheme)
	case last.Scheme == "https" && req.URL.Scheme == "http":
		return &RedirectError{Reason: fmt.Sprintf("%s redirects from https to plain http, at %s", c.who, host), InClear: true}
	case len(via) > maxRedirects:
		return refuse("more than %d times", maxRedirects)
	}
	for _, before := range via {
		// With a cookie that it was just given, the same request is another one.
		if before.URL.String() == req.URL.String() && len(req.Response.Cookies()) == 0 {
			return refuse("in a circle, at %s", host)
		}
	}
	req.Header.Del("Referer")
	// Whoever sent us away may name any path of the first host, too.
	astray := slices.ContainsFunc(via, func(r *http.Request) bool { return !sameOrigin(via[0].URL, r.URL) })
	if astray || !sameOrigin(via[0].URL, req.URL) {
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
var travels = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Cache-Control": true, "User-Agent": true, "Range": true,
	"If-Range": true, "If-None-Match": true, "If-Modified-Since": true,
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Host, b.Host) && a.Scheme == b.Scheme
}

// reason returns why a request failed, without the URL, which may be that of a
// redirect, signed.
func (c *Client) reason(err error) error {
	if c.Reason != nil {
		return c.Reason(err)
	}
	return PlainReason(err)
}

// WithoutURL drops the URL, which may hold credentials, from a url.Error.
func WithoutURL(err error) error {
	for {
		e, ok := err.(*url.Error)
		if !ok {
			return err
		}
		err = e.Err
	}
}

// PlainReason returns an error of net/http without what may be secret in it.
func PlainReason(err error) error {
	err = WithoutURL(err)
	if strings.HasPrefix(err.Error(), "failed to parse Location header") {
		return &RedirectError{Reason: "the server redirects to something that is not a URL"}
	}
	if Is[textproto.ProtocolError](err) {
		// Its text quotes header fields.
		return errors.New("the answer is not HTTP")
	}
	if errors.Is(err, net.ErrClosed) {
		// The transport has closed it, for the other side had.
		return errors.New("the other side closed the connection")
	}
	return err
}

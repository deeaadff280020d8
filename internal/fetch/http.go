package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
)

const maxRedirects = 10

// newTransport returns a transport whose every phase but the body has a
// timeout; the body is watched by [response].
func newTransport(patience time.Duration) http.RoundTripper {
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            (&net.Dialer{Timeout: patience, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:    patience,
		ResponseHeaderTimeout:  patience,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: 256 << 10,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		ReadBufferSize:         64 << 10,
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
	e := newStatusError(resp)
	e.proxy = true
	return e
}

// redirectError is a redirect that is not followed.
type redirectError struct{ reason string }

func (e *redirectError) Error() string { return e.reason }

// checkRedirect follows at most ten redirects, never from https to http, and
// takes nothing but harmless header fields to another host. net/http strips
// only the fields that it knows, and only across domains, not ports; and its
// Referer holds the query of the URL before.
func checkRedirect(req *http.Request, via []*http.Request) error {
	last := via[len(via)-1].URL
	switch {
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return &redirectError{fmt.Sprintf("the server redirects to a URL of the form %s:", req.URL.Scheme)}
	case last.Scheme == "https" && req.URL.Scheme == "http":
		return &redirectError{fmt.Sprintf("the server redirects from https to plain http, at %s", req.URL.Host)}
	case len(via) > maxRedirects:
		return &redirectError{fmt.Sprintf("the server redirects more than %d times", maxRedirects)}
	}
	for _, before := range via {
		if before.URL.String() == req.URL.String() {
			return &redirectError{fmt.Sprintf("the server redirects in a circle, at %s", req.URL.Host)}
		}
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
var travels = map[string]bool{
	"Accept-Encoding": true, "Cache-Control": true, "User-Agent": true, "Range": true,
	"If-Range": true, "If-None-Match": true, "If-Modified-Since": true,
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Host, b.Host) && a.Scheme == b.Scheme
}

// response is an answer whose body is read under watch.
type response struct {
	*http.Response
	parent, ctx context.Context
	cancel      context.CancelCauseFunc
	timer       *time.Timer
	patience    time.Duration
}

var errStalled = errors.New("the connection stalls")

// do sends a request and returns the answer, whatever its status. The header
// fields are sent besides those of every request.
func (c *Client) do(ctx context.Context, method string, u *url.URL, header http.Header) (*response, error) {
	r := &response{parent: ctx, patience: c.stall}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	// Redirects, and connecting anew for each, take their time; a transport
	// that was brought along may know no timeout at all.
	r.timer = time.AfterFunc(4*c.stall, func() { r.cancel(errStalled) })
	req, err := c.newRequest(r.ctx, method, u, header)
	if err == nil {
		r.Response, err = c.http.Do(req)
	}
	if err != nil {
		err = r.reason(err)
		r.Close()
		return nil, err
	}
	return r, nil
}

func (c *Client) newRequest(ctx context.Context, method string, u *url.URL, header http.Header) (*http.Request, error) {
	netrc, err := c.netrc()
	if err != nil {
		return nil, err
	}
	bare := *u
	bare.User = nil
	req, err := http.NewRequestWithContext(ctx, method, bare.String(), nil)
	if err != nil {
		return nil, permanent(err)
	}
	for name, values := range header {
		for _, v := range values {
			req.Header.Add(name, v)
		}
	}
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept-Encoding", "identity")
	if user := netrc.find(u); user != nil && req.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	return req, nil
}

// Read reads the body. It fails when nothing comes for a while.
func (r *response) Read(p []byte) (int, error) {
	// The time that the caller takes for what it has read does not count.
	r.timer.Reset(r.patience)
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

// reason returns why something failed, without the URL, which may be that of a
// redirect, signed.
func (r *response) reason(err error) error {
	if r.parent.Err() != nil {
		return context.Cause(r.parent)
	}
	if errors.Is(context.Cause(r.ctx), errStalled) {
		return fmt.Errorf("%w: nothing came for %s", errStalled, r.patience)
	}
	err = urlReason(err)
	if strings.HasPrefix(err.Error(), "failed to parse Location header") {
		return &redirectError{"the server redirects to something that is not a URL"}
	}
	if is[textproto.ProtocolError](err) {
		// Its text quotes header fields.
		return errors.New("the answer is not HTTP")
	}
	return err
}

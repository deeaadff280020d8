package transfer

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Options are the settings for requests to servers of any kind. The zero value is usable.
type Options struct {
	// UserAgent is the value of the header field User-Agent; empty means botkube-mirror.
	UserAgent string
	// TLS is the configuration from [Identity.TLS]; nil means Go's default.
	TLS   *tls.Config
	Retry Retry
	// IdleTimeout is how long a connection may move no byte; 0 means [DefaultIdleTimeout].
	IdleTimeout time.Duration
	// Limit bounds the speed of all connections that share it; nil means no limit.
	Limit *Limiter
	// Via has the rules for requests to another server; nil means none.
	Via *Via
	// Traffic counts bytes and lists hosts for the progress display; nil means no counting.
	Traffic *Traffic
}

// DefaultIdleTimeout is how long a connection may move no byte.
const DefaultIdleTimeout = 30 * time.Second

// Filled returns the options with defaults for fields that are not set.
func (o Options) Filled() Options {
	o.UserAgent = cmp.Or(o.UserAgent, "botkube-mirror")
	o.IdleTimeout = cmp.Or(o.IdleTimeout, DefaultIdleTimeout)
	return o
}

// Transport returns a new transport. It has no timeouts for handshakes, answers and bodies, because
// a [Watchdog] ends requests that stall.
func (o Options) Transport() *http.Transport {
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            dial(o.IdleTimeout, o.Limit),
		TLSClientConfig:        o.TLS,
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

// proxyAnswer returns a proxy's refusal as a [StatusError].
func proxyAnswer(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	e := NewStatusError(resp)
	e.Proxy = true
	return e
}

// ErrProxySetting replaces the error of net/http, which would quote the proxy's URL with its
// password.
var ErrProxySetting = errors.New("the proxy in HTTPS_PROXY or HTTP_PROXY is not a URL")

// IsProxyAway reports whether the connection to the proxy failed (net/http, Transport.dialConn).
func IsProxyAway(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "proxyconnect"
}

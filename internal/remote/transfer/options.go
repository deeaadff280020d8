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

// Options say how to talk to servers of any kind. They work at their zero value.
type Options struct {
	// UserAgent is the header field's value; empty means botkube-mirror.
	UserAgent string
	// TLS, if not nil, says whom to trust, and who this side is: see [Identity].
	TLS   *tls.Config
	Retry Retry
	// IdleTimeout is how long a connection may move no byte; 0 means [DefaultIdleTimeout].
	IdleTimeout time.Duration
	// Limit, if not nil, bounds the speed, together with whatever shares it.
	Limit *Limiter
	// Via says which URLs are asked of another server; nil stands for none.
	Via *Via
	// Traffic, if not nil, records what goes over the network.
	Traffic *Traffic
}

// DefaultIdleTimeout is how long a connection may move no byte.
const DefaultIdleTimeout = 30 * time.Second

// Filled returns the options with defaults in the place of what is not set.
func (o Options) Filled() Options {
	o.UserAgent = cmp.Or(o.UserAgent, "botkube-mirror")
	o.IdleTimeout = cmp.Or(o.IdleTimeout, DefaultIdleTimeout)
	return o
}

// Transport returns a transport without a timeout of its own for handshakes, answers and
// bodies. A [Watchdog] does that better: it knows whether anything moves.
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

// proxyAnswer gives the refusal of a proxy its status.
func proxyAnswer(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	e := NewStatusError(resp)
	e.Proxy = true
	return e
}

// ErrProxySetting hides the error of net/http, which quotes the proxy's URL
// with its password.
var ErrProxySetting = errors.New("the proxy that the environment names is not a URL")

// IsProxyAway reports whether the proxy could not be connected to (net/http,
// Transport.dialConn).
func IsProxyAway(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "proxyconnect"
}

package transfer

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
)

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

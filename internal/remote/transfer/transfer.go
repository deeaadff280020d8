// Package transfer is what every transfer over HTTP has in common, whoever is
// at the other end: how patient it is, how fast, how it is repeated and resumed,
// and what its failures mean.
package transfer

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
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

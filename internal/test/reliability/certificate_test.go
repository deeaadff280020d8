//go:build unix

package reliability

import (
	"crypto/tls"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// certificate is one that a site shows.
type certificate int

const (
	certGood certificate = iota
	// certUnknown is signed by an authority that nobody knows.
	certUnknown
	certOtherHost
	certExpired
	// certNone stands for http.
	certNone
)

// unresolved is a host's name that no name server knows (RFC 2606, section 2).
const unresolved = "files.invalid"

// certificates are made once: a key takes its time.
var certificates = sync.OnceValue(func() map[certificate]*tls.Certificate {
	const day, hour = 24 * time.Hour, time.Hour
	issue := func(by *tlstest.Authority, until time.Duration, hosts ...string) *tls.Certificate {
		c := must(tls.X509KeyPair(by.Site(-day, until, hosts...)))
		return &c
	}
	return map[certificate]*tls.Certificate{
		certGood:      issue(authority(), day, unresolved, "127.0.0.1"),
		certUnknown:   issue(tlstest.NewAuthority("unknown authority"), day, unresolved, "127.0.0.1"),
		certOtherHost: issue(authority(), day, "elsewhere.invalid"),
		certExpired:   issue(authority(), -hour, unresolved, "127.0.0.1"),
	}
})

// authority is the one that the program is told to trust.
var authority = sync.OnceValue(func() *tlstest.Authority { return tlstest.NewAuthority("reliability authority") })

// must is for what fails only without a source of random bytes.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

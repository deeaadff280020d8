package acceptance

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// authority issues certificates for any host name, to clients that were told to trust it.
type authority struct {
	*tlstest.Authority

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

func newAuthority() *authority {
	return &authority{Authority: tlstest.NewAuthority("acceptance suite"), leaves: map[string]*tls.Certificate{}}
}

// issue returns the certificate of the host that a client asks for; it fits [tls.Config].GetCertificate.
func (a *authority) issue(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	host := hello.ServerName
	if leaf := a.leaves[host]; leaf != nil {
		return leaf, nil
	}
	leaf, err := tls.X509KeyPair(a.Site(-time.Hour, time.Hour, host))
	if err != nil {
		return nil, err
	}
	a.leaves[host] = &leaf
	return &leaf, nil
}

// issueFile writes the certificate of a host, and its key, to {host}.crt and {host}.key in a directory, where
// everybody can read them, and returns their path without the extension.
func (a *authority) issueFile(dir, host string) (string, error) {
	cert, key := a.Site(-time.Hour, time.Hour, host)
	at := filepath.Join(dir, host)
	for extension, data := range map[string][]byte{".crt": cert, ".key": key} {
		if err := os.WriteFile(at+extension, data, 0o644); err != nil {
			return "", err
		}
	}
	return at, nil
}

package registrytest

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// pair is an authority and a certificate that it gave.
type pair struct {
	caFile, certFile, keyFile string
	cert                      tls.Certificate
	roots                     *x509.CertPool
}

// WriteCertificate writes ca.pem, cert.pem and key.pem into a directory: an
// authority, and the certificate that it gave localhost and loopback.
func WriteCertificate(dir string) error {
	_, err := newPair(dir)
	return err
}

func newPair(dir string) (*pair, error) {
	a := tlstest.NewAuthority("registrytest authority")
	cert, key := a.Site(-time.Hour, 24*time.Hour, "localhost", "127.0.0.1", "::1")
	p := &pair{caFile: filepath.Join(dir, "ca.pem"), certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"), roots: a.Pool()}
	for file, data := range map[string][]byte{p.caFile: a.PEM(), p.certFile: cert, p.keyFile: key} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			return nil, err
		}
	}
	var err error
	p.cert, err = tls.X509KeyPair(cert, key)
	return p, err
}

//go:build unix

package reliability

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"
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
	ca := authority()
	year := 365 * 24 * time.Hour
	return map[certificate]*tls.Certificate{
		certGood:      ca.issue(unresolved, year),
		certUnknown:   newAuthority().issue(unresolved, year),
		certOtherHost: ca.issue("", year),
		certExpired:   ca.issue(unresolved, -time.Hour),
	}
})

// authority is the one that the program is told to trust.
var authority = sync.OnceValue(newAuthority)

type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority() *issuer {
	key := newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "reliability authority"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return &issuer{must(x509.ParseCertificate(der)), key}
}

// issue gives a certificate for loopback and a host; or, if it is empty, for another host alone.
func (a *issuer) issue(host string, valid time.Duration) *tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "reliability"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(valid),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"elsewhere.invalid"},
	}
	if host != "" {
		template.DNSNames, template.IPAddresses = []string{host}, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	key := newKey()
	der := must(x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key))
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// pem returns the authority's certificate as SSL_CERT_FILE wants it.
func (a *issuer) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// must is for what fails only without a source of random bytes.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

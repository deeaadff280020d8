// Package tlstest makes authorities and the certificates that they sign, for
// tests. What cannot be made is a panic.
package tlstest

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
	"time"
)

// Authority signs certificates.
type Authority struct {
	Cert *x509.Certificate
	key  crypto.Signer
}

// NewAuthority returns an authority that is valid for some hours.
func NewAuthority(name string) *Authority {
	key := newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return &Authority{must(x509.ParseCertificate(der)), key}
}

// PEM returns the authority's certificate.
func (a *Authority) PEM() []byte { return Encode("CERTIFICATE", a.Cert.Raw) }

// Server returns the settings of a server at loopback that may go by some names.
func (a *Authority) Server(names ...string) *tls.Config {
	certPEM, keyPEM := a.issue(&x509.Certificate{
		Subject:  pkix.Name{CommonName: "server"},
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: a.Cert.NotBefore, NotAfter: a.Cert.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return &tls.Config{Certificates: []tls.Certificate{must(tls.X509KeyPair(certPEM, keyPEM))}, MinVersion: tls.VersionTLS12}
}

// Asking returns settings as of [Authority.Server] of a server that lets in only
// who has a certificate of the authority.
func (a *Authority) Asking(names ...string) *tls.Config {
	cfg := a.Server(names...)
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	cfg.ClientCAs.AddCert(a.Cert)
	return cfg
}

// Client returns the certificate and the key of a client, valid from and until so
// long after now.
func (a *Authority) Client(name string, from, until time.Duration) (certPEM, keyPEM []byte) {
	return a.issue(&x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

func (a *Authority) issue(template *x509.Certificate) (certPEM, keyPEM []byte) {
	key := newKey()
	template.SerialNumber, template.KeyUsage = big.NewInt(2), x509.KeyUsageDigitalSignature
	der := must(x509.CreateCertificate(rand.Reader, template, a.Cert, key.Public(), a.key))
	return Encode("CERTIFICATE", der), Encode("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))
}

// Encode returns PEM.
func Encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

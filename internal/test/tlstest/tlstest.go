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
	certPEM, keyPEM := a.Site(-time.Hour, time.Hour, append(names, "127.0.0.1", "::1")...)
	return &tls.Config{Certificates: []tls.Certificate{must(tls.X509KeyPair(certPEM, keyPEM))}, MinVersion: tls.VersionTLS12}
}

// Site returns the certificate and the key of a server by its names and addresses,
// valid from and until so long after now.
func (a *Authority) Site(from, until time.Duration, hosts ...string) (certPEM, keyPEM []byte) {
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "server"},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	return a.issue(template)
}

// Pool returns a certificate pool that has only the authority.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	return pool
}

// Asking returns the settings of [Authority.Server] for a server that requires a client certificate
// of the authority.
func (a *Authority) Asking(names ...string) *tls.Config {
	cfg := a.Server(names...)
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, a.Pool()
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

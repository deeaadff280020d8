package transfer

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
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return key
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	return authority{cert, key}
}

// issue gives a client certificate that is valid from and until.
func (a authority) issue(t *testing.T, from, until time.Duration) (certPEM, keyPEM []byte) {
	t.Helper()
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "joe"},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a.cert, key.Public(), a.key)
	check(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	return encoded("CERTIFICATE", der), encoded("PRIVATE KEY", keyDER)
}

func encoded(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func write(t *testing.T, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "some.pem")
	check(t, os.WriteFile(file, data, 0o600))
	return file
}

func TestIdentityErrors(t *testing.T) {
	a := newAuthority(t, "authority")
	ca := encoded("CERTIFICATE", a.cert.Raw)
	cert, key := a.issue(t, -time.Hour, time.Hour)
	_, otherKey := a.issue(t, -time.Hour, time.Hour)
	old, oldKey := a.issue(t, -2*time.Hour, -time.Hour)
	early, earlyKey := a.issue(t, time.Hour, 2*time.Hour)
	damaged := slices.Clone(ca)
	damaged[len(damaged)/2] = '!'
	authorities := func(data []byte) Identity { return Identity{CAFiles: []string{write(t, ca), write(t, data)}} }
	pair := func(cert, key []byte) Identity { return Identity{CertFile: write(t, cert), KeyFile: write(t, key)} }
	for name, test := range map[string]struct {
		id         Identity
		says, hint string
	}{
		"no CA file":         {Identity{CAFiles: []string{"absent.pem"}}, "reading the certificates in absent.pem: no such file", "--ca-file"},
		"prefix":             {Identity{CAFiles: []string{"absent.pem"}, FlagPrefix: "source-"}, "absent.pem", "--source-ca-file"},
		"CA is a directory":  {Identity{CAFiles: []string{t.TempDir()}}, "is a directory", "--ca-file"},
		"empty CA file":      {authorities(nil), "there is none in it", "BEGIN CERTIFICATE"},
		"CA in DER":          {authorities(a.cert.Raw), "there is none in it", "openssl x509 -inform der"},
		"key for CA":         {authorities(key), "there is none in it", "--ca-file"},
		"no certificate":     {authorities(encoded("CERTIFICATE", []byte("x"))), "number 1 of them is damaged", "--ca-file"},
		"second CA damaged":  {authorities(append(slices.Clone(ca), damaged...)), "one of them is damaged: of 2 that begin, 1 can be read", "--ca-file"},
		"CA cut":             {authorities(ca[:len(ca)-10]), "one of them is damaged", "--ca-file"},
		"CA too long":        {authorities(make([]byte, maxPEM+1)), "it has more than", "--ca-file"},
		"no key":             {Identity{CertFile: write(t, cert)}, "--client-cert is given without --client-key", "private key"},
		"no cert":            {Identity{KeyFile: write(t, key)}, "--client-key is given without --client-cert", "private key"},
		"absent certificate": {Identity{CertFile: "absent.pem", KeyFile: write(t, key)}, "reading the client certificate in absent.pem: no such file", "--client-cert"},
		"absent key":         {Identity{CertFile: write(t, cert), KeyFile: "absent.pem"}, "reading the private key in absent.pem: no such file", "--client-key"},
		"another's key":      {pair(cert, otherKey), "private key does not match public key", "that belongs to it"},
		"swapped":            {pair(key, cert), "cannot be used", "--client-cert wants the certificate"},
		"garbled":            {pair(cert, []byte("-----BEGIN")), "cannot be used", "PEM"},
		"encrypted":          {pair(cert, encoded("ENCRYPTED PRIVATE KEY", []byte("x"))), "is encrypted", "openssl pkey"},
		"encrypted, old":     {pair(cert, []byte("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAA==\n-----END EC PRIVATE KEY-----\n")), "is encrypted", "openssl pkey"},
		"expired":            {pair(old, oldKey), "expired at ", "renewed"},
		"not yet valid":      {pair(early, earlyKey), "is not valid before ", "clock"},
	} {
		_, err := test.id.TLS()
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), test.says) || !strings.Contains(fault.HintOf(err), test.hint) {
			t.Errorf("%s: %d: %v\n%s", name, fault.KindOf(err), err, fault.HintOf(err))
		}
	}
}

// TestIdentity has a client with a certificate talk to servers that want one of
// its authority, of another authority, and none.
func TestIdentity(t *testing.T) {
	own, other := newAuthority(t, "own"), newAuthority(t, "other")
	cert, key := own.issue(t, -time.Hour, time.Hour)
	var shown string
	serve := func(of authority, want tls.ClientAuthType) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			shown = ""
			for _, c := range req.TLS.PeerCertificates {
				shown = c.Subject.CommonName
			}
		}))
		s.TLS = &tls.Config{ClientAuth: want, ClientCAs: x509.NewCertPool()}
		s.TLS.ClientCAs.AddCert(of.cert)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	wanted, otherwise, none := serve(own, tls.RequireAndVerifyClientCert), serve(other, tls.VerifyClientCertIfGiven), serve(own, tls.NoClientCert)
	// Both in one file, and authorities in two, between other text.
	both := write(t, append(slices.Clone(cert), key...))
	cas := []string{
		write(t, append([]byte("a comment\n"), encoded("CERTIFICATE", own.cert.Raw)...)),
		write(t, append(encoded("CERTIFICATE", other.cert.Raw), encoded("CERTIFICATE", wanted.Certificate().Raw)...)),
	}
	trust, err := Identity{CAFiles: cas, CertFile: both, KeyFile: both}.TLS()
	check(t, err)
	c := newTestClient(t, trust)
	for s, want := range map[*httptest.Server]string{wanted: "joe", otherwise: "", none: ""} {
		if _, err := read(c, request(t, http.MethodGet, s.URL, nil)); err != nil || shown != want {
			t.Errorf("shown to %v: %q, not %q, %v", s.TLS.ClientAuth, shown, want, err)
		}
	}
	_, err = read(newTestClient(t, &tls.Config{MinVersion: tls.VersionTLS12}), request(t, http.MethodGet, none.URL, nil))
	if !IsUnknownAuthority(err) {
		t.Errorf("without --ca-file: %v", err)
	}
}

package transfer

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

func write(t *testing.T, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "some.pem")
	check(t, os.WriteFile(file, data, 0o600))
	return file
}

func TestIdentityErrors(t *testing.T) {
	t.Parallel()
	a := tlstest.NewAuthority("authority")
	ca := a.PEM()
	cert, key := a.Client("joe", -time.Hour, time.Hour)
	_, otherKey := a.Client("joe", -time.Hour, time.Hour)
	old, oldKey := a.Client("joe", -2*time.Hour, -time.Hour)
	early, earlyKey := a.Client("joe", time.Hour, 2*time.Hour)
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
		"empty CA file":      {authorities(nil), "the file has no certificate", "BEGIN CERTIFICATE"},
		"CA in DER":          {authorities(a.Cert.Raw), "the certificate is in DER, not in PEM", "openssl x509 -inform der"},
		"CA in PKCS #12":     {authorities([]byte{0x30, 3, 2, 1, 3}), "maybe PKCS #12 (.pfx)", "convert it: openssl pkcs12 -nokeys -in "},
		"CA in PKCS #7":      {authorities(append([]byte{0x30, 11}, signedData...)), "the file is PKCS #7 (.p7b), not PEM", "openssl pkcs7 -print_certs -inform der -in "},
		"CA in PKCS #7, PEM": {authorities(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: []byte{0x30}})), "the file is PKCS #7 (.p7b)", "openssl pkcs7 -print_certs -in "},
		"CA that is a page":  {authorities([]byte("<html>")), "the file is a web page", "--ca-file"},
		"CA in UTF-32":       {authorities([]byte("\xff\xfe\x00\x00a\x00\x00\x00")), "save it as UTF-8", "--ca-file"},
		"key for CA":         {authorities(key), "the file has no certificate", "--ca-file"},
		"no certificate":     {authorities(tlstest.Encode("CERTIFICATE", []byte("x"))), "certificate number 1 is damaged", "--ca-file"},
		"second CA damaged":  {authorities(append(slices.Clone(ca), damaged...)), "a certificate is damaged: the file has 2, and 1 can be read", "--ca-file"},
		"CA cut":             {authorities(ca[:len(ca)-10]), "a certificate is damaged", "--ca-file"},
		"CA too long":        {authorities(make([]byte, maxPEM+1)), "it has more than", "--ca-file"},
		"no key":             {Identity{CertFile: write(t, cert)}, "--client-cert is given without --client-key", "add --client-key FILE"},
		"no cert":            {Identity{KeyFile: write(t, key)}, "--client-key is given without --client-cert", "add --client-cert FILE"},
		"absent certificate": {Identity{CertFile: "absent.pem", KeyFile: write(t, key)}, "reading the client certificate in absent.pem: no such file", "--client-cert"},
		"absent key":         {Identity{CertFile: write(t, cert), KeyFile: "absent.pem"}, "reading the private key in absent.pem: no such file", "--client-key"},
		"another's key":      {pair(cert, otherKey), "private key does not match public key", "that belongs to it"},
		"swapped":            {pair(key, cert), "cannot be used", "give --client-cert the certificate"},
		"garbled":            {pair(cert, []byte("-----BEGIN")), "cannot be used", "PEM"},
		"encrypted":          {pair(cert, tlstest.Encode("ENCRYPTED PRIVATE KEY", []byte("x"))), "is encrypted", "openssl pkey"},
		"encrypted, old":     {pair(cert, []byte("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAA==\n-----END EC PRIVATE KEY-----\n")), "is encrypted", "openssl pkey"},
		"expired":            {pair(old, oldKey), "expired at ", "renewed"},
		"not yet valid":      {pair(early, earlyKey), "is not valid before ", "clock"},
	} {
		_, err := test.id.TLS(t.Context())
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
	t.Parallel()
	own, other := tlstest.NewAuthority("own"), tlstest.NewAuthority("other")
	cert, key := own.Client("joe", -time.Hour, time.Hour)
	var shown string
	serve := func(of *tlstest.Authority, want tls.ClientAuthType) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			shown = ""
			for _, c := range req.TLS.PeerCertificates {
				shown = c.Subject.CommonName
			}
		}))
		s.TLS = &tls.Config{ClientAuth: want, ClientCAs: x509.NewCertPool()}
		s.TLS.ClientCAs.AddCert(of.Cert)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	wanted, otherwise, none := serve(own, tls.RequireAndVerifyClientCert), serve(other, tls.VerifyClientCertIfGiven), serve(own, tls.NoClientCert)
	// Both in one file, and authorities in two, between other text.
	both := write(t, append(slices.Clone(cert), key...))
	cas := []string{
		write(t, append([]byte("a comment\n"), own.PEM()...)),
		write(t, append(other.PEM(), tlstest.Encode("CERTIFICATE", wanted.Certificate().Raw)...)),
	}
	trust, err := Identity{CAFiles: cas, CertFile: both, KeyFile: both}.TLS(t.Context())
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

// TestAuthoritiesOfWindows has the first of several authorities be read, which a byte
// order mark would hide, and all of those in UTF-16.
func TestAuthoritiesOfWindows(t *testing.T) {
	t.Parallel()
	a, b := tlstest.NewAuthority("one"), tlstest.NewAuthority("two")
	text := strings.ReplaceAll(string(a.PEM())+string(b.PEM()), "\n", "\r\n")
	wide := []byte{0xff, 0xfe}
	for _, c := range []byte(text) {
		wide = append(wide, c, 0)
	}
	for name, data := range map[string][]byte{"a byte order mark": []byte("\ufeff" + text), "UTF-16": wide} {
		cfg, err := Identity{CAFiles: []string{write(t, data)}}.TLS(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, trusted := range []*x509.Certificate{a.Cert, b.Cert} {
			if _, err := trusted.Verify(x509.VerifyOptions{Roots: cfg.RootCAs}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

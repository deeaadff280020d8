package transfer

import (
	"crypto/x509"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// TestRoots has a process without authorities of the system trust the program's own, unless
// the environment names some.
func TestRoots(t *testing.T) {
	t.Parallel()
	if os.Getenv("MIRROR_TEST_ROOTS") != "" {
		_, err := Identity{}.TLS(t.Context())
		check(t, err)
		for root := range bundle.Roots() {
			cert, err := x509.ParseCertificate(root.Certificate)
			check(t, err)
			_, err = cert.Verify(x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, CurrentTime: cert.NotBefore})
			check(t, err)
		}
		return
	}
	run := func(env ...string) error {
		c := exec.Command(os.Args[0], "-test.run=^TestRoots$")
		c.Env = append(os.Environ(), append(env, "MIRROR_TEST_ROOTS=1", "GODEBUG=x509usefallbackroots=1")...)
		return c.Run()
	}
	if err := run("SSL_CERT_FILE=", "SSL_CERT_DIR="); err != nil {
		t.Errorf("without authorities: %v", err)
	}
	own := write(t, tlstest.NewAuthority("own").PEM())
	if err := run("SSL_CERT_FILE="+own, "SSL_CERT_DIR=/none"); err == nil {
		t.Error("with SSL_CERT_FILE, others are trusted, too")
	}
}

package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/busytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// running is a handler at work.
type running struct {
	url  string
	stop context.CancelFunc
	// ended has what Run returned.
	ended chan error
}

func (w *world) run(t *testing.T, change func(*Options)) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r := &running{url: "http://" + l.Addr().String(), stop: stop, ended: make(chan error, 1)}
	h := w.handler(t, change)
	go func() { r.ended <- h.Run(ctx, l, nil) }()
	t.Cleanup(stop)
	return r
}

// begin begins a download, and stops reading in the middle of it.
func begin(t *testing.T, at string) *http.Response {
	t.Helper()
	resp, err := http.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<10); err != nil {
		t.Fatal(err)
	}
	return resp
}

// waitRefused waits until nobody accepts connections.
func waitRefused(t *testing.T, at string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
		if err != nil {
			return
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("connections are accepted")
		}
	}
}

// TestStop tells a server to end in the middle of a download.
func TestStop(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 2<<20)
	tests := map[string]struct {
		patience time.Duration
		whole    bool
	}{
		"the download comes to its end": {time.Minute, true},
		"it takes too long":             {50 * time.Millisecond, false},
		"it is not waited for":          {0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, content, "tool")
			r := w.run(t, func(o *Options) { o.ShutdownTimeout = test.patience })
			resp := begin(t, r.url+"/"+w.binary.Path)
			r.stop()
			waitRefused(t, r.url)
			if !test.whole {
				// The rest is read only when it is too late.
				if err := <-r.ended; err != nil {
					t.Error(err)
				}
			}
			rest, err := io.ReadAll(resp.Body)
			if whole := err == nil && len(rest) == len(content)-1<<10; whole != test.whole {
				t.Errorf("%d bytes more, %v", len(rest), err)
			}
			told := w.told()
			if !test.whole {
				if !strings.Contains(told, "took longer than ") {
					t.Errorf("problems: %q", told)
				}
				return
			}
			if err := <-r.ended; err != nil || told != "" {
				t.Errorf("%v, problems: %q", err, told)
			}
		})
	}
}

// TestListenerFails has a listener that ends by itself be an error.
func TestListenerFails(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := w.handler(t, nil).Run(t.Context(), l, nil); err == nil {
		t.Error("no error")
	}
}

// TestBodies sends bodies that nobody wants, and wants the next request to be answered all the same.
func TestBodies(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	r := w.run(t, nil)
	for _, size := range []int{1, 1 << 20} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			req, err := http.NewRequest(method, r.url+healthPath, bytes.NewReader(make([]byte, size)))
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
				resp.Body.Close()
			}
			if got := ask(t, "GET", r.url+healthPath); got.status != 200 {
				t.Errorf("after %s of %d bytes: %d", method, size, got.status)
			}
		}
	}
}

// TestPatience sends to clients that read slowly, and to those that do not read.
func TestPatience(t *testing.T) {
	tier.SkipUnlessThorough(t)
	const size = 16 << 20
	send := func(patience time.Duration, read func(net.Conn)) (int, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err == nil {
				read(conn)
				conn.Close()
			}
		}()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return (&stallTimeoutConn{Conn: conn, timeout: patience}).Write(make([]byte, size))
	}
	t.Run("slow", func(t *testing.T) {
		busytest.Try(t, func(patience time.Duration) error {
			n, err := send(patience, func(conn net.Conn) {
				for piece := make([]byte, 128<<10); ; time.Sleep(patience / 40) {
					if _, err := conn.Read(piece); err != nil {
						return
					}
				}
			})
			if err == nil && n != size {
				err = fmt.Errorf("%d bytes came", n)
			}
			return err
		})
	})
	t.Run("still", func(t *testing.T) {
		ended := make(chan struct{})
		defer close(ended)
		n, err := send(100*time.Millisecond, func(net.Conn) { <-ended })
		if n == size || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// pair writes a certificate of an authority of its own, and its key, to files of a name.
func pair(t *testing.T, dir, name string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	return pairUntil(t, dir, name, time.Hour)
}

func pairUntil(t *testing.T, dir, name string, until time.Duration) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	a := tlstest.NewAuthority(name)
	cert, key := a.Site(-2*time.Hour, until, "mirror")
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for at, data := range map[string][]byte{certFile: cert, keyFile: key} {
		if err := os.WriteFile(at, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, a.Pool()
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// TestTLS renews a certificate under a running server, in the two steps that it takes.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, pool := pair(t, dir, "first")
	w := newWorld(t, "binary", "tool")
	c, err := LoadCertificate(certFile, keyFile, w.options(t).Problem)
	if err != nil {
		t.Fatal(err)
	}
	r := w.run(t, func(o *Options) { o.Certificate, o.ShutdownTimeout = c, time.Minute })
	get := func(pool *x509.CertPool, change func(*tls.Config)) (*http.Response, error) {
		config := &tls.Config{RootCAs: pool, ServerName: "mirror"}
		if change != nil {
			change(config)
		}
		// What was looked at may have changed since.
		c.mu.Lock()
		c.checked = time.Time{}
		c.mu.Unlock()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}}
		resp, err := client.Get(strings.Replace(r.url, "http:", "https:", 1) + "/" + w.binary.Path)
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	resp, err := get(pool, nil)
	if err != nil || resp.StatusCode != 200 || resp.ProtoMajor != 1 {
		t.Fatal(resp, err)
	}
	if _, err := get(pool, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if _, err := get(x509.NewCertPool(), nil); err == nil {
		t.Error("whoever trusts nobody is served")
	}
	newCert, newKey, newPool := pair(t, dir, "second")
	rename(t, newCert, certFile)
	for range 2 {
		if _, err := get(pool, nil); err != nil {
			t.Errorf("while only the certificate is new: %v", err)
		}
	}
	if told := w.told(); strings.Count(told, "still using the previous certificate") != 1 {
		t.Errorf("problems: %s", told)
	}
	rename(t, newKey, keyFile)
	if _, err := get(newPool, nil); err != nil {
		t.Errorf("once both are new: %v", err)
	}
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	if _, err := get(newPool, nil); err != nil || strings.Count(w.told(), "still using the previous certificate") != 2 {
		t.Errorf("once it is gone: %v, problems: %s", err, w.told())
	}
	// What clients do is no problem of the server's, which notices it in its own time.
	refused := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.refused)
	}
	for deadline := time.Now().Add(30 * time.Second); refused() < 2 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if told := w.told(); refused() != 2 || strings.Count(told, "\n") != 2 {
		t.Errorf("%d connections refused, problems: %s", refused(), told)
	}
	// Whoever speaks HTTP there is told so.
	if got := ask(t, "GET", r.url+"/"); got.status != http.StatusBadRequest {
		t.Errorf("plain HTTP: %d", got.status)
	}
}

func TestLoadCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key, _ := pair(t, dir, "one")
	otherCert, otherKey, _ := pair(t, dir, "other")
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	encrypted := filepath.Join(dir, "encrypted")
	if err := os.WriteFile(encrypted, tlstest.Encode("ENCRYPTED PRIVATE KEY", []byte("x")), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ cert, key, err string }{
		"an encrypted key":       {cert, encrypted, "is encrypted"},
		"the key of another":     {cert, otherKey, "does not match"},
		"a certificate as a key": {cert, otherCert, "found a certificate rather than a key"},
		"a key as a certificate": {key, key, "may have been switched"},
		"no certificate":         {filepath.Join(dir, "none"), key, "none: no such file"},
		"no key":                 {cert, filepath.Join(dir, "none"), "none: no such file"},
		"a directory":            {dir, key, "not a regular file"},
		"an empty file":          {empty, key, "empty"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := LoadCertificate(test.cert, test.key, nil)
			if err == nil || !strings.Contains(fmt.Sprint(err), test.err) {
				t.Errorf("%v, want %s", err, test.err)
			}
		})
	}
}

// TestExpired has nobody wonder why agents refuse a certificate.
func TestExpired(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	cert, key, _ := pairUntil(t, t.TempDir(), "old", -time.Minute)
	if _, err := LoadCertificate(cert, key, w.options(t).Problem); err != nil {
		t.Fatal(err)
	}
	if told := w.told(); !strings.Contains(told, "old.crt has expired") {
		t.Errorf("problems: %q", told)
	}
}

// TestSuites wants TLS 1.2 with forward secrecy and authenticated encryption only.
func TestSuites(t *testing.T) {
	certFile, keyFile, pool := pair(t, t.TempDir(), "mirror")
	w := newWorld(t, "binary", "tool")
	c, err := LoadCertificate(certFile, keyFile, w.options(t).Problem)
	if err != nil {
		t.Fatal(err)
	}
	r := w.run(t, func(o *Options) { o.Certificate, o.ShutdownTimeout = c, time.Minute })
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if !slices.Contains(suite.SupportedVersions, tls.VersionTLS12) {
			continue
		}
		conn, err := tls.Dial("tcp", strings.TrimPrefix(r.url, "http://"), &tls.Config{
			RootCAs: pool, ServerName: "mirror", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID},
		})
		if err == nil {
			conn.Close()
		}
		modern := strings.HasPrefix(suite.Name, "TLS_ECDHE_") && (strings.Contains(suite.Name, "_GCM_") || strings.Contains(suite.Name, "_POLY1305_"))
		// The certificate's key has one of the two kinds.
		if fits := strings.Contains(suite.Name, "_ECDSA_"); (err == nil) != (modern && fits) {
			t.Errorf("%s: %v", suite.Name, err)
		}
	}
}

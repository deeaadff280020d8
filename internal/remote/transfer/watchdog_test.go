package transfer

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
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/busytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

func newTestClient(t *testing.T, trust *tls.Config) *Client {
	t.Helper()
	return newHastyClient(t, trust, nil, time.Minute)
}

// newHastyClient returns one with an idle timeout that a test can wait for.
func newHastyClient(t *testing.T, trust *tls.Config, limit *Limiter, idleTimeout time.Duration) *Client {
	t.Helper()
	transport := Options{TLS: trust, IdleTimeout: idleTimeout, Limit: limit}.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	return NewClient(transport, "the server", Options{IdleTimeout: idleTimeout})
}

// serve serves over TLS, by HTTP/2 if that is wanted.
func serve(t *testing.T, http2 bool, h http.HandlerFunc) (url string, trust *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.URL, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// read does a request and reads the answer.
func read(c *Client, req *http.Request) (string, error) {
	resp, err := c.Do(req, 0)
	if err != nil {
		return "", err
	}
	defer resp.Close()
	data, err := io.ReadAll(resp)
	return string(data), err
}

// drip passes what comes on, to the client a byte at a time.
func drip(t *testing.T, to string, pause time.Duration) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	pass := func(dst, src net.Conn, pause time.Duration) {
		defer dst.Close()
		buf := make([]byte, 64)
		for {
			n, err := src.Read(buf)
			for i := range n {
				_, _ = dst.Write(buf[i : i+1])
				time.Sleep(pause)
			}
			if err != nil {
				return
			}
		}
	}
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				return
			}
			go pass(out, in, 0)
			go pass(in, out, pause)
		}
	}()
	return ln.Addr().String()
}

// Of a line that gives a byte now and then, neither the handshake nor the
// header fields nor the body take too long, though each takes longer than the
// idleTimeout that there is.
func TestSlowIsNotStalled(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, trust := serve(t, http2, func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.WriteString(w, req.Proto+strings.Repeat(" body", 40))
			})
			busytest.Try(t, func(idleTimeout time.Duration) error {
				// The handshake alone has more than a thousand bytes.
				slow := "https://" + drip(t, strings.TrimPrefix(url, "https://"), idleTimeout/500)
				got, err := read(newHastyClient(t, trust, nil, idleTimeout), request(t, "GET", slow, nil))
				if err == nil && !strings.HasPrefix(got, name) {
					err = fmt.Errorf("it is %q", got)
				}
				return err
			})
		})
	}
}

// Silence is noticed wherever it falls.
func TestStalls(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			busytest.Try(t, func(idleTimeout time.Duration) error { return stalls(t, http2, idleTimeout) })
		})
	}
	t.Run("handshake", func(t *testing.T) {
		t.Parallel()
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		c := newHastyClient(t, nil, nil, 500*time.Millisecond)
		if _, err := read(c, request(t, "GET", "https://"+silent.Addr().String(), nil)); !errors.Is(err, ErrStalled) {
			t.Error(err)
		}
	})
}

// stalls asks a server that falls silent, and then speaks again.
func stalls(t *testing.T, http2 bool, idleTimeout time.Duration) error {
	end := make(chan struct{})
	defer close(end)
	var mute atomic.Bool
	url, trust := serve(t, http2, func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/body":
			_, _ = io.WriteString(w, "some")
			_ = http.NewResponseController(w).Flush()
		case "/upload":
			_, _ = io.ReadFull(req.Body, make([]byte, 10))
		}
		if mute.Load() {
			select {
			case <-req.Context().Done():
			case <-end:
			}
		}
	})
	mute.Store(true)
	c := newHastyClient(t, trust, nil, idleTimeout)
	for path, body := range map[string]io.Reader{"/header": nil, "/body": nil, "/upload": bytes.NewReader(make([]byte, 32<<20))} {
		method := "GET"
		if body != nil {
			method = "PUT"
		}
		_, err := read(c, request(t, method, url+path, body))
		// The connection that was silent before may be chosen again before it
		// is found closed: then the attempt is repeated, as it would be.
		for try := 0; try < 2 && body == nil && !errors.Is(err, ErrStalled) && Transient(err, 1); try++ {
			_, err = read(c, request(t, method, url+path, nil))
		}
		if !errors.Is(err, ErrStalled) || !Transient(err, 1) {
			return fmt.Errorf("%s is no stall: %w", path, err)
		}
	}
	// The connection that said nothing is not asked again.
	mute.Store(false)
	_, err := read(c, request(t, "GET", url, nil))
	return err
}

// A line may be cut under an HTTP/2 connection without a word: the next
// attempt must not be made over the same one.
func TestDeadConnectionIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	url, trust := serve(t, true, func(w http.ResponseWriter, req *http.Request) { _, _ = io.WriteString(w, "x") })
	m := newMortal(t, strings.TrimPrefix(url, "https://"))
	busytest.Try(t, func(idleTimeout time.Duration) error {
		m.dead.Store(false)
		c := newHastyClient(t, trust, nil, idleTimeout)
		if _, err := read(c, request(t, "GET", m.url, nil)); err != nil {
			return err
		}
		m.dead.Store(true)
		if _, err := read(c, request(t, "GET", m.url, nil)); !errors.Is(err, ErrStalled) {
			return fmt.Errorf("over the dead connection: %w", err)
		}
		_, err := read(c, request(t, "GET", m.url, nil))
		return err
	})
}

// mortal passes on connections, of which those die without a word that were made before.
type mortal struct {
	url  string
	dead atomic.Bool
}

func newMortal(t *testing.T, to string) *mortal {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	m := &mortal{url: "https://" + ln.Addr().String()}
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			go m.pass(in, out, !m.dead.Load())
		}
	}()
	return m
}

func (m *mortal) pass(in, out net.Conn, dies bool) {
	go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
	defer in.Close()
	buf := make([]byte, 1024)
	for {
		n, err := out.Read(buf)
		if err != nil {
			return
		}
		if !dies || !m.dead.Load() {
			_, _ = in.Write(buf[:n])
		}
	}
}

// One of two streams of a connection is starved by the other, for longer than
// a connection may be silent, and comes to its end.
func TestStreamsThatShareALine(t *testing.T) {
	t.Parallel()
	busytest.Try(t, func(idleTimeout time.Duration) error {
		const pieces = 75
		url, trust := serve(t, true, func(w http.ResponseWriter, req *http.Request) {
			flush := func(s string) { _, _ = io.WriteString(w, s); _ = http.NewResponseController(w).Flush() }
			flush("a")
			for range pieces {
				time.Sleep(3 * idleTimeout / pieces)
				if req.URL.Path == "/busy" {
					flush("x")
				}
			}
			flush("z")
		})
		c := newHastyClient(t, trust, nil, idleTimeout)
		busy := make(chan error)
		go func() {
			_, err := read(c, request(t, "GET", url+"/busy", nil))
			busy <- err
		}()
		got, err := read(c, request(t, "GET", url+"/starved", nil))
		if err == nil && got != "az" {
			err = fmt.Errorf("it is %q", got)
		}
		return errors.Join(err, <-busy)
	})
}

// What the system has taken of an upload, a slow line needs long for.
func TestSlowUpload(t *testing.T) {
	t.Parallel()
	tier.SkipUnlessThorough(t) // it takes five seconds
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what was acknowledged")
	}
	busytest.Try(t, func(idleTimeout time.Duration) error {
		size := 10 << 20
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			n, buf := 0, make([]byte, 64<<10)
			for {
				m, err := req.Body.Read(buf)
				n += m
				if err != nil {
					break
				}
				time.Sleep(time.Duration(m) * 10 * idleTimeout / time.Duration(size))
			}
			if n != size {
				w.WriteHeader(http.StatusBadRequest)
			}
		}))
		defer s.Close()
		body := &gaps{Reader: bytes.NewReader(make([]byte, size))}
		_, err := read(newHastyClient(t, nil, nil, idleTimeout), request(t, "PUT", s.URL, body))
		if err == nil && body.longest < idleTimeout {
			t.Skipf("the system never let a read wait for longer than %s", body.longest)
		}
		return err
	})
}

// gaps notes how long there was between reads.
type gaps struct {
	io.Reader
	last    time.Time
	longest time.Duration
}

func (g *gaps) Read(p []byte) (int, error) {
	if !g.last.IsZero() {
		g.longest = max(g.longest, time.Since(g.last))
	}
	g.last = time.Now()
	return g.Reader.Read(p)
}

// What is held back here is not the other side's silence.
func TestThrottledIsNotStalled(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, trust := serve(t, http2, func(w http.ResponseWriter, req *http.Request) {
				if n, _ := io.Copy(io.Discard, req.Body); n == 0 {
					_, _ = w.Write(make([]byte, 4000))
				}
			})
			busytest.Try(t, func(idleTimeout time.Duration) error {
				// All together take longer than anybody is patient.
				perSecond := int64(20_000 * float64(time.Second) / float64(idleTimeout))
				c := newHastyClient(t, trust, NewLimiter(perSecond), idleTimeout)
				errs := make([]error, 8)
				var wg sync.WaitGroup
				for i := range errs {
					req := request(t, "GET", url, nil)
					if i%2 == 0 {
						req = request(t, "PUT", url, bytes.NewReader(make([]byte, 4000)))
					}
					wg.Go(func() { _, errs[i] = read(c, req) })
				}
				wg.Wait()
				return errors.Join(errs...)
			})
		})
	}
}

// The time that whoever reads takes is not the other side's.
func TestRest(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	url, trust := serve(t, false, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
	busytest.Try(t, func(idleTimeout time.Duration) error {
		resp, err := newHastyClient(t, trust, nil, idleTimeout).Do(request(t, "GET", url, nil), 0)
		if err != nil {
			return err
		}
		defer resp.Close()
		time.Sleep(2 * idleTimeout)
		n, err := io.Copy(io.Discard, resp)
		if err == nil && n != 1<<20 {
			err = fmt.Errorf("%d bytes came", n)
		}
		return err
	})
}

func TestWatchGivesTheParentsReason(t *testing.T) {
	t.Parallel()
	parent, cancel := context.WithCancelCause(t.Context())
	w := NewWatchdog(parent, time.Hour)
	defer w.Stop()
	cause := errors.New("why")
	cancel(cause)
	if got := w.Reason(); got != cause {
		t.Error(got)
	}
}

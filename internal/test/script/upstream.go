package script

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// recorder counts requests.
type recorder struct {
	mu       sync.Mutex
	requests []string
}

func (r *recorder) add(request string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request)
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}

var recorders sync.Map

func recorded(ts *testscript.TestScript) *recorder {
	r, ok := recorders.Load(ts.Getenv("URL"))
	if !ok {
		ts.Fatalf("there is no upstream yet")
	}
	return r.(*recorder)
}

func serveUpstream(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: upstream DIR [DELAY|held|ipv6]")
	}
	network, address := "tcp4", "127.0.0.1:0"
	slow := func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter { return w }
	switch {
	case len(args) > 1 && args[1] == "ipv6":
		network, address = "tcp6", "[::1]:0"
	case len(args) > 1 && args[1] == "held":
		released := make(chan struct{})
		ts.Value(heldKey{}).(*held).released = released
		slow = func(w http.ResponseWriter, req *http.Request) http.ResponseWriter {
			return &holdingWriter{w, req, released, 24 << 10}
		}
	case len(args) > 1:
		delay, err := time.ParseDuration(args[1])
		ts.Check(err)
		slow = func(w http.ResponseWriter, req *http.Request) http.ResponseWriter { return slowWriter{w, delay, req} }
	}
	r := new(recorder)
	files := http.FileServer(http.Dir(ts.MkAbs(args[0])))
	instead := ts.Value(answersKey{}).(*answers)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.add(req.Method + " " + req.URL.Path)
		if !instead.give(w, req) {
			files.ServeHTTP(slow(w, req), req)
		}
	}))
	l, err := new(net.ListenConfig).Listen(context.Background(), network, address)
	ts.Check(err)
	_ = server.Listener.Close()
	server.Listener = l
	server.Start()
	ts.Defer(server.Close)
	ts.Setenv("URL", server.URL)
	recorders.Store(server.URL, r)
}

// held is what the last upstream holds back.
type held struct{ released chan struct{} }

// heldKey is the key of what is held in a script.
type heldKey struct{}

func release(ts *testscript.TestScript, _ bool, _ []string) {
	close(ts.Value(heldKey{}).(*held).released)
}

// holdingWriter sends so much, and the rest when it is released, or nothing once
// the client is gone.
type holdingWriter struct {
	http.ResponseWriter
	req      *http.Request
	released <-chan struct{}
	left     int
}

func (w *holdingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p[:min(len(p), w.left)])
	w.left -= n
	if err != nil || n == len(p) {
		return n, err
	}
	w.ResponseWriter.(http.Flusher).Flush()
	select {
	case <-w.released:
	case <-w.req.Context().Done():
		return n, w.req.Context().Err()
	}
	m, err := w.ResponseWriter.Write(p[n:])
	return n + m, err
}

// slowWriter sends a piece at a time, until the client is gone.
type slowWriter struct {
	http.ResponseWriter
	delay time.Duration
	req   *http.Request
}

func (w slowWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		piece := p[:min(len(p), 1<<10)]
		m, err := w.ResponseWriter.Write(piece)
		n += m
		if err != nil {
			return n, err
		}
		p = p[m:]
		w.ResponseWriter.(http.Flusher).Flush()
		select {
		case <-time.After(w.delay):
		case <-w.req.Context().Done():
			return n, w.req.Context().Err()
		}
	}
	return n, nil
}

func requests(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: requests N[+] PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	r := recorded(ts)
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, line := range r.requests {
		if pattern.MatchString(line) {
			n++
		}
	}
	least, open := strings.CutSuffix(args[0], "+")
	want, err := strconv.Atoi(least)
	ts.Check(err)
	if n < want || n > want && !open {
		ts.Fatalf("%d requests match, not %s:\n%s", n, args[0], strings.Join(r.requests, "\n"))
	}
}

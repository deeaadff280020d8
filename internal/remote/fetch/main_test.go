package fetch_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// TestMain also plays another process, which downloads what the environment says.
func TestMain(m *testing.M) {
	if url := os.Getenv("FETCH_TEST_URL"); url != "" {
		os.Exit(childMain(os.Getenv("FETCH_TEST_STORE"), url))
	}
	log.SetOutput(io.Discard) // net/http's, about servers that misbehave
	_ = os.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	os.Exit(tier.RunWaiting(m))
}

func childMain(dir, url string) int {
	s, err := store.Open(dir)
	if err == nil {
		var r fetch.Result
		r, err = fetch.New(fetch.Config{Store: s, Options: transfer.Options{Retry: transfer.Retry{Backoff: time.Millisecond}}}).Blob(context.Background(), fetch.Request{URL: url}, fetch.Observer{})
		fmt.Println(r.SHA256, r.Transferred, r.Reused)
	}
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// upstream is a server that stumbles as it is told: each request is answered
// by the next of its answers, and when there are none left, as it should be.
type upstream struct {
	*httptest.Server
	mu       sync.Mutex
	data     []byte
	etag     string
	modified time.Time
	// generation is Google's name for a version; 0 for none.
	generation int
	answers    []http.HandlerFunc
	requests   []*http.Request
}

// modified is a time before that of every test.
var modified = time.Date(2023, 4, 5, 6, 7, 8, 0, time.UTC)

func newUpstream(t testing.TB, data []byte, answers ...http.HandlerFunc) *upstream {
	t.Helper()
	u := unstarted(t, data, answers...)
	u.Start()
	return u
}

// secureUpstream is one with TLS, whose certificate all of them share.
func secureUpstream(t testing.TB, data []byte) *upstream {
	t.Helper()
	u := unstarted(t, data)
	u.StartTLS()
	return u
}

// trusted has a client trust it.
func (u *upstream) trusted(cfg *fetch.Config) {
	cfg.TLS = u.Client().Transport.(*http.Transport).TLSClientConfig
}

func unstarted(t testing.TB, data []byte, answers ...http.HandlerFunc) *upstream {
	u := &upstream{data: data, etag: `"v1"`, modified: modified, answers: answers}
	u.Server = httptest.NewUnstartedServer(u)
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	u.requests = append(u.requests, r.Clone(context.Background()))
	var answer http.HandlerFunc
	if len(u.answers) > 0 {
		answer, u.answers = u.answers[0], u.answers[1:]
	}
	u.mu.Unlock()
	if answer == nil {
		answer = u.right
	}
	answer(w, r)
}

// right answers as a good server does.
func (u *upstream) right(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	data, etag, modified, generation := u.data, u.etag, u.modified, strconv.Itoa(u.generation)
	u.mu.Unlock()
	if generation != "0" {
		w.Header().Set("X-Goog-Generation", generation)
		if wanted := r.URL.Query().Get("generation"); wanted != "" && wanted != generation {
			w.WriteHeader(http.StatusNotFound)
			return
		}
	}
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", modified, bytes.NewReader(data))
}

// then queues answers.
func (u *upstream) then(answers ...http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answers = append(u.answers, answers...)
}

// seen returns the requests so far, and forgets them.
func (u *upstream) seen() []*http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	seen := u.requests
	u.requests = nil
	return seen
}

// cut answers rightly, but for the connection, which breaks after n bytes of
// the body.
func (u *upstream) cut(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		u.right(&limited{ResponseWriter: w, left: n, end: func() { panic(http.ErrAbortHandler) }}, r)
	}
}

// stall answers rightly, but stops after n bytes of the body.
func (u *upstream) stall(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		u.right(&limited{ResponseWriter: w, left: n, end: func() {
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}}, r)
	}
}

// corrupt answers with a byte turned over.
func (u *upstream) corrupt(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	good := u.data
	u.data = slices.Clone(good)
	u.data[len(good)/2] ^= 1
	u.mu.Unlock()
	u.right(w, r)
	u.mu.Lock()
	u.data = good
	u.mu.Unlock()
}

// whole answers with the whole, whatever was asked for.
func (u *upstream) whole(w http.ResponseWriter, r *http.Request) {
	r.Header.Del("Range")
	u.right(w, r)
}

// careless answers with the range that was asked for, without a look at If-Range.
func (u *upstream) careless(w http.ResponseWriter, r *http.Request) {
	r.Header.Del("If-Range")
	u.right(w, r)
}

type limited struct {
	http.ResponseWriter
	left int
	end  func()
}

func (l *limited) Write(p []byte) (int, error) {
	n, err := l.ResponseWriter.Write(p[:min(len(p), l.left)])
	if l.left -= n; l.left == 0 && err == nil {
		_ = http.NewResponseController(l.ResponseWriter).Flush()
		l.end()
	}
	return n, err
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "no")
	}
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

// raw answers with bytes that no good server sends.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

func random(n int) []byte {
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(data)
	return data
}

// events is an observer that writes down what it is told.
type events struct {
	mu       sync.Mutex
	log      []string
	received int
}

func (e *events) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.log = append(e.log, fmt.Sprintf(format, args...))
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.log, "\n")
}

func (e *events) count(prefix string) (n int) {
	for line := range strings.Lines(e.String()) {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

// stalled reports whether attempts stalled so often, and none failed for another
// reason. On a busy machine more may: the server has to wait, too.
func (e *events) stalled(times int) bool {
	n := e.count("retrying")
	return n >= times && strings.Count(e.String(), "the connection stalls") == n
}

func (e *events) observer() fetch.Observer {
	return fetch.Observer{
		Waiting:   func() { e.add("waiting") },
		Started:   func(total int64) { e.add("started %d", total) },
		Resumed:   func(offset int64) { e.add("resumed %d", offset) },
		Restarted: func(reason string) { e.add("restarted: %s", reason) },
		Retrying:  func(err error, pause time.Duration) { e.add("retrying after %s: %v", pause, err) },
		Received: func(n int) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.received += n
		},
	}
}

type fixture struct {
	*events
	store  *store.Store
	client *fetch.Client
}

// fixed returns a client with a short idle timeout, over a store of its own.
func fixed(t testing.TB, change ...func(*fetch.Config)) *fixture {
	t.Helper()
	return over(t, t.TempDir(), change...)
}

func over(t testing.TB, dir string, change ...func(*fetch.Config)) *fixture {
	t.Helper()
	s, err := store.Open(dir)
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	cfg := fetch.Config{Store: s, Options: transfer.Options{UserAgent: "botkube-mirror/v1.2.3", IdleTimeout: 10 * time.Second, Retry: transfer.Retry{Backoff: time.Millisecond}}}
	for _, f := range change {
		f(&cfg)
	}
	c := fetch.New(cfg)
	t.Cleanup(c.Close)
	return &fixture{&events{}, s, c}
}

// impatient has stalls noticed soon, and any number of those forgiven that only a
// busy machine makes.
func impatient(cfg *fetch.Config) { cfg.IdleTimeout, cfg.Retry.Limit = 200*time.Millisecond, 100 }

func (f *fixture) blob(t testing.TB, req fetch.Request) (fetch.Result, error) {
	t.Helper()
	return f.client.Blob(t.Context(), req, f.observer())
}

// want fetches and compares.
func (f *fixture) want(t testing.TB, req fetch.Request, data []byte) fetch.Result {
	t.Helper()
	r, err := f.blob(t, req)
	if err != nil {
		t.Fatalf("%v\n%s", err, f)
	}
	if r.SHA256 != lock.Sum(data) || r.Size != int64(len(data)) {
		t.Fatalf("got sha256:%s, %d bytes; want sha256:%s, %d bytes", r.SHA256, r.Size, lock.Sum(data), len(data))
	}
	got, err := f.store.ReadAll(r.SHA256, 1<<30)
	check(t, err)
	if !bytes.Equal(got, data) {
		t.Fatal("the store has something else")
	}
	return r
}

// wantFault fetches and compares the error.
func (f *fixture) wantFault(t testing.TB, req fetch.Request, kind fault.Kind, texts ...string) error {
	t.Helper()
	r, err := f.blob(t, req)
	if err == nil {
		t.Fatalf("no error but %+v", r)
	}
	wantFault(t, err, kind, texts...)
	return err
}

func wantFault(t testing.TB, err error, kind fault.Kind, texts ...string) {
	t.Helper()
	if fault.KindOf(err) != kind {
		t.Errorf("kind %d, want %d: %v", fault.KindOf(err), kind, err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q lacks %q", err, text)
		}
	}
}

// wantNothing checks that neither a blob nor a partial download is there.
func (f *fixture) wantNothing(t testing.TB) {
	t.Helper()
	for _, dir := range []string{"blobs/sha256", "ingest", "urls"} {
		entries, err := os.ReadDir(f.store.Dir() + "/" + dir)
		check(t, err)
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), "run-") {
				t.Errorf("%s/%s was kept", dir, e.Name())
			}
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sha256Of(data []byte) []agent.Checksum {
	return []agent.Checksum{{Algorithm: "sha256", Hex: lock.Sum(data).String()}}
}

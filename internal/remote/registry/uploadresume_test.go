package registry_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// resuming is a registry that keeps what it got of a broken PATCH, as the
// specification has it and distribution does not. Its upload is all there is to
// it.
type resuming struct {
	t testing.TB
	// cuts are after how many bytes PATCH requests break.
	cuts []int64
	// forgets has a status request find nothing.
	forgets bool
	// stumbles has a status request fail, always.
	stumbles bool
	// lies has it find every digest wrong so often.
	lies int
	// tokens has it ask for a bearer token, which expires with each session
	// that is opened.
	tokens bool

	mu       sync.Mutex
	token    int
	expired  int
	data     []byte
	received int64
	ranges   []string
	sessions int
	done     lock.SHA256
}

func (g *resuming) start() *registry.Repository {
	srv := httptest.NewServer(g)
	g.t.Cleanup(srv.Close)
	return plain(g.t, strings.TrimPrefix(srv.URL, "http://"))
}

func (g *resuming) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if req.URL.Path == "/token" {
		g.token++
		_, _ = fmt.Fprintf(w, `{"token":"t%d"}`, g.token)
		return
	}
	if g.tokens && (g.token == g.expired || req.Header.Get("Authorization") != fmt.Sprintf("Bearer t%d", g.token)) {
		wantToken(w, req.Host)
		return
	}
	switch req.Method {
	case http.MethodPost:
		g.sessions++
		g.data = nil
		if g.sessions == 1 {
			g.expired = g.token
		}
		location := fmt.Sprintf("/elsewhere/%d?signed=a%%2Bb", g.sessions)
		if req.TLS != nil {
			location = "http://" + req.Host + location
		}
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPatch:
		g.patch(w, req)
	case http.MethodGet:
		g.status(w, req)
	case http.MethodPut:
		g.put(w, req)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (g *resuming) status(w http.ResponseWriter, req *http.Request) {
	switch {
	case req.URL.Path == "/v2/":
	case g.stumbles:
		w.WriteHeader(http.StatusServiceUnavailable)
	case g.forgets:
		w.WriteHeader(http.StatusNotFound)
	default:
		g.placed(w, req)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (g *resuming) placed(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Location", req.URL.RequestURI())
	if len(g.data) > 0 {
		w.Header().Set("Range", fmt.Sprintf("0-%d", len(g.data)-1))
	}
}

func (g *resuming) patch(w http.ResponseWriter, req *http.Request) {
	r := req.Header.Get("Content-Range")
	g.ranges = append(g.ranges, r)
	if from := len(g.data); r != "" && !strings.HasPrefix(r, fmt.Sprintf("%d-", from)) || r == "" && from > 0 {
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return
	}
	body := io.Reader(req.Body)
	cut := len(g.cuts) > 0
	if cut {
		body, g.cuts = io.LimitReader(body, g.cuts[0]), g.cuts[1:]
	}
	got, _ := io.ReadAll(body)
	g.data = append(g.data, got...)
	g.received += int64(len(got))
	if cut {
		panic(http.ErrAbortHandler)
	}
	g.placed(w, req)
	w.WriteHeader(http.StatusAccepted)
}

func (g *resuming) put(w http.ResponseWriter, req *http.Request) {
	if req.URL.Query().Get("signed") != "a+b" || !strings.Contains(req.URL.RawQuery, "signed=a%2Bb") {
		g.t.Errorf("query %q", req.URL.RawQuery)
	}
	d := lock.Sum(g.data)
	if g.lies > 0 || req.URL.Query().Get("digest") != "sha256:"+d.String() {
		g.lies--
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}`)
		return
	}
	g.done = d
	w.WriteHeader(http.StatusCreated)
}

func TestUploadResumes(t *testing.T) {
	t.Parallel()
	blob, data := content(t, 8<<20)
	for _, test := range []struct {
		name               string
		g                  *resuming
		received, sessions int64
		ranges             int
	}{
		{"whole", &resuming{}, blob.Size, 1, 1},
		{"cut", &resuming{cuts: []int64{1 << 20, 2 << 20, 3 << 20}}, blob.Size, 1, 4},
		{"cut at the first byte", &resuming{cuts: []int64{0}}, blob.Size, 2, 2},
		// One byte is told as nothing is, by some.
		{"cut after the first byte", &resuming{cuts: []int64{1}}, blob.Size + 1, 2, 2},
		{"cut at the last byte", &resuming{cuts: []int64{8<<20 - 1}}, blob.Size, 1, 2},
		{"cut after the last byte", &resuming{cuts: []int64{8 << 20}}, blob.Size, 1, 1},
		{"forgetful", &resuming{cuts: []int64{1 << 20}, forgets: true}, blob.Size + 1<<20, 2, 2},
		{"stumbling", &resuming{cuts: []int64{1 << 20}, stumbles: true}, blob.Size + 1<<20, 2, 2},
		{"cut more often than it may fail", &resuming{cuts: []int64{1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20}}, blob.Size, 1, 8},
		{"digest found wrong once", &resuming{lies: 1}, 2 * blob.Size, 2, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := test.g
			g.t = t
			_, err := g.start().Upload(t.Context(), blob, inFile(t, data), nil)
			check(t, err)
			if g.done != blob.SHA256 || g.received != test.received || int64(g.sessions) != test.sessions || len(g.ranges) != test.ranges {
				t.Errorf("received %d bytes in %d sessions, ranges %q", g.received, g.sessions, g.ranges)
			}
		})
	}
}

// A registry behind a proxy that opens TLS may take itself for one of http: its
// locations are followed in https.
func TestUploadLocationInClear(t *testing.T) {
	t.Parallel()
	blob, data := content(t, 1<<20)
	g := &resuming{t: t, cuts: []int64{1000}}
	srv := httptest.NewTLSServer(g)
	t.Cleanup(srv.Close)
	r := open(t, newClient(t, registry.Config{Insecure: true}), strings.TrimPrefix(srv.URL, "https://"), true)
	_, err := r.Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	if g.done != blob.SHA256 || g.received != blob.Size {
		t.Errorf("received %d bytes", g.received)
	}
}

func TestUploadDigestWrong(t *testing.T) {
	t.Parallel()
	blob, data := content(t, 1<<20)
	g := &resuming{t: t, lies: 10}
	_, err := g.start().Upload(t.Context(), blob, opener(data), nil)
	checkFails(t, err, fault.Integrity, "the registry received other content", "DIGEST_INVALID")
	if g.sessions != 2 {
		t.Errorf("%d sessions", g.sessions)
	}
}

// A token that expires once the upload has begun is replaced, though the
// library's attempt to send the request again finds its body gone.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 100, 8 << 20} {
		blob, data := content(t, size)
		g := &resuming{t: t, tokens: true}
		_, err := g.start().Upload(t.Context(), blob, opener(data), nil)
		check(t, err)
		if g.done != blob.SHA256 || g.token != 2 {
			t.Errorf("%d tokens", g.token)
		}
	}
}

// What a token server answers is not shown: it may be a token.
func TestTokenServerWrong(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`{"acces_token":"` + registrytest.Password + `"}`, registrytest.Password} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/token" {
				_, _ = io.WriteString(w, answer)
				return
			}
			wantToken(w, req.Host)
		}))
		t.Cleanup(srv.Close)
		n, err := registry.ParseRepository(strings.TrimPrefix(srv.URL, "http://") + "/x")
		check(t, err)
		_, err = newClient(t, registry.Config{PlainHTTP: true, Credentials: login}).Repository(t.Context(), n, true)
		checkFails(t, err, fault.Upstream)
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	p := reg.Proxy(t, registrytest.Fault{Path: "/v2/", Status: 503, Times: 1},
		registrytest.Fault{Path: "/v2/", Status: 429, Times: 1, Header: http.Header{"Retry-After": {"1"}}})
	c := newClient(t, registry.Config{PlainHTTP: true})
	n, err := registry.ParseRepository(p.Host + "/a")
	check(t, err)
	begun := time.Now()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			r, err := c.Repository(t.Context(), n, true)
			if err != nil {
				t.Error(err)
				return
			}
			blob, data := content(t, 100<<10+i)
			if _, err := r.Upload(t.Context(), blob, opener(data), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if d := time.Since(begun); d < time.Second {
		t.Errorf("came back after %s", d)
	}
	if n := len(p.Requests("GET", "")); n != 3 {
		t.Errorf("%d questions", n)
	}
	p = reg.Proxy(t, registrytest.Fault{Path: "/v2/", Status: 429, Header: http.Header{"Retry-After": {"3600"}}})
	n, err = registry.ParseRepository(p.Host + "/a")
	check(t, err)
	_, err = c.Repository(t.Context(), n, true)
	checkFails(t, err, fault.Upstream, "it asks to wait 1h0m0s")
}

// TestStallOfLargeUpload: nothing is left running, as [tier.RunWaiting] finds out.
func TestStallOfLargeUpload(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	p := reg.Proxy(t, registrytest.Fault{Method: "PATCH", Do: registrytest.StallRequest, At: 1000})
	c := newClient(t, registry.Config{PlainHTTP: true, Options: transfer.Options{IdleTimeout: hasty, Retry: transfer.Retry{Limit: 2}}})
	r := open(t, c, p.Host, true)
	blob, data := content(t, 32<<20)
	_, err := r.Upload(t.Context(), blob, opener(data), nil)
	checkFails(t, err, fault.Upstream, "the connection stalls")
}

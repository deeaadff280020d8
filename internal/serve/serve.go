// Package serve answers agents over HTTP with the files of a site, from a site or from bundles.
//
// It serves what locks name, and nothing else: see package site. It verifies a file
// before it sends the first byte.
package serve

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// Options say what is served, and how.
type Options struct {
	// Versions have different tags.
	Versions []form.Version
	// BaseURL is what URLs in indexes begin with, or empty for the host that each request names.
	BaseURL string
	// Certificate, if not nil, has requests come over TLS.
	Certificate *Certificate
	// ShutdownTimeout is how long requests may go on once the server is told to end.
	ShutdownTimeout time.Duration
	// Access is called for every answered request, Refused for every connection without a request,
	// Problem for what is wrong with this server. None may be nil. All are called concurrently.
	Access  func(Access)
	Refused func(error)
	Problem func(error)
}

// Access is a request that was answered.
type Access struct {
	Began    time.Time
	Duration time.Duration
	// Remote is the address of the connection.
	Remote string
	Method string
	// Path is escaped, as in a URL, without the query, which may hold secrets.
	Path string
	// Status is 0 if the connection was cut before there was one.
	Status int
	// Bytes is how much of a body was written.
	Bytes     int64
	UserAgent string
	// Probe says that the request was for [healthPath].
	Probe bool
}

// healthPath is answered with 200.
const healthPath = "/" + healthRoute

const healthRoute = "healthz"

// Handler is an [http.Handler] of the versions.
type Handler struct {
	options Options
	// prefix is the path of the base URL.
	prefix   string
	routes   map[string]route
	renders  renderCache
	pages    pageCache
	verifier *verifier
	running  atomic.Int64
}

// route answers a GET or HEAD of one path.
type route func(http.ResponseWriter, *http.Request)

// New returns a handler, which verifies files until ctx is done. It renders the documents for the
// base URL example at once, so that one that cannot be rendered is an error now.
func New(ctx context.Context, o Options, example string) (*Handler, error) {
	h := &Handler{options: o, routes: map[string]route{}, verifier: newVerifier(ctx)}
	if o.BaseURL != "" {
		example = o.BaseURL
		u, err := url.Parse(o.BaseURL)
		if err != nil {
			return nil, err
		}
		h.prefix = strings.TrimSuffix(u.Path, "/")
	}
	h.addPages()
	h.routes[healthRoute] = func(w http.ResponseWriter, r *http.Request) { writeText(w, r, "ok\n") }
	for i := range o.Versions {
		v := &o.Versions[i]
		documents, err := h.renders.get(v, example)
		if err != nil {
			return nil, err
		}
		for p := range documents {
			h.routes[p] = func(w http.ResponseWriter, r *http.Request) { h.document(w, r, v, p) }
		}
		for _, f := range site.Files(v.Lock) {
			h.routes[f.Path] = func(w http.ResponseWriter, r *http.Request) { h.file(w, r, v, f) }
		}
	}
	return h, nil
}

// bodyTimeout is how long a request's body, which is never used, may take to arrive.
const bodyTimeout = 5 * time.Second

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	h.running.Add(1)
	defer h.running.Add(-1)
	out := &response{ResponseWriter: w, head: r.Method == http.MethodHead}
	defer func() {
		h.options.Access(Access{
			Began: began, Duration: time.Since(began), Remote: r.RemoteAddr, Method: r.Method, Path: r.URL.EscapedPath(),
			Status: out.status, Bytes: out.bytes, UserAgent: r.UserAgent(),
			Probe: r.URL.Path == healthPath || r.URL.Path == h.prefix+healthPath,
		})
	}()
	if r.ContentLength != 0 {
		// net/http reads the body before the next request.
		_ = http.NewResponseController(w).SetReadDeadline(began.Add(bodyTimeout))
	}
	h.answer(out, r)
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "files can only be read")
		return
	}
	found := h.find(r.URL.Path)
	if found == nil {
		refuse(w, http.StatusNotFound, "there is no such file")
		return
	}
	found(w, r)
}

// find returns the route of a path, with or without the path of the base URL: a proxy
// may remove that.
func (h *Handler) find(p string) route {
	if rest, ok := strings.CutPrefix(p, h.prefix+"/"); ok && h.routes[rest] != nil {
		return h.routes[rest]
	}
	rest, ok := strings.CutPrefix(p, "/")
	if !ok {
		return nil
	}
	return h.routes[rest]
}

// refuse answers with an error that no cache may keep.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, why, status)
}

// response records the status and the size of an answer.
type response struct {
	http.ResponseWriter
	// head says that nothing of a body is sent.
	head   bool
	status int
	bytes  int64
	// direct is the connection, if a large file may bypass net/http.
	direct *stallTimeoutConn
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.decideDirect(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	if !w.head {
		w.bytes += int64(n)
	}
	return n, err
}

// Unwrap is for [http.ResponseController].
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

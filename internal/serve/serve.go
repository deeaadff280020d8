// Package serve answers agents over HTTP with the files of a site, from a site or from bundles.
//
// It serves what locks name, and nothing else: see package site. It verifies a file
// before it sends the first byte.
package serve

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what is served, and how.
type Options struct {
	// Library is what is served.
	Library *Library
	// BaseURL is what URLs in indexes begin with, or empty for the host that each request names.
	BaseURL string
	// Certificate, if not nil, has requests come over TLS.
	Certificate *Certificate
	// Passwords, if not nil, are those that all but probes must have one of.
	Passwords *Passwords
	// ShutdownTimeout is how long requests may go on once the server is told to end.
	ShutdownTimeout time.Duration
	// Interval is how often the library is looked at for changes, or 0; Hangup has it done at once.
	Interval time.Duration
	Hangup   <-chan os.Signal
	// Grace is how long a version that was replaced or removed can still be downloaded.
	Grace time.Duration
	// Changed is called for every change of what is served. It may not be nil.
	Changed func(Change)
	// Connections bounds the open ones, ConnectionsOfAddress those from one address; 0 is the
	// default.
	Connections, ConnectionsOfAddress int
	// Program is the version of this program.
	Program string
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
	// Probe says that the request was for [healthPath] or [readyPath].
	Probe bool
}

// healthPath is answered with 200 as long as requests are answered, readyPath only if there is
// something to serve.
const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

// Handler is an [http.Handler] of the versions.
type Handler struct {
	options Options
	// prefix is the path of the base URL, example the base URL that documents are tried with.
	prefix, example string
	catalog         atomic.Pointer[catalog]
	renders         renderCache
	verifier        *verifier
	running         atomic.Int64
	stopping        atomic.Bool
	metrics         metrics
	// connections are those of [Handler.Run].
	connections atomic.Pointer[connections]

	// mu is for retired, which are the versions that can still be downloaded, the latest last.
	mu      sync.Mutex
	retired []*version
}

// route answers a GET or HEAD of one path.
type route func(http.ResponseWriter, *http.Request)

// catalog is what is served at a moment. It does not change: a change makes another one.
type catalog struct {
	// versions are those that are not retired, the newest first.
	versions []*version
	pages    pageCache
	paths    map[string]*place
}

// place is what is at a path. Version is whose it is, or nil.
type place struct {
	version *version
	answer  route
}

// New returns a handler, which verifies files until ctx is done. It renders the documents for the
// base URL example at once, so that one that cannot be rendered is an error now.
func New(ctx context.Context, o Options, example string) (*Handler, error) {
	h := &Handler{options: o, verifier: newVerifier(ctx)}
	h.metrics = metrics{started: time.Now(), requests: map[requestLabels]int64{}, bytes: map[string]int64{}}
	h.metrics.lastChangeUnix.Store(h.metrics.started.Unix())
	h.metrics.failing.Store(o.Library.failing())
	h.options.Problem = func(err error) {
		h.metrics.problems.Add(1)
		o.Problem(err)
	}
	o.Library.problem = h.options.Problem
	if o.Certificate != nil {
		o.Certificate.problem = h.options.Problem
	}
	if o.Passwords != nil {
		o.Passwords.problem = h.options.Problem
	}
	if o.BaseURL != "" {
		example = o.BaseURL
		u, err := url.Parse(o.BaseURL)
		if err != nil {
			return nil, err
		}
		h.prefix = strings.TrimSuffix(u.Path, "/")
	}
	h.example = example
	versions := o.Library.versions()
	for _, v := range versions {
		if _, err := h.renders.get(v.Version, example); err != nil {
			return nil, err
		}
	}
	h.publish(versions)
	return h, nil
}

// healthy answers that requests are answered.
func (h *Handler) healthy(w http.ResponseWriter, r *http.Request) { writeText(w, r, "ok\n") }

// ready answers whether there is something to serve.
func (h *Handler) ready(w http.ResponseWriter, r *http.Request) {
	if h.stopping.Load() {
		refuse(w, http.StatusServiceUnavailable, "the server ends")
		return
	}
	if len(h.catalog.Load().versions) == 0 {
		refuse(w, http.StatusServiceUnavailable, "there is nothing to serve yet")
		return
	}
	writeText(w, r, "ok\n")
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
		h.metrics.count(out.version, out.status, out.bytes)
		h.options.Access(Access{
			Began: began, Duration: time.Since(began), Remote: r.RemoteAddr, Method: r.Method, Path: r.URL.EscapedPath(),
			Status: out.status, Bytes: out.bytes, UserAgent: r.UserAgent(),
			Probe: isProbe(r.URL.Path) || isProbe(strings.TrimPrefix(r.URL.Path, h.prefix)),
		})
	}()
	if r.ContentLength != 0 {
		// net/http reads the body before the next request.
		_ = http.NewResponseController(w).SetReadDeadline(began.Add(bodyTimeout))
	}
	h.answer(out, r)
}

// cache says how an answer may be kept: by no cache that others share if there are passwords.
func (h *Handler) cache(w http.ResponseWriter, directive string) {
	if h.options.Passwords != nil {
		directive = "private, " + strings.TrimPrefix(directive, "public, ")
	}
	w.Header().Set("Cache-Control", directive)
}

func isProbe(path string) bool { return path == healthPath || path == readyPath }

func (h *Handler) answer(w *response, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "files can only be read")
		return
	}
	if !h.authorized(w, r) {
		return
	}
	found := h.find(r.URL.Path)
	if found == nil {
		refuse(w, http.StatusNotFound, "there is no such file")
		return
	}
	if found.version != nil {
		defer found.version.leave()
		w.version = found.version.Tag
	}
	found.answer(w, r)
}

// find returns what is at a path, with or without the path of the base URL: a proxy
// may remove that. The caller leaves the version.
func (h *Handler) find(p string) *place {
	if p == h.prefix && p != "" {
		return withSlash(path.Base(p))
	}
	if rest, ok := strings.CutPrefix(p, h.prefix+"/"); ok {
		if found := h.at(rest); found != nil {
			return found
		}
	}
	rest, ok := strings.CutPrefix(p, "/")
	if !ok {
		return nil
	}
	return h.at(rest)
}

// at returns what is at a path below the base URL.
func (h *Handler) at(p string) *place {
	for {
		found := h.catalog.Load().paths[p]
		if found == nil || found.version == nil || found.version.enter() {
			return found
		}
		// It was closed, so there is another catalog now.
	}
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
	// version is the tag of the version that was asked for, or empty.
	version string
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

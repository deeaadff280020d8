// Package serve is the HTTP server for agents. It serves the files of a site, from a site or from
// bundles: only files that locks name. It verifies a file before it sends the first byte.
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

// Options are the settings of a server.
type Options struct {
	// Library is the content to serve.
	Library *Library
	// BaseURL is the beginning of URLs in indexes; empty means http or https and the Host of each
	// request.
	BaseURL string
	// Certificate, if not nil, turns TLS on.
	Certificate *Certificate
	// Passwords, if not nil, are required for all requests but probes.
	Passwords *Passwords
	// ShutdownTimeout is how long running requests may continue after the server is told to stop.
	ShutdownTimeout time.Duration
	// Interval is how often the library is checked for changes; 0 means never. A signal on Hangup
	// checks it at once.
	Interval time.Duration
	Hangup   <-chan os.Signal
	// Grace is how long a replaced or removed version can still be downloaded.
	Grace time.Duration
	// Changed is called for each change of the served content. It must not be nil.
	Changed func(Change)
	// Connections is how many connections may be open, ConnectionsOfAddress how many from one address;
	// 0 means the default.
	Connections, ConnectionsOfAddress int
	// Program is the version of this program.
	Program string
	// Access is called for each answered request, Refused for each connection without a request, and
	// Problem for each problem of this server. None may be nil. Calls may be concurrent.
	Access  func(Access)
	Refused func(error)
	Problem func(error)
}

// Access describes an answered request.
type Access struct {
	Began    time.Time
	Duration time.Duration
	// Remote is the address of the connection.
	Remote string
	Method string
	// Path is escaped, as in a URL. It has no query, which may have secrets.
	Path string
	// Status is the HTTP status; 0 if the connection was cut before the answer.
	Status int
	// Bytes is how many bytes of a body were written.
	Bytes     int64
	UserAgent string
	// Probe says that the request was for [healthPath] or [readyPath].
	Probe bool
}

// healthPath is answered with 200 as long as the server runs, readyPath only if it has something to
// serve.
const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

// Handler is an [http.Handler] for the versions of a library.
type Handler struct {
	options Options
	// prefix is the path of the base URL, example a base URL for which documents are rendered as a
	// test.
	prefix, example string
	catalog         atomic.Pointer[catalog]
	renders         renderCache
	verifier        *verifier
	running         atomic.Int64
	stopping        atomic.Bool
	metrics         metrics
	// connections is the listener of [Handler.Run].
	connections atomic.Pointer[connections]

	// mu is for retired: replaced and removed versions that can still be downloaded, the latest last.
	mu      sync.Mutex
	retired []*version
}

// route answers a GET or HEAD of one path.
type route func(http.ResponseWriter, *http.Request)

// catalog is what is served at one time. It does not change: each change makes a new one.
type catalog struct {
	// versions has the versions that are not retired, the newest first.
	versions []*version
	pages    pageCache
	paths    map[string]*place
}

// place is the content of a path. Version is the version that it belongs to, or nil.
type place struct {
	version *version
	answer  route
}

// New returns a handler, which verifies files until ctx is done. It renders all documents for the base
// URL example, so that a problem is an error now and not at the first request.
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

// healthy answers the liveness probe.
func (h *Handler) healthy(w http.ResponseWriter, r *http.Request) { writeText(w, r, "ok\n") }

// ready answers the readiness probe.
func (h *Handler) ready(w http.ResponseWriter, r *http.Request) {
	if h.stopping.Load() {
		refuse(w, http.StatusServiceUnavailable, "the server is stopping")
		return
	}
	if len(h.catalog.Load().versions) == 0 {
		refuse(w, http.StatusServiceUnavailable, "there is nothing to serve yet")
		return
	}
	writeText(w, r, "ok\n")
}

// bodyTimeout is how long a request's body may take to arrive. No body is used.
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

// cache sets Cache-Control. With passwords, no shared cache may keep the answer.
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
		refuse(w, http.StatusMethodNotAllowed, "only GET and HEAD are allowed")
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

// find returns the content of a path, with or without the path of the base URL, which a proxy may
// remove. The caller must call leave on the version.
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

// at returns the content of a path below the base URL.
func (h *Handler) at(p string) *place {
	for {
		found := h.catalog.Load().paths[p]
		if found == nil || found.version == nil || found.version.enter() {
			return found
		}
		// The version was closed, so there is a new catalog now.
	}
}

// refuse answers with a status and a reason. No cache may keep the answer.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, why, status)
}

// response records the status and the size of an answer.
type response struct {
	http.ResponseWriter
	// head says that no body is sent.
	head   bool
	status int
	bytes  int64
	// version is the tag of the requested version, or empty.
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

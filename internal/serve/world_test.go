package serve

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

var linux = agent.Platform{OS: "linux", Arch: "amd64"}

// world is a version whose files lie in a directory, as in a site.
type world struct {
	dir     string
	version form.Version
	// binary and dependency are its files.
	binary, dependency site.File
	// opened counts how often a file was opened.
	mu     sync.Mutex
	opened int
	// problems, refused and accesses are what a handler told.
	problems, refused []error
	accesses          []Access
}

const (
	binaryURL     = "https://plugins.example.com/executor_echo.tar.gz"
	dependencyURL = "https://tools.example.com/tool"
	indexURL      = "https://plugins.example.com/plugins-index.yaml"
)

// upstreamIndex is a [pluginsdir.Indexes].
type upstreamIndex string

func (ix upstreamIndex) Index(agent.Platform, lock.Repository) (pluginsdir.Index, error) {
	return pluginsdir.Index{Data: []byte(ix)}, nil
}

func newWorld(t *testing.T, binary, dependency string) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	index := fmt.Sprintf("entries:\n  - {name: echo, type: executor, version: v1, urls: [{url: %q, platform: {os: linux, architecture: amd64}, dependencies: {tool: {url: %q}}}]}\n", binaryURL, dependencyURL)
	l := &lock.Lock{
		SchemaVersion: lock.SchemaVersion, BotkubeVersion: "v1.14.0", Platforms: []agent.Platform{linux},
		Repositories: []lock.Repository{{Name: "demo", URL: indexURL, Index: blobOf(index)}},
		Plugins: []lock.Plugin{{Repository: "demo", Type: agent.Executor, Name: "echo", Version: "v1", Builds: []lock.Build{
			{Platform: linux, URL: binaryURL, Dependencies: []lock.Dependency{{Name: "tool", URL: dependencyURL}}},
		}}},
		Artifacts: []lock.Artifact{
			{URL: binaryURL, Blob: blobOf(binary), VerifiedBy: lock.ByNone},
			{URL: dependencyURL, Blob: blobOf(dependency), VerifiedBy: lock.ByNone},
		},
	}
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	w.binary = site.File{Path: site.FilePath(l.Artifacts[0]), Blob: l.Artifacts[0].Blob}
	w.dependency = site.File{Path: site.FilePath(l.Artifacts[1]), Blob: l.Artifacts[1].Blob}
	w.write(t, w.binary.Path, binary)
	w.write(t, w.dependency.Path, dependency)
	w.version = form.Version{Tag: "v1.14.0", Lock: l, Indexes: upstreamIndex(index), Open: w.open}
	return w
}

func blobOf(content string) lock.Blob {
	return lock.Blob{Size: int64(len(content)), SHA256: lock.Sum([]byte(content))}
}

// write replaces a file by one that was last changed so long ago that its description can be trusted.
func (w *world) write(t *testing.T, path, content string) {
	t.Helper()
	at := filepath.Join(w.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	temp := at + ".new"
	old := time.Now().Add(-time.Hour)
	err := os.WriteFile(temp, []byte(content), 0o644)
	if err == nil {
		err = os.Chtimes(temp, old, old)
	}
	if err == nil {
		err = os.Rename(temp, at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) open(path string, _ lock.Blob) (form.File, error) {
	w.mu.Lock()
	w.opened++
	w.mu.Unlock()
	file, err := os.Open(filepath.Join(w.dir, filepath.FromSlash(path)))
	if err != nil {
		return nil, err
	}
	return file, nil
}

// newLibrary returns one that has versions, and never changes.
func newLibrary(t *testing.T, versions ...form.Version) *Library {
	t.Helper()
	var sources []form.Source
	for _, v := range versions {
		sources = append(sources, form.Source{Path: v.Tag, Open: func(context.Context) (*form.Version, error) { return &v, nil }})
	}
	look := func() ([]form.Source, error) { return sources, nil }
	l, err := OpenLibrary(t.Context(), func(ctx context.Context) (*form.Served, error) {
		s := &form.Served{Look: look}
		return s, s.Open(ctx)
	}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (w *world) options(t *testing.T) Options {
	t.Helper()
	return Options{
		Library: newLibrary(t, w.version),
		Changed: func(Change) {},
		Access: func(a Access) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.accesses = append(w.accesses, a)
		},
		Refused: func(err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.refused = append(w.refused, err)
		},
		Problem: func(err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.problems = append(w.problems, err)
		},
	}
}

// told returns the problems that a handler told of so far, a line each.
func (w *world) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out strings.Builder
	for _, err := range w.problems {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}

func (w *world) handler(t *testing.T, change func(*Options)) *Handler {
	t.Helper()
	o := w.options(t)
	if change != nil {
		change(&o)
	}
	h, err := New(t.Context(), o, "http://example")
	if err != nil {
		t.Fatal(err)
	}
	// Files were changed long ago, and at each look nothing is in memory any more.
	start := time.Now().Add(time.Hour)
	var looks atomic.Int64
	h.verifier.now = func() time.Time { return start.Add(time.Duration(looks.Add(1)) * cacheTime) }
	return h
}

// serve starts a server, whose URL it returns.
func (w *world) serve(t *testing.T, change func(*Options)) string {
	t.Helper()
	server := httptest.NewServer(w.handler(t, change))
	t.Cleanup(server.Close)
	return server.URL
}

// address starts a server of a handler, and returns its address.
func address(t *testing.T, h *Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// answer is what came of a request.
type answer struct {
	status int
	header http.Header
	body   string
	// err is that of reading the body.
	err error
}

// ask sends a request with header fields, of which Host is the host.
func ask(t *testing.T, method, at string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err}
}

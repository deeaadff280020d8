package resolve

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// TestCurrentAtOnce has an index come only once the chart is asked for, and checksums only once the
// files are told of. What fails is in the same order as if the chart were asked for last.
func TestCurrentAtOnce(t *testing.T) {
	t.Parallel()
	chart, told := make(chan struct{}), make(chan struct{})
	chartAsked, filesTold := sync.OnceFunc(func() { close(chart) }), sync.OnceFunc(func() { close(told) })
	after := func(c chan struct{}, req *http.Request) {
		select {
		case <-c:
		case <-req.Context().Done():
		}
	}
	refused := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/c.tgz" {
			chartAsked()
		}
		switch {
		case refused && (req.URL.Path == "/c.tgz" || req.URL.Path == "/index.yaml"):
			http.NotFound(w, req)
		case req.URL.Path == "/c.tgz":
			fmt.Fprint(w, "another chart")
		case req.URL.Path == "/index.yaml":
			after(chart, req)
			fmt.Fprint(w, "entries: [{name: a, type: executor, version: v1, urls: [{url: bin, platform: {os: linux, architecture: amd64}}]}]\n")
		case req.URL.Path == "/bin.sha256":
			after(told, req)
			fmt.Fprintf(w, "%s  bin\n", lock.Sum([]byte("a program")))
		default:
			http.NotFound(w, req)
		}
	}))
	t.Cleanup(server.Close)
	linux := agent.Platform{OS: "linux", Arch: "amd64"}
	pinned := &lock.Lock{
		Platforms: []agent.Platform{linux}, Repositories: []lock.Repository{{Name: "demo", URL: server.URL + "/index.yaml"}},
		Plugins: []lock.Plugin{{Repository: "demo", Type: agent.Executor, Name: "a", Version: "v1", Builds: []lock.Build{{Platform: linux, URL: server.URL + "/bin"}}}},
		Chart:   &lock.Chart{Name: "botkube", Version: "1.14.0", URL: server.URL + "/c.tgz"},
	}
	r, _ := newResolver(t)
	r.Collected = func(files []fetch.Request) {
		if len(files) == 1 {
			filesTold()
		}
	}
	now, err := r.Current(t.Context(), pinned, nil, nil)
	check(t, err)
	if len(now.Failed) > 0 || now.Lock.Chart.SHA256 != lock.Sum([]byte("another chart")) || now.Lock.Chart.Name != "botkube" {
		t.Errorf("%v, %v", now.Failed, now.Lock.Chart)
	}
	if sum, given := now.Checksum(0); !given || sum != lock.Sum([]byte("a program")) {
		t.Errorf("the checksum is %v", sum)
	}

	refused = true
	now, err = r.Current(t.Context(), pinned, nil, nil)
	check(t, err)
	var failed []string
	for _, f := range now.Failed {
		failed = append(failed, f.About)
	}
	if got := strings.Join(failed, ", "); got != "repository demo, chart" {
		t.Errorf("these failed: %s", got)
	}
}

// TestCurrentSchemas has a JSON schema that changes, and then is gone. One that cannot be read does not
// count as changed.
func TestCurrentSchemas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, schema := filepath.Join(dir, "index.yaml"), filepath.Join(dir, "s.json")
	check(t, os.WriteFile(file, []byte("entries: [{name: a, type: executor, version: v1, jsonSchema: {refURL: s.json}, urls: [{url: bin, platform: {os: linux, architecture: amd64}}]}]\n"), 0o600))
	check(t, os.WriteFile(schema, []byte(`{"type": "object"}`), 0o600))
	r, _ := newResolver(t)
	plan, _, err := r.Select(t.Context(), Selection{Repositories: []agent.Repository{{Name: "demo", URL: file}}})
	check(t, err)
	pinned := plan.Lock
	current := func() *Current {
		t.Helper()
		now, err := r.Current(t.Context(), pinned, nil, nil)
		check(t, err)
		return now
	}
	check(t, os.WriteFile(schema, []byte(`{"type": "array"}`), 0o600))
	if now := current(); len(now.Failed) > 0 || now.Lock.Repositories[0].Schemas[0].SHA256 == pinned.Repositories[0].Schemas[0].SHA256 {
		t.Errorf("%v, %v", now.Failed, now.Lock.Repositories)
	}
	check(t, os.Remove(schema))
	now := current()
	if len(now.Failed) != 1 || now.Failed[0].About != "JSON schemas of repository demo" || !slices.Equal(now.Lock.Repositories[0].Schemas, pinned.Repositories[0].Schemas) {
		t.Errorf("%v, %v", now.Failed, now.Lock.Repositories)
	}
}

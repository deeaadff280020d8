package resolve

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// TestMembersAhead asks for the chart while checksums are looked for, and with a lock while the index
// comes: here, these wait for it. Otherwise, the test never ends. Errors come in the same order as if
// the chart were resolved last.
func TestMembersAhead(t *testing.T) {
	t.Parallel()
	const content, chart = "#!/bin/sh\n", "a chart"
	index := "entries: [{name: a, type: executor, version: v1, urls: [{url: bin, platform: {os: linux, architecture: amd64}}]}]\n"
	var mu sync.Mutex
	var broken []string
	wait, asked := "", make(chan struct{})
	var once func()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		refused, waits, now, ask := false, wait != "" && strings.HasSuffix(req.URL.Path, wait), asked, once
		for _, end := range broken {
			refused = refused || strings.HasSuffix(req.URL.Path, end)
		}
		mu.Unlock()
		if strings.HasPrefix(req.URL.Path, "/charts/") {
			ask()
		}
		if waits {
			select {
			case <-now:
			case <-req.Context().Done():
			}
		}
		switch {
		case refused:
			w.WriteHeader(http.StatusInternalServerError)
		case strings.HasSuffix(req.URL.Path, "/plugins-index.yaml"):
			fmt.Fprint(w, index)
		case strings.HasSuffix(req.URL.Path, "/bin.sha256"):
			fmt.Fprintf(w, "%s  bin\n", lock.Sum([]byte(content)))
		case req.URL.Path == "/charts/index.yaml":
			fmt.Fprintf(w, "entries: {botkube: [{version: 1.14.0, urls: [c.tgz], digest: %s}]}", lock.Sum([]byte(chart)))
		case req.URL.Path == "/charts/c.tgz":
			fmt.Fprint(w, chart)
		default:
			http.NotFound(w, req)
		}
	}))
	defer server.Close()
	next := func(waits string, fails ...string) {
		mu.Lock()
		defer mu.Unlock()
		done := make(chan struct{})
		wait, broken, asked, once = waits, fails, done, sync.OnceFunc(func() { close(done) })
	}
	sel := Selection{Version: "v1.14.0", Members: Members{Chart: server.URL + "/charts"}, Repositories: []agent.Repository{{Name: "demo", URL: server.URL + "/plugins-index.yaml"}}}
	r, _ := newResolver(t)
	next("/bin.sha256")
	plan, _, err := r.Select(t.Context(), sel)
	check(t, err)
	if plan.Lock.Chart == nil || plan.Lock.Artifacts[0].VerifiedBy != lock.ByPublisher {
		t.Errorf("%+v", plan.Lock)
	}
	for i, fails := range [][]string{{"/bin.sha256", "/charts/index.yaml"}, {"/charts/index.yaml"}} {
		next("/bin.sha256", fails...)
		_, _, err = r.Select(t.Context(), sel)
		wantFault(t, err, fault.Upstream, []string{"looking for a checksum", "index of the chart repository: reading "}[i])
	}

	file := filepath.Join(t.TempDir(), "lock.json")
	plan.Lock.Artifacts[0].Blob = lock.Blob{Size: int64(len(content)), SHA256: lock.Sum([]byte(content))}
	data, err := plan.Lock.Marshal()
	check(t, err)
	check(t, os.WriteFile(file, data, 0o600))
	r, _ = newResolver(t)
	next("/plugins-index.yaml")
	locked, _, err := r.Select(t.Context(), Selection{Lock: file})
	check(t, err)
	if again, err := locked.Lock.Marshal(); err != nil || string(again) != string(data) {
		t.Errorf("another lock: %s (%v)", again, err)
	}
	index = strings.Replace(index, "v1", "v2", 1)
	r, _ = newResolver(t)
	next("/plugins-index.yaml", "/charts/c.tgz")
	_, _, err = r.Select(t.Context(), Selection{Lock: file})
	wantFault(t, err, fault.Integrity, "but the lock pins")
}

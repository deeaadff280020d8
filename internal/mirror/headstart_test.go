package mirror

import (
	"crypto/md5"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// locked writes the lock of a selection to a file.
func (w *world) locked(sel resolve.Selection, change func(string) string) (file string) {
	w.t.Helper()
	l, _, err := w.Lock(w.t.Context(), LockOptions{Selection: sel})
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := l.Marshal()
	if err != nil {
		w.t.Fatal(err)
	}
	file = filepath.Join(w.t.TempDir(), "lock.json")
	if err := os.WriteFile(file, []byte(change(string(data))), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.events = nil
	return file
}

func same(s string) string { return s }

// untilAsked returns a function that waits until an archive was asked for.
func (w *world) untilAsked(slow func(*http.Request) bool) {
	asked := make(chan struct{})
	once := sync.OnceFunc(func() { close(asked) })
	w.answer = func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, rawFile) {
			once()
		}
		if slow(req) {
			select {
			case <-asked:
			case <-req.Context().Done():
			}
		}
		return false
	}
}

// TestHeadStart asks for files while the index comes if a lock names them, and else while servers
// are asked for sizes: here, these wait for the file. Otherwise, the test never ends.
func TestHeadStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.locked(w.selection("raw"), same)
	for name, c := range map[string]struct {
		sel  resolve.Selection
		slow func(*http.Request) bool
	}{
		"with a lock":    {resolve.Selection{Lock: file}, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/plugins-index.yaml") }},
		"without a lock": {w.selection("raw"), func(r *http.Request) bool { return r.Method == http.MethodHead }},
	} {
		w.use(t.TempDir())
		w.events = nil
		w.untilAsked(c.slow)
		result, err := w.Pull(t.Context(), PullOptions{Selection: c.sel, WriteOptions: w.outputs(filepath.Join(t.TempDir(), "b.tar"))})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.wantEvents(map[EventKind]int{EventStarted: 2, EventFetched: 2, EventReused: 0})
		var size int64
		for _, a := range result.Artifacts {
			size += a.Size
		}
		if result.FetchedBytes != size {
			t.Errorf("%s: %d bytes are said to be downloaded of %d", name, result.FetchedBytes, size)
		}
	}
}

// TestHeadStartInVain writes nothing of a file before the index was compared with the lock.
func TestHeadStartInVain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.locked(w.selection("raw"), same)
	w.use(t.TempDir())
	w.untilAsked(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/plugins-index.yaml") })
	wait := w.answer
	w.answer = func(rw http.ResponseWriter, req *http.Request) bool {
		wait(rw, req)
		if !strings.HasSuffix(req.URL.Path, "/plugins-index.yaml") {
			return false
		}
		fmt.Fprintln(rw, "entries: []")
		return true
	}
	output := filepath.Join(t.TempDir(), "b.tar")
	_, err := w.Pull(t.Context(), PullOptions{Selection: resolve.Selection{Lock: file}, WriteOptions: w.outputs(output)})
	if fault.KindOf(err) != fault.Integrity || !strings.Contains(err.Error(), "but the lock pins") {
		t.Errorf("%v", err)
	}
	w.wantEvents(map[EventKind]int{EventStarted: 0, EventFetched: 0})
	if n := w.Store.Partial(w.url + rawFile); n != 0 {
		t.Errorf("%d bytes were written", n)
	}
	for _, pattern := range []string{"blobs/sha256/*", "ingest/*.part", "urls/*"} {
		if left, err := filepath.Glob(filepath.Join(w.Store.Dir(), pattern)); err != nil || len(left) > 0 {
			t.Errorf("left: %v (%v)", left, err)
		}
	}
	if _, err := os.Stat(output); err == nil {
		t.Error("an output was written")
	}
}

// TestHeadStartAgainstTheIndex compares what the lock pins with the index's own checksum, too.
func TestHeadStartAgainstTheIndex(t *testing.T) {
	t.Parallel()
	const content = "#!/bin/sh\n"
	right, wrong := fmt.Sprintf("%x", md5.Sum([]byte(content))), strings.Repeat("0", 32)
	index := func(sum string) string {
		return fmt.Sprintf("entries:\n  - {name: a, type: executor, version: v1, urls: [{url: \"bin?checksum=md5:%s\", platform: {os: linux, architecture: amd64}}]}\n", sum)
	}
	w := newWorld(t)
	sum := right
	w.answer = func(rw http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, "/index.yaml") {
			_, _ = io.WriteString(rw, index(sum))
		} else {
			_, _ = io.WriteString(rw, content)
		}
		return true
	}
	w.gone = []string{".sha256", ".sha256sum", ".txt"}
	sel := resolve.Selection{Repositories: []agent.Repository{{Name: "demo", URL: w.url + "/index.yaml"}}}
	for _, indexed := range []string{right, wrong} {
		sum = right
		file := w.locked(sel, strings.NewReplacer(right, indexed, lock.Sum([]byte(index(right))).String(), lock.Sum([]byte(index(indexed))).String()).Replace)
		sum = indexed
		w.use(t.TempDir())
		output := filepath.Join(t.TempDir(), "b.tar")
		_, err := w.Pull(t.Context(), PullOptions{Selection: resolve.Selection{Lock: file}, WriteOptions: w.outputs(output)})
		if _, there := os.Stat(output); (err == nil) != (indexed == right) || (there == nil) != (err == nil) || err != nil && (fault.KindOf(err) != fault.Integrity || !strings.Contains(err.Error(), "md5")) {
			t.Errorf("%s: %v, output: %v", indexed, err, there)
		}
	}
}

// TestHeadStartThatWaits asks again for a file if the plan is not complete yeter than a server should wait.
func TestHeadStartThatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ahead := w.newPrefetcher(t.Context(), true)
	defer ahead.stop()
	ahead.starting, ahead.patience = true, time.Nanosecond
	plan, _, err := ahead.resolve(t.Context(), w.selection("raw"))
	if err != nil {
		t.Fatal(err)
	}
	d := ahead.downloads(plan, PullOptions{})
	for i, r := range plan.Downloads {
		if _, ok, _ := d.wait(t.Context(), r); ok {
			t.Errorf("%s came", r.URL)
		}
		if err := d.artifact(t.Context(), i); err != nil || d.got[i].Transferred == 0 {
			t.Errorf("%s: %v", r.URL, err)
		}
	}
	if len(ahead.started) != 1 {
		t.Errorf("%d were begun, not the one with a checksum in the index", len(ahead.started))
	}
}

// TestOrder downloads the largest files first, layers of images among them.
func TestOrder(t *testing.T) {
	t.Parallel()
	blob := func(size int64) lock.Blob { return lock.Blob{Size: size, SHA256: lock.Sum([]byte(fmt.Sprint(size)))} }
	l := &lock.Lock{AgentImage: &lock.Image{Manifests: []lock.ImageManifest{{Blobs: []lock.Blob{blob(1), blob(60)}}}}}
	d := &downloads{plan: &resolve.Plan{Lock: l}, result: &Result{}, ahead: &prefetcher{started: map[string]*headStart{"begun": {}}}}
	for _, a := range []struct {
		url  string
		size int64
		tree lock.DirArchive
	}{{"small", 5, ""}, {"unknown", -1, ""}, {"large", 90, ""}, {"tree", -1, lock.DirArchiveAll}, {"begun", 3, ""}} {
		l.Artifacts = append(l.Artifacts, lock.Artifact{URL: a.url})
		d.plan.Downloads = append(d.plan.Downloads, fetch.Request{URL: a.url, Tree: a.tree})
		d.result.Artifacts = append(d.result.Artifacts, ArtifactResult{ListedFile: ListedFile{Size: a.size}})
	}
	var got []string
	for _, next := range d.order() {
		if next.blob != nil {
			got = append(got, fmt.Sprint("layer of ", next.blob.Size))
		} else {
			got = append(got, l.Artifacts[next.artifact].URL)
		}
	}
	if want := []string{"begun", "tree", "large", "layer of 60", "small", "layer of 1", "unknown"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

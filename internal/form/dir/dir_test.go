package dir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

var linux = agent.Platform{OS: "linux", Arch: "amd64"}

// fixture is a store with a repository of raw binaries, and its lock.
type fixture struct {
	store *store.Store
	lock  *lock.Lock
}

// newFixture makes plugins of the given versions, each with one dependency.
func newFixture(t *testing.T, versions ...string) *fixture {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f := &fixture{store: s, lock: &lock.Lock{SchemaVersion: lock.SchemaVersion, Platforms: []agent.Platform{linux}}}
	var index bytes.Buffer
	index.WriteString("entries:\n")
	for _, v := range versions {
		fmt.Fprintf(&index, "  - {name: x, type: executor, version: %s, urls: [{url: x-%s, platform: {os: linux, architecture: amd64}, dependencies: {jq: {url: jq}}}]}\n", v, v)
	}
	f.lock.Repositories = []lock.Repository{{Name: "r", URL: "https://e.com/index.yaml", Index: f.put(t, index.String())}}
	add := func(url, content string) {
		f.lock.Artifacts = append(f.lock.Artifacts, lock.Artifact{URL: url, Blob: f.put(t, content), VerifiedBy: lock.ByNone})
	}
	add("https://e.com/jq", "jq")
	for _, v := range versions {
		add("https://e.com/x-"+v, "x "+v)
		f.lock.Plugins = append(f.lock.Plugins, lock.Plugin{
			Repository: "r", Type: agent.Executor, Name: "x", Version: v,
			Builds: []lock.Build{{Platform: linux, URL: "https://e.com/x-" + v, Dependencies: []lock.Dependency{{Name: "jq", URL: "https://e.com/jq"}}}},
		})
	}
	f.lock.Sort()
	if err := f.lock.Check(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) put(t *testing.T, content string) lock.Blob {
	t.Helper()
	sum, err := f.store.Put([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return lock.Blob{Size: int64(len(content)), SHA256: sum}
}

// write writes the directory, but for the files that skip names, and commits
// unless one was left out.
func (f *fixture) write(t *testing.T, dir string, skip ...string) bool {
	t.Helper()
	ctx := context.Background()
	w, err := f.open(ctx, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	changed := false
	for _, file := range f.lock.Files(linux) {
		if slices.Contains(skip, file.Path) {
			continue
		}
		written, err := w.(*writer).write(ctx, linux, file)
		if err != nil {
			t.Fatal(err)
		}
		changed = changed || written
	}
	if len(skip) > 0 {
		return changed
	}
	written, err := w.Commit(ctx, f.lock)
	if err != nil {
		t.Fatal(err)
	}
	return changed || written.Changed
}

// open begins to write the directory.
func (f *fixture) open(ctx context.Context, dir string, waiting func(string)) (form.Writer, error) {
	o := form.WriteOptions{Mount: "/plugins", Waiting: waiting, Wrote: func(string) {}}
	return openOutput(ctx, dir, f.lock, form.Content{Plugins: pluginsdir.Upstream{Blobs: f.store, Memory: f.store}}, o)
}

// readTree lists the files of a directory with the start of their digests.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestWriteTwiceWritesNothing(t *testing.T) {
	f, dir := newFixture(t, "v1"), filepath.Join(t.TempDir(), "plugins")
	if !f.write(t, dir) {
		t.Error("nothing was written to a new directory")
	}
	before := readTree(t, dir)
	want := []string{".botkube-mirror/SHA256SUMS", ".botkube-mirror/lock.json", "r.yaml", "r/executor_v1_x", "r/executor_v1_x_deps/jq"}
	if got := slices.Sorted(maps.Keys(before)); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	if f.write(t, dir) {
		t.Error("something was written to a directory that was complete")
	}
}

// TestIncompleteRun wants a run that ends early to leave the old index, no
// temporary file, and a list of what it wrote; and the next one to make the
// same directory as an undisturbed one.
func TestIncompleteRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plugins")
	old := newFixture(t, "v1")
	old.write(t, dir)
	before := readTree(t, dir)

	f := newFixture(t, "v2")
	f.write(t, dir, "r/executor_v2_x_deps/jq")
	after := readTree(t, dir)
	for p, sum := range before {
		if after[p] != sum {
			t.Errorf("%s changed before the commit", p)
		}
	}
	superseded, err := os.ReadFile(filepath.Join(dir, supersededPath))
	if want := "r.yaml\nr/executor_v1_x\nr/executor_v1_x_deps/jq\nr/executor_v2_x\n"; err != nil || string(superseded) != want {
		t.Errorf("superseded %q, %v, want %q", superseded, err, want)
	}
	if _, err := os.Stat(filepath.Join(dir, metaDir, "staging")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the staging directory is left: %v", err)
	}

	f.write(t, dir)
	if _, err := prune(context.Background(), &form.Place{Path: dir}, false); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "plugins")
	f.write(t, fresh)
	if got, want := readTree(t, dir), readTree(t, fresh); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("after an update and a prune\n%v, want\n%v", got, want)
	}
}

// TestBackAfterIncompleteRun goes back to what the directory held before a run
// that ended early: nothing has to be written but the list.
func TestBackAfterIncompleteRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plugins")
	old := newFixture(t, "v1")
	old.write(t, dir)
	newFixture(t, "v2").write(t, dir, "r/executor_v2_x_deps/jq")
	old.write(t, dir)
	if pruned, err := prune(context.Background(), &form.Place{Path: dir}, false); err != nil || !slices.Equal(pruned.Paths, []string{"r/executor_v2_x"}) {
		t.Errorf("pruned %v, %v", pruned.Paths, err)
	}
	if old.write(t, dir) {
		t.Error("the directory is not complete")
	}
}

// TestPruneUnfinished wants a directory whose index is older than its lock to be
// left alone: the index still names what the lock does not.
func TestPruneUnfinished(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plugins")
	newFixture(t, "v1").write(t, dir)
	index, err := os.ReadFile(filepath.Join(dir, "r.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, "v2")
	f.write(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "r.yaml"), index, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := prune(context.Background(), &form.Place{Path: dir}, false); fault.KindOf(err) != fault.Incomplete {
		t.Errorf("%v, want a refusal", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "r/executor_v1_x")); err != nil {
		t.Error(err)
	}
	f.write(t, dir)
	if _, err := prune(context.Background(), &form.Place{Path: dir}, false); err != nil {
		t.Error(err)
	}
}

// TestPruneSparesOtherOutputs has an output in a sub-directory that is called
// like a platform's, but was never part of the directory.
func TestPruneSparesOtherOutputs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plugins")
	f := newFixture(t, "v1")
	f.write(t, dir)
	f.write(t, filepath.Join(dir, "linux-amd64"))
	if pruned, err := prune(context.Background(), &form.Place{Path: dir}, false); err != nil || len(pruned.Paths) > 0 {
		t.Errorf("pruned %v, %v", pruned.Paths, err)
	}
	if f.write(t, filepath.Join(dir, "linux-amd64")) {
		t.Error("the other output is not complete")
	}
}

// TestKilled leaves what a process leaves that is killed while it stages.
func TestKilled(t *testing.T) {
	f, dir := newFixture(t, "v1"), filepath.Join(t.TempDir(), "plugins")
	if err := os.MkdirAll(filepath.Join(dir, metaDir, "staging"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{metaDir + "/staging/1": "half", supersededPath: "r.yaml\nr/executor_v1_x\n../../etc/passwd\n/etc/passwd\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.write(t, dir)
	fresh := filepath.Join(t.TempDir(), "plugins")
	f.write(t, fresh)
	if got, want := readTree(t, dir), readTree(t, fresh); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestPruneSparesWhatIsNotOurs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plugins")
	newFixture(t, "v1").write(t, dir)
	newFixture(t, "v2").write(t, dir)
	foreign := []string{"notes", "other.yaml", "r/notes", "r/executor_v0_x", "r/executor_v1_x_deps/mine", "lost+found/x"}
	for _, p := range foreign {
		path := filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pruned, err := prune(context.Background(), &form.Place{Path: dir}, false)
	if want := []string{"r/executor_v1_x", "r/executor_v1_x_deps/jq"}; err != nil || !slices.Equal(pruned.Paths, want) {
		t.Errorf("pruned %v, %v, want %v", pruned.Paths, err, want)
	}
	for _, p := range foreign {
		if _, err := os.Stat(filepath.Join(dir, p)); err != nil {
			t.Error(err)
		}
	}
}

func TestIsOurPath(t *testing.T) {
	for p, want := range map[string]bool{
		"r.yaml": true, "r/executor_v1_x": true, "r/executor_v1_x_deps/jq": true,
		"": false, ".yaml": false, "r": false, "../r.yaml": false, "/r.yaml": false, "r/x/y": false, "r/x_deps/..": false,
		"linux-amd64/": true, "linux/": false, "../x/": false, ".botkube-mirror/lock.json": false, ".botkube-mirror.yaml": false,
		"r/x_deps/a/b": false, "r/./x": false, "r//x": false, "r\\x.yaml": false,
	} {
		if got := isOurPath(p); got != want {
			t.Errorf("isOurPath(%q) = %t", p, got)
		}
	}
}

func TestCommitNamesLocalFilesOnly(t *testing.T) {
	f, dir := newFixture(t, "v1"), filepath.Join(t.TempDir(), "a b%c")
	f.lock.Plugins[0].Builds[0].Dependencies[0].FromNewest = true
	f.write(t, dir)
	data, err := os.ReadFile(filepath.Join(dir, "r.yaml"))
	if err != nil || strings.Contains(string(data), "e.com") {
		t.Errorf("%s, %v", data, err)
	}
	l, err := readDocuments(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(l)
	want, _ := json.Marshal(f.lock)
	if !bytes.Equal(got, want) {
		t.Errorf("the lock reads back as %s, want %s", got, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	f := newFixture(t, "v1")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for dir, mount := range map[string]string{file: "/plugins", filepath.Join(file, "below"): "/plugins", t.TempDir(): "plugins", filepath.Join(t.TempDir(), "x"): "/a/../b"} {
		err := Form.Outputs[0].Check(context.Background(), dir, form.WriteOptions{Mount: mount})
		if err == nil {
			_, err = f.open(context.Background(), dir, nil)
		}
		if fault.KindOf(err) != fault.Usage {
			t.Errorf("Open(%q) for %q: %v", dir, mount, err)
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("a file in the way was removed: %v", err)
	}
}

// TestOpenRefusesSite wants a site to stay as it is, and one beside the
// directory not to matter.
func TestOpenRefusesSite(t *testing.T) {
	f, root := newFixture(t, "v1"), filepath.Join(t.TempDir(), "www")
	w, err := site.Form.Outputs[0].Open(context.Background(), root, f.lock, form.Content{Blobs: f.store}, form.WriteOptions{BaseURL: "https://mirror.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, a := range f.lock.Artifacts {
		if _, err := w.Add(context.Background(), a); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(context.Background(), f.lock); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	before := readTree(t, root)
	if _, err := f.open(context.Background(), root, nil); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "is a site") {
		t.Errorf("%v, want a refusal", err)
	}
	if after := readTree(t, root); !maps.Equal(after, before) {
		t.Errorf("the site has %v, want %v", after, before)
	}
	if _, err := os.Stat(filepath.Join(root, metaDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", metaDir, err)
	}
	f.write(t, filepath.Dir(root))
}

// TestNothingIsStagedUnnoted has the list of superseded paths fail: nothing may
// be written that it does not name.
func TestNothingIsStagedUnnoted(t *testing.T) {
	f, dir := newFixture(t, "v1"), filepath.Join(t.TempDir(), "plugins")
	inTheWay := filepath.Join(dir, supersededPath, "x")
	if err := os.MkdirAll(inTheWay, 0o755); err != nil {
		t.Fatal(err)
	}
	w, err := f.open(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, file := range f.lock.Files(linux) {
		if _, err := w.(*writer).write(context.Background(), linux, file); fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v, want a refusal", file.Path, err)
		}
	}
	if _, err := w.(*writer).platforms[linux].Stage(); fault.KindOf(err) != fault.Usage {
		t.Errorf("%s: %v, want a refusal", lockPath, err)
	}
	if files := readTree(t, dir); len(files) > 0 {
		t.Errorf("written: %v", files)
	}
}

// TestWaiting wants a second writer to wait until it is told to stop.
func TestWaiting(t *testing.T) {
	f, dir := newFixture(t, "v1"), filepath.Join(t.TempDir(), "plugins")
	first, err := f.open(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err = f.open(ctx, dir, func(string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want a canceled context", err)
	}
	// One that waits for a run that ends empty-handed, and takes the directory
	// away again, gets a new one.
	waiting, opened := make(chan struct{}), make(chan error)
	go func() {
		w, err := f.open(context.Background(), dir, func(string) { close(waiting) })
		if err == nil {
			err = w.Close()
		}
		opened <- err
	}()
	<-waiting
	first.Close()
	if err := <-opened; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that was opened for nothing is left: %v", err)
	}
}

package site

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
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/page"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

var (
	linux = agent.Platform{OS: "linux", Arch: "amd64"}
	arm   = agent.Platform{OS: "linux", Arch: "arm64"}
)

const (
	baseURL1 = "https://mirror.example.com/botkube"
	schema   = `{"type": "object"}`
)

// fixture is a store with a repository, and its lock.
type fixture struct {
	store *store.Store
	lock  *lock.Lock
	// left are files of others in the place of pages.
	left []string
}

// newFixture makes a plugin of a version for two platforms, with a dependency
// that all versions share.
func newFixture(t *testing.T, version string) *fixture {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f := &fixture{store: s, lock: &lock.Lock{SchemaVersion: lock.SchemaVersion, BotkubeVersion: version, Platforms: []agent.Platform{linux, arm}}}
	index := fmt.Sprintf(`entries:
  - name: x
    type: executor
    version: %[1]s
    documentationUrl: https://docs.example.com
    jsonSchema: {refURL: schema.json}
    urls:
      - {url: x-%[1]s-amd64.tar.gz, platform: {os: linux, architecture: amd64}, dependencies: {jq: {url: "jq-amd64.zip//bin"}}}
      - {url: x-%[1]s-arm64.tar.gz, platform: {os: linux, architecture: arm64}, dependencies: {jq: {url: "s3::https://e.com/jq-arm64.zip"}}}
      - {url: x-%[1]s.exe, platform: {os: windows, architecture: amd64}}
  - {name: other, type: source, version: %[1]s, urls: [{url: other, platform: {os: linux, architecture: amd64}}]}
`, version)
	f.lock.Repositories = []lock.Repository{{
		Name: "r", URL: "https://e.com/index.yaml", Index: f.put(t, index),
		Schemas: []lock.Schema{{URL: "https://e.com/schema.json", Blob: f.put(t, schema)}},
	}}
	x := "https://e.com/x-" + version
	f.artifact(t, "https://e.com/jq-amd64.zip", "jq amd64")
	f.artifact(t, "s3::https://e.com/jq-arm64.zip", "jq arm64")
	f.artifact(t, x+"-amd64.tar.gz", "x amd64 "+version)
	f.artifact(t, x+"-arm64.tar.gz", "x arm64 "+version)
	f.lock.Plugins = []lock.Plugin{{
		Repository: "r", Type: agent.Executor, Name: "x", Version: version, Builds: []lock.Build{
			{Platform: linux, URL: x + "-amd64.tar.gz", Dependencies: []lock.Dependency{{Name: "jq", URL: "https://e.com/jq-amd64.zip//bin"}}},
			{Platform: arm, URL: x + "-arm64.tar.gz", Dependencies: []lock.Dependency{{Name: "jq", URL: "s3::https://e.com/jq-arm64.zip"}}},
		},
	}}
	f.check(t)
	return f
}

func (f *fixture) check(t *testing.T) {
	t.Helper()
	f.lock.Sort()
	if err := f.lock.Check(); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) put(t *testing.T, content string) lock.Blob {
	t.Helper()
	sum, err := f.store.Put([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return lock.Blob{Size: int64(len(content)), SHA256: sum}
}

func (f *fixture) artifact(t *testing.T, url, content string) {
	t.Helper()
	f.lock.Artifacts = append(f.lock.Artifacts, lock.Artifact{URL: url, Blob: f.put(t, content), VerifiedBy: lock.ByNone})
}

func (f *fixture) open(root string) (*writer, error) {
	return f.openFor(context.Background(), root, form.WriteOptions{BaseURL: baseURL1})
}

func (f *fixture) openFor(ctx context.Context, root string, o form.WriteOptions) (*writer, error) {
	o.Left = func(path string) { f.left = append(f.left, path) }
	if err := checkOutput(ctx, root, o); err != nil {
		return nil, err
	}
	w, err := openOutput(ctx, root, f.lock, form.Content{Blobs: f.store}, o)
	if err != nil {
		return nil, err
	}
	return w.(*writer), nil
}

func isSite(root string) bool {
	is, err := reading(root, func(t *atomicdir.Tree) (bool, error) { return InTree(t), nil })
	return err == nil && is
}

// place is a site, or a version of one.
func place(path string) *form.Place { return &form.Place{Path: path} }

// write writes the site, but for the artifacts whose URL has skip in it, and
// commits unless one was left out.
func (f *fixture) write(t *testing.T, root string, skip ...string) bool {
	t.Helper()
	w, err := f.open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	changed, err := f.addAll(w, skip...)
	if err != nil {
		t.Fatal(err)
	}
	if len(skip) > 0 {
		return changed
	}
	written, err := w.Commit(context.Background(), f.lock)
	if err != nil {
		t.Fatal(err)
	}
	return changed || written.Changed
}

// addAll adds artifacts, all at the same time.
func (f *fixture) addAll(w *writer, skip ...string) (bool, error) {
	written := make([]bool, len(f.lock.Artifacts))
	errs := make([]error, len(f.lock.Artifacts))
	var wg sync.WaitGroup
	for i, a := range f.lock.Artifacts {
		if slices.ContainsFunc(skip, func(s string) bool { return strings.Contains(a.URL, s) }) {
			continue
		}
		wg.Go(func() { written[i], errs[i] = w.Add(context.Background(), a) })
	}
	wg.Wait()
	return slices.Contains(written, true), errors.Join(errs...)
}

// readTree lists the files of a directory with their digests, and directories.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		rel = filepath.ToSlash(rel)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			files[rel+"/"] = ""
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			files[rel] = fmt.Sprintf("%x", sha256.Sum256(data))
			return err
		default:
			files[rel] = d.Type().String()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameTree(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s:\n%v, want\n%v", what, got, want)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWriteTwiceWritesNothing(t *testing.T) {
	f, root := newFixture(t, "v1"), filepath.Join(t.TempDir(), "www")
	if !f.write(t, root) {
		t.Error("nothing was written to a new directory")
	}
	before := readTree(t, root)
	want := []string{"index.html", "v1/SHA256SUMS", "v1/index.html", "v1/lock.json", "v1/r/plugins-index.yaml"}
	for _, a := range f.lock.Artifacts {
		want = append(want, FilePath(a))
	}
	slices.Sort(want)
	got := slices.Sorted(maps.Keys(before))
	got = slices.DeleteFunc(got, func(p string) bool { return strings.HasSuffix(p, "/") })
	if !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	if f.write(t, root) {
		t.Error("something was written to a site that was complete")
	}
	sameTree(t, "after a second run", readTree(t, root), before)

	other := filepath.Join(t.TempDir(), "www")
	f.write(t, other)
	sameTree(t, "the same lock elsewhere", readTree(t, other), before)
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are not those of Unix")
	}
	f, root := newFixture(t, "v1"), filepath.Join(t.TempDir(), "www")
	f.write(t, root)
	hidden := filepath.Join(root, FilePath(f.lock.Artifacts[0]))
	if err := os.Chmod(hidden, 0o600); err != nil {
		t.Fatal(err)
	}
	f.write(t, root)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		want := fs.FileMode(0o644)
		if d.IsDir() {
			want = 0o755
		}
		fi, err := d.Info()
		if err == nil && fi.Mode().Perm() != want {
			t.Errorf("%s has mode %s, want %s", path, fi.Mode(), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestIndex wants an index with exactly the lock's plugins and platforms, schemas
// in it, and no URL that leaves the site but the one for people.
func TestIndex(t *testing.T) {
	f, root := newFixture(t, "v1"), t.TempDir()
	f.write(t, root)
	data := readFile(t, filepath.Join(root, "v1/r/plugins-index.yaml"))
	if strings.Contains(data, "://e.com") || !strings.Contains(data, "https://docs.example.com") {
		t.Errorf("the index names upstream, or lost what is for people: %s", data)
	}
	ix, err := agent.ReadIndex([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	if len(ix.Entries) != 1 || len(ix.Entries[0].URLs) != 2 || len(ix.Entries[0].RefURLs()) > 0 || !strings.Contains(data, schema) {
		t.Fatalf("%s", data)
	}
	artifacts := map[string]lock.Artifact{}
	for _, a := range f.lock.Artifacts {
		artifacts[a.URL] = a
	}
	at := func(url, rest string) string { return baseURL1 + "/" + FilePath(artifacts[url]) + rest }
	for _, tt := range []struct {
		platform       agent.Platform
		url, jq, after string
	}{
		{linux, "https://e.com/x-v1-amd64.tar.gz", "https://e.com/jq-amd64.zip", "//bin?"},
		{arm, "https://e.com/x-v1-arm64.tar.gz", "s3::https://e.com/jq-arm64.zip", "?archive=zip&"},
	} {
		b, found := ix.Entries[0].Build(tt.platform)
		if want := at(tt.url, ""); !found || b.URL != want || b.Checksum != artifacts[tt.url].SHA256.String() {
			t.Errorf("for %s: %+v, want %s", tt.platform, b, want)
		}
		if want := at(tt.jq, tt.after+"checksum=sha256:"+artifacts[tt.jq].SHA256.String()); b.Dependencies["jq"] != want {
			t.Errorf("for %s: jq is at %s, want %s", tt.platform, b.Dependencies["jq"], want)
		}
	}
}

func TestSums(t *testing.T) {
	f, root := newFixture(t, "v1"), t.TempDir()
	f.write(t, root)
	dir := filepath.Join(root, "v1")
	lines := 0
	for line := range strings.Lines(readFile(t, filepath.Join(dir, "SHA256SUMS"))) {
		lines++
		digest, p, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if got := fmt.Sprintf("%x", sha256.Sum256([]byte(readFile(t, filepath.Join(dir, filepath.FromSlash(p)))))); got != digest {
			t.Errorf("%s has the digest %s, want %s", p, got, digest)
		}
	}
	if want := len(f.lock.Artifacts) + 2; lines != want {
		t.Errorf("%d files, want %d", lines, want)
	}
	program, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(program, "-c", "--quiet", "SHA256SUMS")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v: %s", err, out)
	}
}

// TestIncompleteRun wants a run that ends early to leave the old version as it
// was and no temporary file, and the next one to write only what is missing.
func TestIncompleteRun(t *testing.T) {
	root := t.TempDir()
	f := newFixture(t, "v1")
	f.write(t, root)
	before := readTree(t, root)

	changed := newFixture(t, "v2")
	changed.lock.BotkubeVersion = "v1"
	changed.write(t, root, "x-v2-arm64")
	after := readTree(t, root)
	for p, sum := range before {
		if after[p] != sum {
			t.Errorf("%s changed before the commit", p)
		}
	}
	if _, found := after[atomicdir.MetaDir+"/"]; found {
		t.Errorf("a temporary directory is left: %v", after)
	}
	changed.write(t, root)
	if _, err := prune(context.Background(), place(root), false); err != nil {
		t.Fatal(err)
	}
	fresh := t.TempDir()
	changed.write(t, fresh)
	sameTree(t, "after an update and a prune", readTree(t, root), readTree(t, fresh))
}

// TestKilled leaves what a process leaves that is killed at any step of its
// first commit or of an update, and wants the next run to finish it.
func TestKilled(t *testing.T) {
	tier.SkipUnlessThorough(t)
	old, f := newFixture(t, "v1"), newFixture(t, "v2")
	f.lock.BotkubeVersion = "v1"
	fresh := t.TempDir()
	f.write(t, fresh)
	want := readTree(t, fresh)
	for _, update := range []bool{false, true} {
		for step := range 4 {
			root := t.TempDir()
			if update {
				old.write(t, root)
			}
			w, err := f.open(root)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.addAll(w); err != nil {
				t.Fatal(err)
			}
			staged, err := w.tree.Stage()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(staged, "half")
			docs, err := Documents(f.lock, w.options.BaseURL, pluginsdir.Upstream{Blobs: w.blobs})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range docs[:step] {
				if _, err := entry.WriteAll(context.Background(), w.tree, []entry.Entry{entry.OfData(d.Path, fileMode, d.Data)}); err != nil {
					t.Fatal(err)
				}
			}
			// Only what the system does at a process's end.
			staged.Discard()
			left := filepath.Join(root, atomicdir.MetaDir, "staging", "9")
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			writeFile(t, left, "half")

			versions, err := reading(root, finished)
			if complete := update || step >= 2; complete != (err == nil) || complete && len(versions) != 1 {
				t.Errorf("update %t, step %d: versions %v, %v", update, step, versions, err)
			}
			wantPrune := fault.Incomplete
			switch {
			case step == 3 || update && step == 0:
				wantPrune = 0
			case step == 0:
				wantPrune = fault.Usage
			}
			if !update || step > 0 {
				if _, err := prune(context.Background(), place(root), false); wantPrune == 0 && err != nil || wantPrune != 0 && fault.KindOf(err) != wantPrune {
					t.Errorf("update %t, step %d: prune: %v, want %d", update, step, err, wantPrune)
				}
			}
			f.write(t, root)
			if _, err := prune(context.Background(), place(root), false); err != nil {
				t.Error(err)
			}
			sameTree(t, fmt.Sprintf("update %t, step %d", update, step), readTree(t, root), want)
		}
	}
}

func TestVersionsShareFiles(t *testing.T) {
	root := t.TempDir()
	one, two := newFixture(t, "v1"), newFixture(t, "v2+build.5")
	one.write(t, root)
	before := readTree(t, root)
	two.write(t, root)
	both := readTree(t, root)
	for p, sum := range before {
		if both[p] != sum && p != page.Name {
			t.Errorf("%s of the other version changed", p)
		}
	}
	versions, err := reading(root, finished)
	if err != nil || len(versions) != 2 || versions[0].tag != "v1" || versions[1].tag != "v2_build.5" || !isSite(root) {
		t.Fatalf("%v, %v", versions, err)
	}
	for i, f := range []*fixture{one, two} {
		got, _ := json.Marshal(versions[i].lock)
		if want, _ := json.Marshal(f.lock); !bytes.Equal(got, want) {
			t.Errorf("a lock reads back as %s, want %s", got, want)
		}
	}
	if pruned, err := prune(context.Background(), place(root), false); err != nil || len(pruned.Paths) > 0 {
		t.Errorf("pruned %v, %v", pruned, err)
	}
	if one.write(t, root) || two.write(t, root) {
		t.Error("something was written to a site that was complete")
	}

	if err := os.RemoveAll(filepath.Join(root, "v2_build.5")); err != nil {
		t.Fatal(err)
	}
	pruned, err := prune(context.Background(), place(root), false)
	if err != nil || len(pruned.Paths) != 2 || pruned.Bytes != int64(2*len("x amd64 v2+build.5")) {
		t.Errorf("pruned %v, %v", pruned, err)
	}
	sameTree(t, "after a version was removed", readTree(t, root), before)
}

// TestWithoutVersion has a lock that names no Botkube version.
func TestWithoutVersion(t *testing.T) {
	f, root := newFixture(t, "v1"), t.TempDir()
	f.lock.BotkubeVersion = ""
	f.lock.Chart = &lock.Chart{Name: "botkube", Version: "1", URL: "https://e.com/c.tgz", Blob: f.put(t, "c"), VerifiedBy: lock.ByNone}
	f.write(t, root)
	versions, err := reading(root, finished)
	if err != nil || len(versions) != 1 {
		t.Fatalf("%v, %v", versions, err)
	}
	data := readFile(t, filepath.Join(root, versions[0].tag, lockName))
	if want := "lock-" + lock.Sum([]byte(data)).String()[:12]; versions[0].tag != want || strings.Contains(data, "c.tgz") {
		t.Errorf("%s, want %s, for %s", versions[0].tag, want, data)
	}
}

func TestPruneSparesWhatIsNotOurs(t *testing.T) {
	root := t.TempDir()
	f := newFixture(t, "v1")
	f.write(t, root)
	gone := newFixture(t, "v2")
	gone.write(t, root)
	kept, dropped := f.lock.Artifacts[0], gone.lock.Artifacts[2]
	foreign := []string{
		"index.html", "files/notes", "files/ab/notes", "files/AB/x", "v1/notes", "v1/s/notes",
		"files/ab/" + strings.Repeat("ab", 32) + "/sidecar", filepath.Dir(FilePath(kept)) + "/x.gz", filepath.Dir(FilePath(dropped)) + "/x.gz",
		"other/lock.json", "other/SHA256SUMS", ".git/lock.json", "charts/index.yaml",
	}
	if runtime.GOOS == "linux" {
		foreign = append(foreign, "files/\xff/x", "v1/\xff/plugins-index.yaml")
	}
	for _, p := range foreign {
		writeFile(t, filepath.Join(root, filepath.FromSlash(p)), "not ours")
	}
	if runtime.GOOS != "windows" {
		if err := os.Symlink("v2", filepath.Join(root, "latest")); err != nil {
			t.Fatal(err)
		}
		foreign = append(foreign, "latest/lock.json")
	}
	if pruned, err := prune(context.Background(), place(root), false); err != nil || len(pruned.Paths) > 0 {
		t.Errorf("pruned %v, %v", pruned, err)
	}
	if runtime.GOOS != "windows" {
		foreign = foreign[:len(foreign)-1]
	}
	if err := os.RemoveAll(filepath.Join(root, "v2")); err != nil {
		t.Fatal(err)
	}
	pruned, err := prune(context.Background(), place(root), false)
	if want := []string{FilePath(gone.lock.Artifacts[1]), FilePath(dropped)}; err != nil || len(pruned.Paths) != 2 {
		t.Errorf("pruned %v, %v, want %v", pruned, err, want)
	}
	for _, p := range foreign {
		if readFile(t, filepath.Join(root, filepath.FromSlash(p))) != "not ours" {
			t.Errorf("%s changed", p)
		}
	}
	if f.write(t, root) {
		t.Error("the version is not complete")
	}
}

// TestPruneOtherNames has a content under a name that no lock has any more, and
// one that a version without SHA256SUMS still names.
func TestPruneOtherNames(t *testing.T) {
	root := t.TempDir()
	f := newFixture(t, "v1")
	f.write(t, root)
	a := f.lock.Artifacts[0]
	a.URL = "https://e.com/old-name.zip"
	writeFile(t, filepath.Join(root, FilePath(a)), readFile(t, filepath.Join(root, FilePath(f.lock.Artifacts[0]))))
	copied := newFixture(t, "v3")
	copied.write(t, root)
	if err := os.Remove(filepath.Join(root, "v3", sumsName)); err != nil {
		t.Fatal(err)
	}
	pruned, err := prune(context.Background(), place(root), false)
	if err != nil || !slices.Equal(pruned.Paths, []string{FilePath(a)}) {
		t.Errorf("pruned %v, %v", pruned, err)
	}
	if f.write(t, root) {
		t.Error("the version is not complete")
	}
}

// TestPruneRepository has a version that lost a repository.
func TestPruneRepository(t *testing.T) {
	root := t.TempDir()
	f := newFixture(t, "v1")
	f.lock.Repositories = append(f.lock.Repositories, lock.Repository{Name: "s", URL: "https://e.com/s.yaml", Index: f.put(t, "entries: []\n")})
	f.write(t, root)
	f.lock.Repositories = f.lock.Repositories[:1]
	f.write(t, root)
	if _, err := os.Stat(filepath.Join(root, "v1/s/plugins-index.yaml")); err != nil {
		t.Error(err)
	}
	pruned, err := prune(context.Background(), place(root), false)
	if err != nil || !slices.Equal(pruned.Paths, []string{"v1/s/plugins-index.yaml"}) {
		t.Errorf("pruned %v, %v", pruned, err)
	}
	fresh := t.TempDir()
	f.write(t, fresh)
	sameTree(t, "after the prune", readTree(t, root), readTree(t, fresh))
}

func TestPruneRefuses(t *testing.T) {
	ctx := context.Background()
	for _, root := range []string{t.TempDir(), filepath.Join(t.TempDir(), "absent")} {
		if _, err := prune(ctx, place(root), false); fault.KindOf(err) != fault.Usage || isSite(root) {
			t.Errorf("%v, want a refusal", err)
		}
	}
	for name, content := range map[string]string{"v1/lock.json": "{}", "v1/r/plugins-index.yaml": "entries: []\n", "v1/SHA256SUMS": strings.Repeat("0", 64) + "  lock.json\n"} {
		root := t.TempDir()
		f := newFixture(t, "v1")
		f.write(t, root)
		newFixture(t, "v2").write(t, root)
		writeFile(t, filepath.Join(root, name), content)
		before := readTree(t, root)
		if _, err := prune(ctx, place(root), false); fault.KindOf(err) != fault.Incomplete && fault.KindOf(err) != fault.Integrity {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
		sameTree(t, name, readTree(t, root), before)
		f.write(t, root)
		if _, err := prune(ctx, place(root), false); err != nil {
			t.Errorf("%s, after another run: %v", name, err)
		}
	}
}

// TestMends wants damaged files to be replaced, and their neighbours not.
func TestMends(t *testing.T) {
	root := t.TempDir()
	f := newFixture(t, "v1")
	f.write(t, root)
	want := readTree(t, root)
	for p := range want {
		if strings.HasSuffix(p, "/") {
			continue
		}
		path := filepath.Join(root, filepath.FromSlash(p))
		content := []byte(readFile(t, path))
		content[0] ^= 1
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if !f.write(t, root) {
			t.Errorf("%s was not mended", p)
		}
		sameTree(t, "mending "+p, readTree(t, root), want)
	}
}

func TestDamagedBlob(t *testing.T) {
	root := filepath.Join(t.TempDir(), "www")
	f := newFixture(t, "v1")
	w, err := f.open(root)
	if err != nil {
		t.Fatal(err)
	}
	a := f.lock.Artifacts[0]
	a.Size++
	if _, err := w.Add(context.Background(), a); fault.KindOf(err) != fault.Integrity {
		t.Errorf("a blob of another size: %v", err)
	}
	a.SHA256[0] ^= 1
	if _, err := w.Add(context.Background(), a); fault.KindOf(err) != fault.Incomplete {
		t.Errorf("a blob that is absent: %v", err)
	}
	if _, err := w.Commit(context.Background(), f.lock); fault.KindOf(err) != fault.Incomplete {
		t.Errorf("a commit of what was not added: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that was made for nothing is left: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	refuse := func(what string, f *fixture, root, base string) {
		t.Helper()
		before := readTree(t, filepath.Dir(root))
		if w, err := f.openFor(context.Background(), root, form.WriteOptions{BaseURL: base}); fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v", what, err)
			if err == nil {
				w.Close()
			}
		}
		sameTree(t, what, readTree(t, filepath.Dir(root)), before)
	}
	f := newFixture(t, "v1")
	root := func(files ...string) string {
		root := filepath.Join(t.TempDir(), "www")
		for _, p := range files {
			writeFile(t, filepath.Join(root, p), "foreign")
		}
		return root
	}
	file := filepath.Join(t.TempDir(), "www")
	writeFile(t, file, "")
	refuse("a file", f, file, baseURL1)
	refuse("no base URL", f, root(), "")
	refuse("a cache directory", f, root(".botkube-mirror/lock.json"), baseURL1)
	refuse("a bundle", f, root("oci-layout"), baseURL1)
	refuse("a file called files", f, root("files"), baseURL1)
	refuse("a file called like the version", f, root("v1"), baseURL1)
	refuse("a file called like the repository", f, root("v1/r"), baseURL1)
	for _, p := range []string{"v1/lock.json", "v1/SHA256SUMS", "v1/index.html", "v1/r/plugins-index.yaml"} {
		refuse("a foreign "+p, f, root(p), baseURL1)
	}
	for _, version := range []string{"files", "FILES", "Index.html", "../x", ".hidden", "a/b", "v1\n", "-v", strings.Repeat("v", 200), "..", "."} {
		bad := newFixture(t, "v1")
		bad.lock.BotkubeVersion = version
		refuse("version "+version, bad, root(), baseURL1)
	}
	for _, name := range []string{"lock.json", "sha256sums", "index.html"} {
		bad := newFixture(t, "v1")
		bad.lock.Repositories[0].Name = name
		refuse("repository "+name, bad, root(), baseURL1)
	}
	if w, err := f.open(root("v1/notes", "v1/s/plugins-index.yaml", "files/x", "index.html")); err != nil {
		t.Errorf("a web root with other things: %v", err)
	} else {
		w.Close()
	}
}

// TestLinks wants no link in the way to be followed or replaced.
func TestLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need privileges")
	}
	f := newFixture(t, "v1")
	a := f.lock.Artifacts[0]
	for _, p := range []string{"files", "v1", "v1/r", "v1/lock.json", "v1/r/plugins-index.yaml", filepath.Dir(filepath.Dir(FilePath(a))), filepath.Dir(FilePath(a)), FilePath(a), atomicdir.MetaDir} {
		outside, root := t.TempDir(), t.TempDir()
		writeFile(t, filepath.Join(outside, "x"), "")
		link := filepath.Join(root, p)
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(outside, link)); err != nil {
			t.Fatal(err)
		}
		w, err := f.open(root)
		if err == nil {
			_, err = f.addAll(w)
			w.Close()
		}
		if fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v, want a refusal", p, err)
		}
		if to, err := os.Readlink(link); err != nil || to != outside {
			t.Errorf("%s: the link is %q, %v", p, to, err)
		}
		if len(readTree(t, outside)) != 2 {
			t.Errorf("%s: something was written outside", p)
		}
	}
}

// TestWaiting wants a second writer, and a prune, to wait until they are told to
// stop.
func TestWaiting(t *testing.T) {
	f, root := newFixture(t, "v1"), t.TempDir()
	f.write(t, root)
	first, err := f.open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	ctx, cancel := context.WithCancel(context.Background())
	_, err = f.openFor(ctx, root, form.WriteOptions{BaseURL: baseURL1, Waiting: func(string) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want a canceled context", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	if _, err := prune(ctx, &form.Place{Path: root, Waiting: func(string) { cancel() }}, false); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want a canceled context", err)
	}
}

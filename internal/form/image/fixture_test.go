package image

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/dir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

var (
	amd64 = agent.Platform{OS: "linux", Arch: "amd64"}
	arm64 = agent.Platform{OS: "linux", Arch: "arm64"}
)

// fixture is a store with a repository, and its lock.
type fixture struct {
	store *store.Store
	lock  *lock.Lock
}

// upstream is a plugin for all platforms. In its names, {p} is the platform.
type upstream struct {
	name, version string
	// file is its binary or archive, by what it is called at the publisher.
	file string
	// content gives what the file holds for a platform.
	content func(agent.Platform) []byte
	deps    []string
}

func text(format string, args ...any) func(agent.Platform) []byte {
	return func(p agent.Platform) []byte { return fmt.Appendf(nil, format+" for %s\n", append(args, p)...) }
}

// fromTestdata gives an archive of the upstream of other tests.
func fromTestdata(t testing.TB, name string) func(agent.Platform) []byte {
	return func(p agent.Platform) []byte {
		data, err := os.ReadFile(filepath.Join("../../../testdata/upstream/archives", fmt.Sprintf(name, p.OS+"_"+p.Arch)))
		check(t, err)
		return data
	}
}

// plugins are a raw binary with a dependency, and one in an archive of each kind
// that is read in another way.
func plugins(t testing.TB) []upstream {
	return []upstream{
		{name: "raw", version: "v1.0.0", file: "raw_{p}", content: text("raw"), deps: []string{"jq"}},
		{name: "hello", version: "v1.0.0", file: "hello_{p}.tar.gz", content: fromTestdata(t, "executor_hello_%s.tar.gz"), deps: []string{"jq", "yq"}},
		{name: "ticker", version: "v1.0.0", file: "ticker_{p}.zip", content: fromTestdata(t, "source_ticker_%s.zip")},
	}
}

func newFixture(t testing.TB, version string, platforms []agent.Platform, plugins ...upstream) *fixture {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store"))
	check(t, err)
	t.Cleanup(func() { s.Close() })
	f := &fixture{store: s, lock: &lock.Lock{SchemaVersion: lock.SchemaVersion, BotkubeVersion: version, Platforms: platforms}}
	var index bytes.Buffer
	index.WriteString("entries:\n")
	artifacts := map[string]bool{}
	add := func(url string, content []byte) {
		if !artifacts[url] {
			f.lock.Artifacts = append(f.lock.Artifacts, lock.Artifact{URL: url, Blob: f.put(t, content), VerifiedBy: lock.ByNone})
		}
		artifacts[url] = true
	}
	for _, u := range plugins {
		p := lock.Plugin{Repository: "r", Type: agent.Executor, Name: u.name, Version: u.version}
		fmt.Fprintf(&index, "  - name: %s\n    type: executor\n    version: %s\n    description: <&>\n    urls:\n", u.name, u.version)
		for _, platform := range platforms {
			url := "https://e.com/" + u.version + "/" + strings.ReplaceAll(u.file, "{p}", platform.Dir())
			b := lock.Build{Platform: platform, URL: url}
			fmt.Fprintf(&index, "      - {url: %s, platform: {os: %s, architecture: %s}, dependencies: {", url, platform.OS, platform.Arch)
			add(url, u.content(platform))
			for i, name := range u.deps {
				url := "https://e.com/" + name + "-" + platform.Dir()
				if i > 0 {
					index.WriteString(", ")
				}
				fmt.Fprintf(&index, "%s: {url: %s}", name, url)
				b.Dependencies = append(b.Dependencies, lock.Dependency{Name: name, URL: url})
				add(url, text("%s", name)(platform))
			}
			index.WriteString("}}\n")
			p.Builds = append(p.Builds, b)
		}
		f.lock.Plugins = append(f.lock.Plugins, p)
	}
	f.lock.Repositories = []lock.Repository{{Name: "r", URL: "https://e.com/index.yaml", Index: f.put(t, index.Bytes())}}
	f.lock.Sort()
	check(t, f.lock.Check())
	return f
}

func (f *fixture) put(t testing.TB, content []byte) lock.Blob {
	t.Helper()
	sum, err := f.store.Put(content)
	check(t, err)
	return lock.Blob{Size: int64(len(content)), SHA256: sum}
}

// source knows no file of an archive before it was unpacked.
func (f *fixture) source() pluginsdir.Source { return pluginsdir.Upstream{Blobs: f.store} }

// remembering is a source that knows what it has made.
func (f *fixture) remembering() pluginsdir.Source {
	return pluginsdir.Upstream{Blobs: f.store, Memory: f.store}
}

// with fills options up: a mount, nobody to tell, and no program that is not named.
func with(o form.WriteOptions) form.WriteOptions {
	o.Mount = cmp.Or(o.Mount, "/plugins")
	o.Seeders.None = len(o.Seeders.Given) == 0
	if o.Wrote == nil {
		o.Wrote = func(string) {}
	}
	return o
}

// write writes an archive and returns its bytes.
func (f *fixture) write(t testing.TB, o form.WriteOptions) ([]byte, form.Written) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image.tar")
	result, err := WriteFile(context.Background(), name, f.lock, f.source(), with(o))
	check(t, err)
	if !result.Changed {
		t.Error("a new file is said not to have changed")
	}
	wantOnly(t, filepath.Dir(name), "image.tar")
	data, err := os.ReadFile(name)
	check(t, err)
	return data, result
}

// member is a file or a directory.
type member struct {
	mode fs.FileMode
	data string
}

// writeDir writes the directory for a platform, and lists it by paths below a
// mount, which has parents.
func (f *fixture) writeDir(t testing.TB, p agent.Platform, mount string) map[string]member {
	t.Helper()
	ctx := context.Background()
	top := filepath.Join(t.TempDir(), "plugins")
	l := f.lock.ForPlatform(p)
	w, err := dir.Form.Outputs[0].Open(ctx, top, l, form.Content{Plugins: f.remembering()}, form.WriteOptions{Mount: mount, Wrote: func(string) {}})
	check(t, err)
	for _, a := range l.Artifacts {
		_, err := w.Add(ctx, a)
		check(t, err)
	}
	_, err = w.Commit(ctx, l)
	check(t, err)
	check(t, w.Close())
	members := map[string]member{}
	check(t, filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		check(t, err)
		rel, err := filepath.Rel(top, name)
		check(t, err)
		fi, err := d.Info()
		check(t, err)
		m := member{mode: fi.Mode()}
		if !d.IsDir() {
			data, err := os.ReadFile(name)
			check(t, err)
			m.data = string(data)
		}
		members[path.Join(mount, filepath.ToSlash(rel))] = m
		return nil
	}))
	for parent := path.Dir(mount); parent != "/"; parent = path.Dir(parent) {
		members[parent] = member{mode: fs.ModeDir | 0o755}
	}
	if runtime.GOOS == "windows" {
		t.Skip("Windows keeps no modes")
	}
	return members
}

// wantOnly wants a directory to hold just some names.
func wantOnly(t testing.TB, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(names)
	if !slices.Equal(got, names) {
		t.Errorf("%s holds %q, want %q", dir, got, names)
	}
}

// openPath opens the image in a file or a directory.
func openPath(path string) (*Image, error) {
	l, err := oci.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return inLayout(context.Background(), l, "", func(top []byte) (*Image, error) { return Read(context.Background(), top, l) })
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

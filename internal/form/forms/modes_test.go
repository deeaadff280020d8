package forms_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

var linux = agent.Platform{OS: "linux", Arch: "amd64"}

// tree is a form of mirror that is a directory.
type tree struct {
	name  string
	write func(ctx context.Context, path string) (changed bool, err error)
	audit func(ctx context.Context, path string) (*audit.Report, error)
}

// trees returns the forms, each of a mirror of one plugin with a dependency.
func trees(t *testing.T) []tree {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	put := func(content string) lock.Blob {
		sum, err := s.Put([]byte(content))
		if err != nil {
			t.Fatal(err)
		}
		return lock.Blob{Size: int64(len(content)), SHA256: sum}
	}
	const index = "entries:\n  - {name: x, type: executor, version: v1, urls: [{url: x, platform: {os: linux, architecture: amd64}, dependencies: {jq: {url: jq}}}, {url: x, platform: {os: linux, architecture: arm64}, dependencies: {jq: {url: jq}}}]}\n"
	l := &lock.Lock{
		SchemaVersion: lock.SchemaVersion, Platforms: []agent.Platform{linux},
		Repositories: []lock.Repository{{Name: "r", URL: "https://e.com/index.yaml", Index: put(index)}},
		Plugins: []lock.Plugin{{
			Repository: "r", Type: agent.Executor, Name: "x", Version: "v1",
			Builds: []lock.Build{{Platform: linux, URL: "https://e.com/x", Dependencies: []lock.Dependency{{Name: "jq", URL: "https://e.com/jq"}}}},
		}},
		Artifacts: []lock.Artifact{
			{URL: "https://e.com/jq", Blob: put("#!/bin/sh\n"), VerifiedBy: lock.ByNone}, {URL: "https://e.com/x", Blob: put("#!/bin/sh\ntrue\n"), VerifiedBy: lock.ByNone},
		},
	}
	several := *l
	several.Platforms = []agent.Platform{linux, {OS: "linux", Arch: "arm64"}}
	several.Plugins = slices.Clone(l.Plugins)
	several.Plugins[0].Builds = append(slices.Clone(l.Plugins[0].Builds), lock.Build{Platform: several.Platforms[1], URL: "https://e.com/x", Dependencies: l.Plugins[0].Builds[0].Dependencies})
	for _, l := range []*lock.Lock{l, &several} {
		l.Sort()
		if err := l.Check(); err != nil {
			t.Fatal(err)
		}
	}
	o := form.WriteOptions{Mount: "/plugins", BaseURL: "https://mirror.example.com", Wrote: func(string) {}, Writing: func(int64) {}}
	var all []tree
	for _, name := range []string{"dir", "site", "oci", "dir for several platforms"} {
		prefix, _, isSeveral := strings.Cut(name, " ")
		l := l
		if isSeveral {
			l = &several
		}
		all = append(all, tree{name, func(ctx context.Context, path string) (bool, error) {
			to, err := forms.All.ParseTarget(prefix + ":" + path)
			if err != nil {
				return false, err
			}
			w, err := to.Open(ctx, path, l, form.Content{Plugins: pluginsdir.Upstream{Blobs: s, Memory: s}, Blobs: s}, o)
			if err != nil {
				return false, err
			}
			defer w.Close()
			changed := false
			for _, a := range l.Artifacts {
				added, err := w.Add(ctx, a)
				if err != nil {
					return false, err
				}
				changed = changed || added
			}
			written, err := w.Commit(ctx, l)
			return changed || written.Changed, err
		}, audited})
	}
	return all
}

// audited verifies a mirror.
func audited(ctx context.Context, path string) (*audit.Report, error) {
	a := &form.Audit{AuditOptions: form.AuditOptions{
		Accept: func(*form.Form) error { return nil }, Planned: func(int64, int) {}, Hashed: func(int64) {},
	}}
	p, err := forms.All.Locate(ctx, path, nil)
	if err == nil {
		err = forms.All.Audit(ctx, p, a)
	}
	return &a.Report, err
}

// TestModes gives every file and directory of a tree every kind of mode. A
// verification must find exactly what the next run mends, and nothing after it.
func TestModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("it has no modes")
	}
	files := []fs.FileMode{
		0o755 | fs.ModeSetuid, 0o755 | fs.ModeSetgid, 0o755 | fs.ModeSticky, 0o644 | fs.ModeSticky,
		0o777, 0o666, 0o646, 0o775, 0o664, 0o755, 0o644, 0o555, 0o444, 0o600, 0o400, 0o604, 0o000,
	}
	dirs := []fs.FileMode{0o700, 0o777, 0o777 | fs.ModeSticky, 0o775 | fs.ModeSetgid, 0o755, 0o555, 0o750, 0o000}
	if !tier.Thorough() {
		files = []fs.FileMode{0o755 | fs.ModeSetuid, 0o666, 0o755, 0o644, 0o400}
		dirs = []fs.FileMode{0o777, 0o555, 0o750}
	}
	for _, form := range trees(t) {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			root := filepath.Join(t.TempDir(), "out")
			if _, err := form.write(t.Context(), root); err != nil {
				t.Fatal(err)
			}
			wrong := 0
			for _, p := range paths(t, root) {
				fi, err := os.Lstat(p)
				if err != nil {
					t.Fatal(err)
				}
				modes := files
				if fi.IsDir() {
					modes = dirs
				}
				for _, mode := range modes {
					if err := os.Chmod(p, mode); err != nil {
						t.Fatal(err)
					}
					rel, _ := filepath.Rel(root, p)
					if form.mends(t, root, fmt.Sprintf("%s with mode %v", rel, mode)) {
						wrong++
					}
					if err := os.Chmod(p, fi.Mode()); err != nil {
						t.Fatal(err)
					}
				}
			}
			if wrong == 0 {
				t.Error("no mode was wrong")
			}
		})
	}
}

// mends verifies a tree, writes it again, and compares what the two say.
func (form tree) mends(t *testing.T, root, what string) bool {
	t.Helper()
	before, auditErr := form.audit(t.Context(), root)
	// A version of a site that this user may not read is a note.
	found := auditErr != nil || len(before.Problems()) > 0 || len(before.Notes()) > 0
	changed, err := form.write(t.Context(), root)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return false
	}
	if changed != found {
		t.Errorf("%s: the next run changed something: %t, but was found: %v %+v", what, changed, auditErr, before.Problems())
	}
	if after, err := form.audit(t.Context(), root); err != nil || len(after.Problems()) > 0 {
		t.Errorf("%s: afterwards %v %+v", what, err, after.Problems())
	}
	if again, err := form.write(t.Context(), root); err != nil || again {
		t.Errorf("%s: a third run changed something: %t, %v", what, again, err)
	}
	return found
}

// paths returns all that is in a tree.
func paths(t *testing.T, root string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, _ fs.DirEntry, err error) error {
		if p != root {
			all = append(all, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestModelessVolume gives every file and directory the mode that SMB gives them: that
// is noted, and no damage.
func TestModelessVolume(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("it has no modes")
	}
	for _, form := range trees(t) {
		root := filepath.Join(t.TempDir(), form.name)
		if _, err := form.write(t.Context(), root); err != nil {
			t.Fatal(err)
		}
		err := os.Chmod(root, 0o777)
		for _, p := range paths(t, root) {
			err = errors.Join(err, os.Chmod(p, 0o777))
		}
		if err != nil {
			t.Fatal(err)
		}
		if r, err := form.audit(t.Context(), root); err != nil || len(r.Problems()) > 0 || len(r.Notes()) == 0 {
			t.Errorf("%s: %v, %+v, %q", form.name, err, r.Problems(), r.Notes())
		}
	}
}

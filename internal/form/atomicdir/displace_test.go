package atomicdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s is %q (%v), want %q", path, got, err, want)
	}
}

// TestDisplace wants everything that is moved aside to be there, each time in a
// place of its own, and told of.
func TestDisplace(t *testing.T) {
	dir := t.TempDir()
	tr := open(t, dir)
	var told []string
	tr.MayDisplace(func(path, to string) { told = append(told, path+" "+to) })
	for n := 1; n <= 3; n++ {
		write(t, filepath.Join(dir, "a/file/precious"), fmt.Sprint(n))
		if err := tr.Write("a/file", []byte("ours"), 0o644); err != nil {
			t.Fatal(err)
		}
		wantContent(t, filepath.Join(dir, "a/file"), "ours")
		wantContent(t, filepath.Join(dir, displacedDir, fmt.Sprint(n), "file/precious"), fmt.Sprint(n))
		want := fmt.Sprintf("%s %s", filepath.Join(dir, "a/file"), filepath.Join(dir, displacedDir, fmt.Sprint(n), "file"))
		if len(told) != n || told[n-1] != want {
			t.Errorf("told %q, want %q", told, want)
		}
		if err := os.Remove(filepath.Join(dir, "a/file")); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "b"), "a file for a directory")
	if err := tr.Write("b/c/d", []byte("ours"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantContent(t, filepath.Join(dir, displacedDir, "4/b"), "a file for a directory")
	write(t, filepath.Join(dir, "c/precious"), "x")
	if err := tr.Remove("c"); err != nil {
		t.Fatal(err)
	}
	wantContent(t, filepath.Join(dir, displacedDir, "5/c/precious"), "x")
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	// Another run neither looks into it nor takes it away.
	tr = open(t, dir)
	defer tr.Close()
	wantContent(t, filepath.Join(dir, displacedDir, "4/b"), "a file for a directory")
}

// TestDisplaceRefused wants nothing to be moved where that is not agreed on, or
// cannot be.
func TestDisplaceRefused(t *testing.T) {
	dir := t.TempDir()
	tr := open(t, dir)
	defer tr.Close()
	write(t, filepath.Join(dir, "full/precious"), "x")
	write(t, filepath.Join(dir, "file"), "x")
	for _, err := range []error{
		tr.Write("full", nil, 0o644), tr.Remove("full"), tr.MkdirAll("file/x"), tr.CheckDir("file"), tr.CheckFile("full"),
	} {
		if fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" {
			t.Errorf("%v, want a refusal", err)
		}
	}
	tr.MayDisplace(nil)
	write(t, filepath.Join(dir, displacedDir), "in the way of what is displaced")
	if err := tr.Write("full", nil, 0o644); fault.KindOf(err) != fault.Usage {
		t.Errorf("%v, want a refusal", err)
	}
	wantContent(t, filepath.Join(dir, "full/precious"), "x")
	wantContent(t, filepath.Join(dir, "file"), "x")
}

// TestDisplaceAtOnce wants many that need a directory not to move away what one
// of them has made in the place of a link.
func TestDisplaceAtOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need privileges")
	}
	for range 20 {
		dir, outside := t.TempDir(), t.TempDir()
		tr := open(t, dir)
		displaced := 0
		tr.MayDisplace(func(string, string) { displaced++ })
		if err := os.Symlink(outside, filepath.Join(dir, "d")); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				if err := tr.Write(fmt.Sprint("d/", n), []byte("x"), 0o644); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if there, err := os.ReadDir(filepath.Join(dir, "d")); err != nil || len(there) != 8 || displaced != 1 {
			t.Errorf("%d files (%v), %d displaced", len(there), err, displaced)
		}
		if there, _ := os.ReadDir(outside); len(there) > 0 {
			t.Errorf("outside there are %v", there)
		}
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestHoldsModes wants modes mended: what is missing is added, what is unsafe
// taken away, and what a group has left alone.
func TestHoldsModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are not those of Unix")
	}
	dir := t.TempDir()
	tr := open(t, dir)
	defer tr.Close()
	for mode, want := range map[fs.FileMode]fs.FileMode{
		0: 0o755, 0o644: 0o755, 0o755: 0o755, 0o777: 0o775, 0o775: 0o775, 0o755 | fs.ModeSetuid: 0o755, 0o660 | fs.ModeSetgid: 0o775,
	} {
		path := filepath.Join(dir, "d/file")
		write(t, path, "x")
		if err := errors.Join(os.Chmod(path, mode), os.Chmod(filepath.Dir(path), 0o700)); err != nil {
			t.Fatal(err)
		}
		if written, err := tr.Put(t.Context(), "d/file", []byte("x"), 0o755); err != nil || written && os.Getuid() == 0 {
			t.Errorf("%v: written %t, %v", mode, written, err)
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode() != want {
			t.Errorf("%v became %v (%v), want %v", mode, fi.Mode(), err, want)
		}
		if fi, err := os.Stat(filepath.Dir(path)); err != nil || fi.Mode().Perm() != 0o755 {
			t.Errorf("the directory has mode %v (%v)", fi.Mode(), err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHoldsThroughLink wants a file that is right, but lies behind a link, not to
// be taken for the one that should be there.
func TestHoldsThroughLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need privileges")
	}
	dir := t.TempDir()
	tr := open(t, dir)
	defer tr.Close()
	tr.MayDisplace(nil)
	write(t, filepath.Join(dir, "real/file"), "x")
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if written, err := tr.Put(t.Context(), "link/file", []byte("x"), 0o644); err != nil || !written {
		t.Errorf("written %t, %v", written, err)
	}
	if fi, err := os.Lstat(filepath.Join(dir, "link")); err != nil || !fi.IsDir() {
		t.Errorf("the link is now %v (%v)", fi, err)
	}
	if names, _ := os.ReadDir(filepath.Join(dir, "real")); !slices.ContainsFunc(names, func(e fs.DirEntry) bool { return e.Name() == "file" }) {
		t.Error("what the link led to was touched")
	}
}

package entry

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
)

func open(t *testing.T, dir string, r disk.Reader) *atomicdir.Tree {
	t.Helper()
	tr, err := atomicdir.Open(t.Context(), dir, atomicdir.Options{Reader: r})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// TestModes wants modes mended: what is missing is added, what is unsafe
// taken away, and what a group has left alone.
func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are not those of Unix")
	}
	dir := t.TempDir()
	tr := open(t, dir, disk.Anyone)
	defer tr.Close()
	for mode, want := range map[fs.FileMode]fs.FileMode{
		0: 0o755, 0o644: 0o755, 0o755: 0o755, 0o777: 0o775, 0o775: 0o775, 0o755 | fs.ModeSetuid: 0o755, 0o660 | fs.ModeSetgid: 0o775,
	} {
		path := filepath.Join(dir, "d/file")
		write(t, path, "x")
		if err := errors.Join(os.Chmod(path, mode), os.Chmod(filepath.Dir(path), 0o700)); err != nil {
			t.Fatal(err)
		}
		if written, err := WriteAll(t.Context(), tr, []Entry{OfData("d/file", 0o755, []byte("x"))}); err != nil || written && os.Getuid() == 0 {
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

// TestThroughLink wants a file that is right, but lies behind a link, not to
// be taken for the one that should be there.
func TestThroughLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need privileges")
	}
	dir := t.TempDir()
	tr := open(t, dir, disk.Anyone)
	defer tr.Close()
	tr.MayDisplace(nil)
	write(t, filepath.Join(dir, "real/file"), "x")
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if written, err := WriteAll(t.Context(), tr, []Entry{OfData("link/file", 0o644, []byte("x"))}); err != nil || !written {
		t.Errorf("written %t, %v", written, err)
	}
	if fi, err := os.Lstat(filepath.Join(dir, "link")); err != nil || !fi.IsDir() {
		t.Errorf("the link is now %v (%v)", fi, err)
	}
	if names, _ := os.ReadDir(filepath.Join(dir, "real")); !slices.ContainsFunc(names, func(e fs.DirEntry) bool { return e.Name() == "file" }) {
		t.Error("what the link led to was touched")
	}
}

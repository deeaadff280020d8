package atomicdir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func open(t *testing.T, dir string) *Tree {
	t.Helper()
	tr, err := Open(context.Background(), dir, Options{Reader: disk.Anyone})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestNothingIsLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a/b")
	tr := open(t, dir)
	staged, err := tr.Stage()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := staged.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	staged.Discard()
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("directories that were made for nothing are left: %v", err)
	}
}

func TestPublish(t *testing.T) {
	dir := t.TempDir()
	tr := open(t, dir)
	defer tr.Close()
	staged, err := tr.Stage()
	if err != nil {
		t.Fatal(err)
	}
	defer staged.Discard()
	for _, content := range []string{"discarded", "x"} {
		if err := staged.Reset(); err != nil {
			t.Fatal(err)
		}
		if _, err := staged.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	want := lock.Blob{Size: 1, SHA256: lock.Sum([]byte("x"))}
	if staged.Blob() != want {
		t.Errorf("staged %v, want %v", staged.Blob(), want)
	}
	if err := os.MkdirAll(filepath.Join(dir, "in/way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := staged.Publish("in/way", 0o644); err != nil {
		t.Fatal(err)
	}
	wantContent(t, filepath.Join(dir, "in/way"), "x")
	if err := tr.Note("in", []byte("y"), 0o644); fault.KindOf(err) != fault.Usage {
		t.Errorf("a directory in the way: %v", err)
	}
	if err := tr.Note("in/way/x", []byte("y"), 0o644); fault.KindOf(err) != fault.Usage {
		t.Errorf("a file in the way: %v", err)
	}
}

func TestMkdirAllModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are not those of Unix")
	}
	dir := t.TempDir()
	tr := open(t, dir)
	defer tr.Close()
	for name, mode := range map[string]fs.FileMode{"shared": 0o775 | fs.ModeSetgid, "hidden": 0o700 | fs.ModeSetgid, "readonly": 0o555} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.Mkdir(path, mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]fs.FileMode{"shared": 0o775 | fs.ModeSetgid, "hidden": 0o755 | fs.ModeSetgid, "readonly": 0o755, "new": 0o755} {
		if err := tr.MkdirAll(name + "/below"); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode() != want|fs.ModeDir {
			t.Errorf("%s has mode %v, %v, want %v", name, fi.Mode(), err, want)
		}
		if fi, err := os.Stat(filepath.Join(dir, name, "below")); err != nil || fi.Mode().Perm() != 0o755 {
			t.Errorf("%s/below has mode %v, %v", name, fi.Mode(), err)
		}
	}
}

// TestDiscardUnpublished wants nothing left of a file that did not get its name.
func TestDiscardUnpublished(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "in/way"), 0o755); err != nil {
		t.Fatal(err)
	}
	tr := open(t, dir)
	defer tr.Close()
	staged, err := tr.Stage()
	if err != nil {
		t.Fatal(err)
	}
	if err := staged.Publish("in", 0o644); fault.KindOf(err) != fault.Usage {
		t.Errorf("%v, want a refusal", err)
	}
	staged.Discard()
	if left, err := os.ReadDir(filepath.Join(dir, stagingDir)); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "x"), []byte("four"), 0o644), os.Mkdir(filepath.Join(dir, "d"), 0o755)); err != nil {
		t.Fatal(err)
	}
	tr, err := OpenExisting(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if data, err := tr.Read("x", 4); err != nil || string(data) != "four" {
		t.Errorf("%q, %v", data, err)
	}
	for _, p := range []string{"x", "d", "../" + filepath.Base(dir) + "/x"} {
		if data, err := tr.Read(p, 3); err == nil {
			t.Errorf("%s was read: %q", p, data)
		}
	}
}

//go:build !windows

package disk

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// odd makes a directory with one of each kind of file, and returns its root.
func odd(t *testing.T) *os.Root {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.MkdirAll(at("dir/sub"), 0o755), os.WriteFile(at("dir/file"), []byte("x"), 0o644), os.WriteFile(at("file"), []byte("x"), 0o644),
		unix.Mkfifo(at("pipe"), 0o644), os.Symlink("file", at("link")), os.Symlink("dir", at("dirlink")), os.Symlink(t.TempDir(), at("out")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// TestOpenRegular wants regular files only, and that opening never waits.
func TestOpenRegular(t *testing.T) {
	root := odd(t)
	for _, name := range []string{"file", "dir/file"} {
		f, err := OpenRegular(root, name)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	for _, name := range []string{"dir", "pipe", "link", "dirlink", "dirlink/file", "out", "pipe/file"} {
		if f, err := OpenRegular(root, name); fault.KindOf(err) != fault.Integrity {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	for _, name := range []string{"absent", "dir/absent", "absent/file"} {
		if _, err := OpenRegular(root, name); !os.IsNotExist(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOpenDir wants directories only, and that opening never waits.
func TestOpenDir(t *testing.T) {
	root := odd(t)
	for _, name := range []string{"dir", "dir/sub"} {
		sub, err := OpenDir(root, name)
		if err != nil {
			t.Fatal(err)
		}
		sub.Close()
	}
	for _, name := range []string{"file", "pipe", "link", "dirlink", "dirlink/sub", "out"} {
		if sub, err := OpenDir(root, name); fault.KindOf(err) != fault.Integrity {
			t.Errorf("%s: %v, %v", name, sub, err)
		}
	}
	if _, err := OpenDir(root, "absent"); !os.IsNotExist(err) {
		t.Error(err)
	}
	for _, name := range []string{"pipe", "file"} {
		if root, err := OpenRoot(filepath.Join(root.Name(), name)); err == nil {
			t.Errorf("%s was opened as a directory: %v", name, root)
		}
	}
	if _, err := OpenRoot(filepath.Join(root.Name(), "absent")); !os.IsNotExist(err) {
		t.Error(err)
	}
	if _, err := OpenRoot(""); err == nil {
		t.Error("the root of the file system was opened")
	}
}

// TestReadDir wants directories only, and that reading one never waits.
func TestReadDir(t *testing.T) {
	root := odd(t)
	if entries, err := ReadDir(root, "dir"); err != nil || len(entries) == 0 {
		t.Errorf("%v, %v", entries, err)
	}
	for _, name := range []string{"file", "pipe", "absent", "out"} {
		if entries, err := ReadDir(root, name); err == nil {
			t.Errorf("%s: %v", name, entries)
		}
	}
}

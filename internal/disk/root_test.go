//go:build !windows

package disk

import (
	"errors"
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

// TestOpenRegularWhileReplaced has a file replaced all the time by another that is as good.
func TestOpenRegularWhileReplaced(t *testing.T) {
	root := odd(t)
	done := make(chan struct{})
	replacing := make(chan error)
	go func() {
		for {
			select {
			case <-done:
				close(replacing)
				return
			default:
			}
			if err := errors.Join(root.WriteFile("new", []byte("x"), 0o644), root.Rename("new", "file")); err != nil {
				replacing <- err
				return
			}
		}
	}()
	for range 3000 {
		f, err := OpenRegular(root, "file")
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	close(done)
	if err := <-replacing; err != nil {
		t.Error(err)
	}
}

func TestIsBrokenLink(t *testing.T) {
	dir := odd(t).Name()
	if err := errors.Join(os.Symlink("absent", filepath.Join(dir, "astray")), os.Symlink("circle", filepath.Join(dir, "circle"))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"astray": true, "circle": true, "link": false, "dirlink": false, "file": false, "absent": false, "pipe": false} {
		if got := IsBrokenLink(filepath.Join(dir, name)); got != want {
			t.Errorf("%s: %t", name, got)
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

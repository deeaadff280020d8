package atomicdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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
		if err := tr.Note("a/file", []byte("ours"), 0o644); err != nil {
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
	if err := tr.Note("b/c/d", []byte("ours"), 0o644); err != nil {
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
		tr.Note("full", nil, 0o644), tr.Remove("full"), tr.MkdirAll("file/x"), tr.Check("file", true), tr.Check("full", false),
	} {
		if fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" {
			t.Errorf("%v, want a refusal", err)
		}
	}
	tr.MayDisplace(nil)
	write(t, filepath.Join(dir, displacedDir), "in the way of what is displaced")
	if err := tr.Note("full", nil, 0o644); fault.KindOf(err) != fault.Usage {
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
				if err := tr.Note(fmt.Sprint("d/", n), []byte("x"), 0o644); err != nil {
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

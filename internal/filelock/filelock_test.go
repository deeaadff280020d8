package filelock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

// TestNothingElseIsLocked wants neither a link followed, which would create a file
// elsewhere, nor anything else than a regular file taken for a lock.
func TestNothingElseIsLocked(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need privileges")
	}
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"out": filepath.Join(outside, "new"), "in": "real/new", "dir": outside, "here": "real"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := disk.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, name := range []string{"out", "in", "real"} {
		if l, err := TryFile(root, name); err == nil {
			t.Errorf("%s was locked: %v", name, l)
		}
	}
	for _, name := range []string{"dir", "here", "out"} {
		if l, err := TryDir(root, name); err == nil {
			t.Errorf("the directory %s was locked: %v", name, l)
		}
	}
	for _, made := range []string{filepath.Join(outside, "new"), filepath.Join(dir, "real/new")} {
		if _, err := os.Lstat(made); err == nil {
			t.Errorf("%s was created", made)
		}
	}
}

// TestExclusive wants one holder of a lock at a time, of files and of directories,
// and nothing left of a file that existed only to be locked.
func TestExclusive(t *testing.T) {
	dir := t.TempDir()
	root, err := disk.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, try := range map[string]func() (*Lock, error){
		"file":      func() (*Lock, error) { return TryFile(root, "x.lock") },
		"directory": func() (*Lock, error) { return TryDir(root, ".") },
	} {
		first, err := try()
		if err != nil || first == nil {
			t.Fatalf("%s: %v, %v", name, first, err)
		}
		if second, err := try(); err != nil || second != nil {
			t.Errorf("%s: a second one got it: %v, %v", name, second, err)
		}
		if err := first.Unlock(); err != nil {
			t.Error(err)
		}
		again, err := try()
		if err != nil || again == nil {
			t.Fatalf("%s: after the first one: %v, %v", name, again, err)
		}
		if err := again.Unlock(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(dir); runtime.GOOS != "windows" && (err != nil || len(left) > 0) {
		t.Errorf("left are %v, %v", left, err)
	}
}

// TestWait tries again while another one has the lock, and a number of times when the
// directory is gone.
func TestWait(t *testing.T) {
	t.Parallel()
	held, broken := &Lock{}, errors.New("broken")
	for name, tt := range map[string]struct {
		busy, gone int
		then, want error
		tries      int
	}{
		"at once":            {0, 0, nil, nil, 1},
		"after an instant":   {7, 0, nil, nil, 8},
		"after another one":  {30, 0, nil, nil, 31},
		"after it was gone":  {30, maxVanished, nil, nil, 31 + maxVanished},
		"gone for good":      {30, maxVanished + 1, nil, fs.ErrNotExist, 31 + maxVanished},
		"what is not waited": {1, 0, broken, broken, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries, told := 0, 0
				got, err := Wait(t.Context(), name, func(string) { told++ }, func() (*Lock, error) {
					switch tries++; {
					case tries <= tt.busy:
						return nil, nil
					case tries <= tt.busy+tt.gone:
						return nil, fs.ErrNotExist
					case tt.then != nil:
						return nil, tt.then
					}
					return held, nil
				})
				if !errors.Is(err, tt.want) || (got == held) != (tt.want == nil) || tries != tt.tries || told != min(1, max(0, tries-8)) {
					t.Errorf("%v, %v after %d tries, told %d times; want %v after %d", got, err, tries, told, tt.want, tt.tries)
				}
			})
		})
	}
}

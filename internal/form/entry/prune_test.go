package entry

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

func TestSuperseded(t *testing.T) {
	paths := []string{"b", "c", "a", "b", "D"}
	if got := Superseded(paths, []string{"c", "d"}); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
	if !slices.Equal(paths, []string{"b", "c", "a", "b", "D"}) {
		t.Errorf("the paths are now %q", paths)
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	for p, content := range map[string]string{"a/b/c": "four", "a/other": "", "d/x": ""} {
		write(t, filepath.Join(dir, p), content)
	}
	tr := open(t, dir, disk.Anyone)
	defer tr.Close()
	pruned, err := Prune(tr, []string{"a/b/c", "d", "none/x"})
	if err != nil || !slices.Equal(pruned.Paths, []string{"a/b/c"}) || pruned.Bytes != 4 {
		t.Errorf("pruned %+v, %v", pruned, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a/b")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory is left: %v", err)
	}
	for _, p := range []string{"a/other", "d/x"} {
		if _, err := os.Stat(filepath.Join(dir, p)); err != nil {
			t.Error(err)
		}
	}
}

// TestPruneAfterKill prunes what a run left that was killed between removing a
// file and the directories that it was in.
func TestPruneAfterKill(t *testing.T) {
	dir := t.TempDir()
	tr := open(t, dir, disk.Anyone)
	defer tr.Close()
	for _, p := range []string{"in/empty", "in/full/foreign"} {
		if err := os.MkdirAll(filepath.Join(dir, p), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	pruned, err := Prune(tr, []string{"in/empty/file", "in/full/file", "absent/file"})
	if err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "in/empty")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the empty directory is left: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "in/full/foreign")); err != nil || len(pruned.Paths) > 0 {
		t.Errorf("something else was removed: %v, %v", err, pruned.Paths)
	}
}

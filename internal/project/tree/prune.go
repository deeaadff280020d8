package tree

import (
	"errors"
	"io"
	"io/fs"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

// Pruned says what was removed from a tree.
type Pruned struct {
	// Paths are relative to the tree.
	Paths []string
	// Bytes is their size.
	Bytes int64
}

// Prune removes a file, and the directories that it leaves empty, or that an
// earlier run left so which was killed. Of a directory of that name nothing is
// removed.
func (t *Tree) Prune(p string, pruned *Pruned) error {
	fi, err := t.Root.Lstat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t.RemoveEmptyAbove(p)
	case err != nil:
		return err
	case fi.IsDir():
		return nil
	}
	if err := t.Root.Remove(p); err != nil {
		return err
	}
	pruned.Paths = append(pruned.Paths, p)
	pruned.Bytes += fi.Size()
	return t.RemoveEmptyAbove(p)
}

// RemoveEmptyAbove removes the directories above a path in which nothing is.
func (t *Tree) RemoveEmptyAbove(p string) error {
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if fi, err := t.Root.Lstat(dir); err != nil || !fi.IsDir() {
			continue
		}
		if err := t.RemoveEmpty(dir); err != nil {
			return err
		}
	}
	return nil
}

// SyncPruned makes it durable that there is nothing at paths.
func (t *Tree) SyncPruned(paths []string) error {
	synced := map[string]bool{}
	for _, p := range paths {
		dir := path.Dir(p)
		for dir != "." {
			if _, err := t.Root.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
				break
			}
			dir = path.Dir(dir)
		}
		if synced[dir] {
			continue
		}
		if err := disk.SyncDir(t.At(dir)); err != nil {
			return err
		}
		synced[dir] = true
	}
	return nil
}

// RemoveEmpty removes a directory unless something is in it.
func (t *Tree) RemoveEmpty(dir string) error {
	d, err := t.Root.Open(dir)
	if err != nil {
		return err
	}
	_, err = d.Readdirnames(1)
	d.Close()
	if !errors.Is(err, io.EOF) {
		return err
	}
	return t.Root.Remove(dir)
}

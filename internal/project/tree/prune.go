package tree

import (
	"errors"
	"io"
	"io/fs"
	"path"
)

// Pruned says what was removed from a tree.
type Pruned struct {
	// Paths are relative to the tree.
	Paths []string
	// Bytes is their size.
	Bytes int64
}

// Prune removes a file, and the directories that it leaves empty. If there is
// none of that name, or a directory, it does nothing.
func (t *Tree) Prune(p string, pruned *Pruned) error {
	fi, err := t.Root.Lstat(p)
	if errors.Is(err, fs.ErrNotExist) || err == nil && fi.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.Root.Remove(p); err != nil {
		return err
	}
	pruned.Paths = append(pruned.Paths, p)
	pruned.Bytes += fi.Size()
	for parent := path.Dir(p); parent != "."; parent = path.Dir(parent) {
		if err := t.RemoveEmpty(parent); err != nil {
			return err
		}
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

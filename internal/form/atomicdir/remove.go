package atomicdir

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

// Remove removes a file that botkube-mirror wrote. If something else took its place, it does what
// [Staged.Publish] does. If there is none, it does nothing.
func (t *Tree) Remove(p string) error {
	if err := t.MakeWay(p); err != nil {
		return err
	}
	if err := t.Root.Remove(p); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveEmptyAbove removes the empty directories above a path.
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

// SyncPruned makes the removal of paths durable.
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
		if err := disk.SyncDirIn(t.Root, dir); err != nil {
			return err
		}
		synced[dir] = true
	}
	return nil
}

// RemoveEmpty removes a directory if it is empty.
func (t *Tree) RemoveEmpty(dir string) error {
	sub, err := disk.OpenDir(t.Root, dir)
	if err != nil {
		return err
	}
	names, err := readNames(sub, 1)
	sub.Close()
	if err != nil || len(names) > 0 {
		return err
	}
	return t.Root.Remove(dir)
}

// readNames returns up to max names of what is in a directory.
func readNames(dir *os.Root, max int) ([]string, error) {
	d, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(max)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}

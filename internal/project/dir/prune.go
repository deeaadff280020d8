package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/lock"
)

// Pruned says what [Prune] removed.
type Pruned struct {
	// Paths are relative to the directory, with slashes.
	Paths []string
	// Bytes is their size.
	Bytes int64
}

// Prune removes from a directory what was written for an earlier lock and is
// not named by the one that is there. Files that pull did not write stay.
func Prune(ctx context.Context, dir string, waiting func(string)) (Pruned, error) {
	l, err := ReadLock(dir)
	if err != nil {
		return Pruned{}, err
	}
	var all Pruned
	add := func(sub string, current []string) error {
		part, err := pruneTree(ctx, filepath.Join(dir, sub), current, waiting)
		for _, p := range part.Paths {
			all.Paths = append(all.Paths, path.Join(sub, p))
		}
		all.Bytes += part.Bytes
		return err
	}
	if len(l.Platforms) == 1 {
		err = add("", layout(l, l.Platforms[0]))
	} else {
		// What the directory held as one for a single platform lies beside
		// the sub-directories.
		err = add("", nil)
		for _, p := range l.Platforms {
			if err == nil {
				err = add(p.Dir(), layout(l, p))
			}
		}
	}
	for _, sub := range droppedPlatforms(dir, l) {
		if err == nil {
			err = add(sub, nil)
		}
	}
	return all, err
}

// droppedPlatforms returns the sub-directories of platforms that the lock of
// the directory no longer has.
func droppedPlatforms(dir string, l *lock.Lock) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var dropped []string
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		sub, err := ReadLock(filepath.Join(dir, e.Name()))
		if err != nil || len(sub.Platforms) != 1 || sub.Platforms[0].Dir() != e.Name() {
			continue
		}
		if len(l.Platforms) == 1 || !slices.Contains(l.Platforms, sub.Platforms[0]) {
			dropped = append(dropped, e.Name())
		}
	}
	return dropped
}

// pruneTree removes what the current layout lacks. A platform's directory that
// has no current layout goes as a whole.
func pruneTree(ctx context.Context, dir string, current []string, waiting func(string)) (Pruned, error) {
	t, err := openTree(ctx, dir, waiting)
	if err != nil {
		return Pruned{}, err
	}
	defer t.close()
	known := t.superseded()
	whole := false
	if l, err := t.readLock(); current == nil && err == nil && len(l.Platforms) == 1 {
		known, whole = append(known, layout(l, l.Platforms[0])...), true
	}
	var pruned Pruned
	for _, p := range supersededBy(known, current) {
		size, err := t.prune(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return pruned, fmt.Errorf("pruning %s: %w", dir, err)
		}
		pruned.Paths = append(pruned.Paths, p)
		pruned.Bytes += size
	}
	if whole {
		err = t.dissolve()
	} else {
		err = t.writeSuperseded(nil)
	}
	if err != nil {
		return pruned, fmt.Errorf("pruning %s: %w", dir, err)
	}
	return pruned, nil
}

// prune removes one file, and the directories that it leaves empty.
func (t *tree) prune(p string) (size int64, err error) {
	fi, err := t.root.Lstat(p)
	if err != nil {
		return 0, err
	}
	if fi.IsDir() {
		return 0, fs.ErrNotExist // never a directory of ours
	}
	if err := t.root.Remove(p); err != nil {
		return 0, err
	}
	for parent := path.Dir(p); parent != "."; parent = path.Dir(parent) {
		if err := removeEmpty(t.root, parent); err != nil {
			return 0, err
		}
	}
	return fi.Size(), nil
}

// dissolve removes our own files from a directory, and the directory itself if
// nothing else is in it.
func (t *tree) dissolve() error {
	for _, p := range []string{sumsPath, supersededPath, lockPath} {
		if err := t.root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := removeEmpty(t.root, metaDir); err != nil {
		return err
	}
	err := os.Remove(t.path)
	if entries, readErr := os.ReadDir(t.path); readErr == nil && len(entries) > 0 {
		return nil
	}
	return err
}

// removeEmpty removes a directory unless something is in it.
func removeEmpty(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	_, err = d.Readdirnames(1)
	d.Close()
	if !errors.Is(err, io.EOF) {
		return err
	}
	return root.Remove(dir)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

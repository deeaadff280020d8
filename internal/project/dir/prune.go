package dir

import (
	"bytes"
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
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
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
	// Before a directory is locked, and for that changed, it must be one of ours.
	if _, err := ReadLock(dir); err != nil {
		return Pruned{}, err
	}
	top, err := openTree(ctx, dir, waiting)
	if err != nil {
		return Pruned{}, err
	}
	defer top.close()
	l, err := top.readLock()
	if err != nil {
		return Pruned{}, fmt.Errorf("reading the lock of %s: %w", dir, err)
	}
	var all Pruned
	for _, p := range supersededBy(top.superseded(), top.layoutOf(l)) {
		if sub, ok := strings.CutSuffix(p, "/"); ok {
			if err := all.sub(ctx, dir, sub, true, waiting); err != nil {
				return all, err
			}
		}
	}
	if len(l.Platforms) > 1 {
		for _, p := range l.Platforms {
			if err := all.sub(ctx, dir, p.Dir(), false, waiting); err != nil {
				return all, err
			}
		}
	}
	part, err := top.pruneFiles(l, false)
	all.add("", part)
	return all, err
}

// sub prunes the sub-directory of a platform, or removes all that pull wrote to
// it if the platform was dropped.
func (all *Pruned) sub(ctx context.Context, dir, sub string, dropped bool, waiting func(string)) error {
	path := filepath.Join(dir, sub)
	l, err := ReadLock(path)
	if dropped && (err != nil || len(l.Platforms) != 1 || l.Platforms[0].Dir() != sub) {
		return nil // no longer what the list names
	}
	if err != nil {
		return err
	}
	t, err := openTree(ctx, path, waiting)
	if err != nil {
		return err
	}
	defer t.close()
	if l, err = t.readLock(); err != nil {
		return fmt.Errorf("reading the lock of %s: %w", path, err)
	}
	part, err := t.pruneFiles(l, dropped)
	all.add(sub, part)
	if err == nil && dropped {
		err = t.dissolve()
	}
	return err
}

func (all *Pruned) add(sub string, part Pruned) {
	for _, p := range part.Paths {
		all.Paths = append(all.Paths, path.Join(sub, p))
	}
	all.Bytes += part.Bytes
}

// pruneFiles removes the superseded files, or with whole all files.
func (t *tree) pruneFiles(l *lock.Lock, whole bool) (Pruned, error) {
	known, current := t.superseded(), t.layoutOf(l)
	if whole {
		known, current = append(known, current...), nil
	} else if err := t.checkSettled(l); err != nil {
		return Pruned{}, err
	}
	var pruned Pruned
	for _, p := range supersededBy(known, current) {
		if strings.HasSuffix(p, "/") {
			continue
		}
		size, err := t.prune(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return pruned, fault.New(fault.Unexpected, "pruning %s: %w", t.path, err).
				WithHint("if a link or a file is where a directory was, move it away, and prune again")
		}
		pruned.Paths = append(pruned.Paths, p)
		pruned.Bytes += size
	}
	if err := t.writeSuperseded(nil); err != nil {
		return pruned, fmt.Errorf("pruning %s: %w", t.path, err)
	}
	return pruned, nil
}

// checkSettled refuses a directory whose indexes are not those of its lock, as
// a run leaves it that ended while it completed the directory: an index may
// still name what the lock does not.
func (t *tree) checkSettled(l *lock.Lock) error {
	if len(l.Platforms) != 1 {
		return nil
	}
	sums, err := t.readMeta(sumsPath)
	settled := err == nil
	for _, p := range slices.Concat([]string{lockPath}, indexPaths(l)) {
		data, err := t.readMeta(p)
		settled = settled && err == nil && bytes.Contains(sums, fmt.Appendf(nil, "%s  %s\n", lock.Sum(data), p))
	}
	if settled {
		return nil
	}
	return fault.New(fault.Incomplete, "an update of %s is unfinished, or an index was changed", t.path).
		WithHint("run the pull again, then prune")
}

func indexPaths(l *lock.Lock) []string {
	var paths []string
	for _, r := range l.Repositories {
		paths = append(paths, agent.IndexPath(r.Name))
	}
	return paths
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

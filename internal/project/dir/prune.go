package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/project/tree"
)

// Prune removes from a directory what was written for an earlier lock and is
// not named by the one that is there. Files that pull did not write stay.
func Prune(ctx context.Context, dir string, waiting func(string)) (tree.Pruned, error) {
	pr := pruner{dir: dir, waiting: waiting}
	err := pr.prune(ctx)
	return pr.pruned, err
}

type pruner struct {
	dir     string
	waiting func(string)
	pruned  tree.Pruned
}

func (pr *pruner) prune(ctx context.Context) error {
	// Before a directory is locked, and for that changed, it must be one of ours.
	if _, err := ReadLock(pr.dir); err != nil {
		return err
	}
	top, err := openDirectory(ctx, pr.dir, pr.waiting)
	if err != nil {
		return err
	}
	defer top.Close()
	l, err := readLock(top.Tree)
	if err != nil {
		return fmt.Errorf("reading the lock of %s: %w", pr.dir, err)
	}
	for _, p := range supersededBy(top.superseded(), layoutOf(l)) {
		if sub, ok := strings.CutSuffix(p, "/"); ok {
			if err := pr.sub(ctx, sub, true); err != nil {
				return err
			}
		}
	}
	if len(l.Platforms) > 1 {
		for _, p := range l.Platforms {
			if err := pr.sub(ctx, p.Dir(), false); err != nil {
				return err
			}
		}
	}
	return pr.files(top, "", l, false)
}

// sub prunes the sub-directory of a platform, or removes all that pull wrote to
// it if the platform was dropped.
func (pr *pruner) sub(ctx context.Context, sub string, dropped bool) error {
	path := filepath.Join(pr.dir, sub)
	l, err := ReadLock(path)
	if dropped && (err != nil || len(l.Platforms) != 1 || l.Platforms[0].Dir() != sub) {
		return nil // no longer what the list names
	}
	if err != nil {
		return err
	}
	d, err := openDirectory(ctx, path, pr.waiting)
	if err != nil {
		return err
	}
	defer d.Close()
	if l, err = readLock(d.Tree); err != nil {
		return fmt.Errorf("reading the lock of %s: %w", path, err)
	}
	if err := pr.files(d, sub, l, dropped); err != nil || !dropped {
		return err
	}
	return d.dissolve()
}

// files prunes the files of a directory, which is that of a platform or "".
func (pr *pruner) files(d *directory, sub string, l *lock.Lock, whole bool) error {
	part, err := d.prune(l, whole)
	for _, p := range part.Paths {
		pr.pruned.Paths = append(pr.pruned.Paths, path.Join(sub, p))
	}
	pr.pruned.Bytes += part.Bytes
	return err
}

// prune removes the superseded files, or with whole all files.
func (d *directory) prune(l *lock.Lock, whole bool) (pruned tree.Pruned, err error) {
	known, current := d.superseded(), layoutOf(l)
	if whole {
		known, current = append(known, current...), nil
	} else if err := d.checkSettled(l); err != nil {
		return pruned, err
	}
	gone := supersededBy(known, current)
	for _, p := range gone {
		if strings.HasSuffix(p, "/") {
			continue
		}
		if err := d.Prune(p, &pruned); err != nil {
			return pruned, fault.New(fault.Unexpected, "pruning %s: %w", d.Path, err).
				WithHint("if a link or a file is where a directory was, move it away, and prune again")
		}
	}
	// What is there after all would be of nobody without the list.
	err = d.SyncPruned(gone)
	if err == nil {
		err = d.writeSuperseded(nil)
	}
	if err != nil {
		return pruned, fmt.Errorf("pruning %s: %w", d.Path, err)
	}
	return pruned, nil
}

// checkSettled refuses a directory whose indexes are not those of its lock, as
// a run leaves it that ended while it completed the directory: an index may
// still name what the lock does not.
func (d *directory) checkSettled(l *lock.Lock) error {
	if len(l.Platforms) != 1 {
		return nil
	}
	sums, err := readMeta(d.Tree, sumsPath)
	settled := err == nil
	for _, p := range slices.Concat([]string{lockPath}, indexPaths(l)) {
		data, err := readMeta(d.Tree, p)
		settled = settled && err == nil && bytes.Contains(sums, fmt.Appendf(nil, "%s  %s\n", lock.Sum(data), p))
	}
	if settled {
		return nil
	}
	return fault.New(fault.Incomplete, "an update of %s is unfinished, or an index was changed", d.Path).
		WithHint("run the pull again, then prune")
}

func indexPaths(l *lock.Lock) []string {
	var paths []string
	for _, r := range l.Repositories {
		paths = append(paths, agent.IndexPath(r.Name))
	}
	return paths
}

// dissolve removes our own files from a directory, and the directory itself if
// nothing else is in it.
func (d *directory) dissolve() error {
	for _, p := range []string{sumsPath, supersededPath, lockPath} {
		if err := d.Root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := d.RemoveEmpty(metaDir); err != nil {
		return err
	}
	err := os.Remove(d.Path)
	if entries, readErr := os.ReadDir(d.Path); readErr == nil && len(entries) > 0 {
		return nil
	}
	return err
}

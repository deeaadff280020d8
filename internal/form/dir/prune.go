package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Prune removes from a directory what was written for an earlier lock and is
// not named by the one that is there. Files that pull did not write stay.
func Prune(ctx context.Context, dir string, waiting func(string)) (atomicdir.Pruned, error) {
	pr := pruner{dir: dir, waiting: waiting}
	err := pr.prune(ctx)
	return pr.pruned, err
}

type pruner struct {
	dir     string
	waiting func(string)
	top     *directory
	pruned  atomicdir.Pruned
}

func (pr *pruner) prune(ctx context.Context) error {
	// Before a directory is locked, and for that changed, it must be one of ours.
	if _, err := ReadLock(pr.dir); err != nil {
		return err
	}
	t, err := atomicdir.Open(ctx, pr.dir, atomicdir.Options{Reader: pluginsdir.Reader, Waiting: pr.waiting})
	if err != nil {
		return err
	}
	pr.top = &directory{Tree: t}
	defer pr.top.Close()
	l, err := lockOf(t)
	if err != nil {
		return err
	}
	known, err := pr.top.listed()
	if err != nil {
		return err
	}
	for _, p := range supersededBy(known, layoutOf(l)) {
		if sub, ok := strings.CutSuffix(p, "/"); ok {
			if err := pr.dropped(ctx, sub); err != nil {
				return err
			}
		}
	}
	if len(l.Platforms) > 1 {
		for _, p := range l.Platforms {
			if err := pr.sub(ctx, p.Dir()); err != nil {
				return err
			}
		}
	}
	return pr.files(pr.top, "", l, false)
}

// sub prunes the sub-directory of a platform.
func (pr *pruner) sub(ctx context.Context, sub string) error {
	d, l, err := pr.open(ctx, sub)
	if err != nil {
		return err
	}
	defer d.Close()
	return pr.files(d, sub, l, false)
}

// dropped removes all that pull wrote to the sub-directory of a platform that was
// dropped. What is no longer what the list names stays, but a link in its place is
// an error: it may lead to another mirror.
func (pr *pruner) dropped(ctx context.Context, sub string) error {
	t, err := pr.top.Sub(sub)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return atomicdir.Refused(pr.top.At(sub), err)
	}
	l, err := readLock(t)
	t.Close()
	if err != nil || len(l.Platforms) != 1 || l.Platforms[0].Dir() != sub {
		return nil
	}
	d, l, err := pr.open(ctx, sub)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := pr.files(d, sub, l, true); err != nil {
		return err
	}
	return pr.dissolve(d, sub)
}

// open opens the sub-directory of a platform to prune it, and its lock. Like the
// top, it must have one before it is locked.
func (pr *pruner) open(ctx context.Context, sub string) (*directory, *lock.Lock, error) {
	t, err := pr.top.Sub(sub)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the directory of a platform: %w", atomicdir.Refused(pr.top.At(sub), err))
	}
	_, err = lockOf(t)
	t.Close()
	if err != nil {
		return nil, nil, err
	}
	if t, err = pr.top.OpenSub(ctx, sub, nil); err != nil {
		return nil, nil, err
	}
	d := &directory{Tree: t}
	l, err := lockOf(t)
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	return d, l, nil
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
func (d *directory) prune(l *lock.Lock, whole bool) (pruned atomicdir.Pruned, err error) {
	known, err := d.listed()
	if err != nil {
		return pruned, err
	}
	current := layoutOf(l)
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
			return pruned, fault.New(fault.KindOf(err), "pruning %s: %w", d.Path, err).
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
	var sums entry.Sums
	data, err := readMeta(d.Tree, sumsPath)
	if err == nil {
		sums, err = entry.ParseSums(data)
	}
	settled := err == nil
	for _, p := range append(indexPaths(l), lockPath) {
		data, err := readMeta(d.Tree, p)
		settled = settled && err == nil && sums.Names(p, data)
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

// dissolve removes our own files from a sub-directory, and the sub-directory itself
// if nothing else is in it.
func (pr *pruner) dissolve(d *directory, sub string) error {
	for _, p := range []string{sumsPath, supersededPath, lockPath} {
		if err := d.Root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := d.RemoveEmpty(metaDir); err != nil {
		return err
	}
	return pr.top.RemoveEmpty(sub)
}

package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// prune removes from a directory what was written for an earlier lock and is
// not named by the one that is there. Files that pull did not write stay.
func prune(ctx context.Context, p *form.Place, dry bool) (entry.Pruned, error) {
	// Locking changes a directory, so first check that botkube-mirror wrote it.
	if _, err := readDocuments(p.Path); err != nil {
		return entry.Pruned{}, err
	}
	open := func() (*atomicdir.Tree, error) {
		return atomicdir.Open(ctx, p.Path, atomicdir.Options{Reader: pluginsdir.Reader, Waiting: p.Waiting})
	}
	if dry {
		open = func() (*atomicdir.Tree, error) { return atomicdir.OpenExisting(p.Path) }
	}
	t, err := open()
	if err != nil {
		return entry.Pruned{}, err
	}
	pr := pruner{top: &directory{Tree: t}, dry: dry}
	defer pr.top.Close()
	err = pr.all(ctx)
	return pr.pruned, err
}

type pruner struct {
	top *directory
	// dry says that nothing is changed.
	dry    bool
	pruned entry.Pruned
}

func (pr *pruner) all(ctx context.Context) error {
	l, err := lockOf(pr.top.Tree)
	if err != nil {
		return err
	}
	known, err := superseded(pr.top.Tree)
	if err != nil {
		return err
	}
	for _, p := range entry.Superseded(known, layoutOf(l)) {
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
	return pr.files(pr.top, "", l, false)
}

// sub prunes the sub-directory of a platform. If the platform was dropped, it removes all
// that pull wrote there. It leaves alone whatever is not such a directory any more. A
// link in its place is an error, because it may lead to another mirror.
func (pr *pruner) sub(ctx context.Context, sub string, dropped bool) error {
	t, err := pr.top.Sub(sub)
	switch {
	case dropped && errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("opening the directory of a platform: %w", atomicdir.Refused(pr.top.At(sub), err))
	}
	// Like the top, it must have a lock before it is locked.
	l, err := lockOf(t)
	t.Close()
	if dropped && (err != nil || len(l.Platforms) != 1 || l.Platforms[0].Dir() != sub) {
		return nil
	}
	if err != nil {
		return err
	}
	if pr.dry {
		t, err = pr.top.Sub(sub)
	} else {
		t, err = pr.top.OpenSub(ctx, sub)
	}
	if err != nil {
		return err
	}
	d := &directory{Tree: t}
	defer d.Close()
	if l, err = lockOf(t); err != nil {
		return err
	}
	if err := pr.files(d, sub, l, dropped); err != nil || !dropped || pr.dry {
		return err
	}
	for _, p := range []string{sumsPath, supersededPath, lockPath} {
		if err := d.Root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return errors.Join(d.RemoveEmpty(metaDir), pr.top.RemoveEmpty(sub))
}

// files prunes a directory, of a platform or "": superseded files, or with whole all.
func (pr *pruner) files(d *directory, sub string, l *lock.Lock, whole bool) error {
	known, err := superseded(d.Tree)
	if err != nil {
		return err
	}
	current := layoutOf(l)
	if whole {
		known, current = append(known, current...), nil
	} else if err := checkSettled(d.Tree, l); err != nil {
		return err
	}
	gone := slices.DeleteFunc(entry.Superseded(known, current), func(p string) bool { return strings.HasSuffix(p, "/") })
	remove := entry.Prune
	if pr.dry {
		remove = entry.Prunable
	}
	pruned, err := remove(d.Tree, gone)
	for _, p := range pruned.Paths {
		pr.pruned.Paths = append(pr.pruned.Paths, path.Join(sub, p))
	}
	pr.pruned.Bytes += pruned.Bytes
	if err != nil {
		return fault.New(fault.KindOf(err), "pruning %s: %w", d.Path, err).
			WithHint("if a link or a file is in the place of a directory, move it away, and prune again")
	}
	if pr.dry {
		return nil
	}
	// The list goes last: if the run ends before, the next one still knows which files are left.
	if err := d.writeSuperseded(nil); err != nil {
		return fmt.Errorf("pruning %s: %w", d.Path, err)
	}
	return nil
}

// checkSettled refuses a directory whose indexes are not those of its lock.
func checkSettled(t *atomicdir.Tree, l *lock.Lock) error {
	if len(l.Platforms) != 1 {
		return nil
	}
	data, err := t.Read(sumsPath, maxMeta)
	var sums entry.Sums
	if err == nil {
		sums, _ = entry.ParseSums(data) // what cannot be read names nothing
	}
	_, err = sums.Documents(t, "", append(indexPaths(l), lockPath))
	return err
}

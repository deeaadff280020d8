package entry

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
)

// Superseded returns those of paths that are not among those of a plan, sorted, each
// once. Paths that differ in case only are one: on some systems they are one file.
func Superseded(paths, planned []string) []string {
	kept := map[string]bool{}
	for _, p := range planned {
		kept[strings.ToLower(p)] = true
	}
	left := slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return kept[strings.ToLower(p)] })
	slices.Sort(left)
	return slices.Compact(left)
}

// Pruned says what was removed from a tree.
type Pruned struct {
	// Paths are relative to the tree.
	Paths []string
	// Bytes is their size.
	Bytes int64
}

// Prunable says what [Prune] would remove.
func Prunable(t *atomicdir.Tree, paths []string) (Pruned, error) { return prune(t, paths, true) }

// Prune removes files, and the directories that this leaves empty, or that an earlier
// run left so which was killed. It makes that durable. Of a directory at a path nothing
// is removed, and no link above a path is followed.
func Prune(t *atomicdir.Tree, paths []string) (pruned Pruned, err error) {
	if pruned, err = prune(t, paths, false); err != nil {
		return pruned, err
	}
	return pruned, t.SyncPruned(paths)
}

func prune(t *atomicdir.Tree, paths []string, dry bool) (pruned Pruned, err error) {
	for _, p := range paths {
		if err := disk.CheckParents(t.Root, p); err != nil {
			return pruned, err
		}
		fi, err := t.Root.Lstat(p)
		if err == nil && fi.IsDir() {
			continue
		}
		if err == nil && !dry {
			err = t.Root.Remove(p)
		}
		switch {
		case err == nil:
			pruned.Paths = append(pruned.Paths, p)
			pruned.Bytes += fi.Size()
		case !errors.Is(err, fs.ErrNotExist):
			return pruned, err
		}
		if dry {
			continue
		}
		if err := t.RemoveEmptyAbove(p); err != nil {
			return pruned, err
		}
	}
	return pruned, nil
}

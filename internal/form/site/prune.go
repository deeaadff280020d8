package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
)

// Prune removes the upstream files that no version's lock names, such as those
// of a version whose directory was removed, and indexes of repositories that
// a version no longer has. It refuses to while a version is unfinished. Files
// that pull did not write stay: a file is one of ours if its content is
// what its directory says.
func Prune(ctx context.Context, root string, waiting func(string)) (atomicdir.Pruned, error) {
	// Before a directory is locked, and for that changed, it must be one of ours.
	if _, err := ReadLocks(root); err != nil {
		return atomicdir.Pruned{}, err
	}
	t, err := atomicdir.Open(ctx, root, atomicdir.Options{Reader: disk.Anyone, Waiting: waiting})
	if err != nil {
		return atomicdir.Pruned{}, err
	}
	defer t.Close()
	pr := &pruner{tree: t, kept: map[string]bool{}}
	if err := pr.prune(ctx); err != nil {
		return pr.pruned, fmt.Errorf("pruning %s: %w", root, atomicdir.Explain(err))
	}
	return pr.pruned, nil
}

type pruner struct {
	tree *atomicdir.Tree
	// kept are the files that a lock names, in lower case: on some systems that
	// is no difference.
	kept   map[string]bool
	pruned atomicdir.Pruned
}

func (pr *pruner) prune(ctx context.Context) error {
	all, err := states(pr.tree)
	if err != nil {
		return err
	}
	if names := unread(pr.tree); len(names) > 0 {
		return fmt.Errorf("%s may not be read, and may be a version whose files would be removed", strings.Join(names, ", "))
	}
	if names := linked(pr.tree); len(names) > 0 {
		return fault.New(fault.Integrity, "a link is not followed, and may lead to a version whose files would be removed: %s", strings.Join(names, ", ")).
			WithHint("remove the link; or move the version to its place")
	}
	for _, s := range all {
		if s.lock == nil {
			return s.damage(pr.tree)
		}
		if err := s.checkDocuments(pr.tree); err != nil {
			return err
		}
		if s.isOurs() {
			if _, err := s.indexes(pr.tree); err != nil {
				return err
			}
		}
		for _, f := range Files(s.lock) {
			pr.kept[strings.ToLower(f.Path)] = true
		}
	}
	for _, s := range all {
		if s.isOurs() {
			if err := pr.pruneIndexes(s); err != nil {
				return err
			}
		}
	}
	return pr.pruneFiles(ctx)
}

// pruneIndexes removes those of a version's repositories that its lock does not
// name.
func (pr *pruner) pruneIndexes(s *state) error {
	named := map[string]bool{}
	for _, r := range s.lock.Repositories {
		named[strings.ToLower(r.Name)] = true
	}
	return pr.eachDir(s.tag, func(repository string) error {
		if named[strings.ToLower(repository)] || agent.CheckRepository(repository) != nil {
			return nil
		}
		p := indexPath(s.tag, repository)
		if fi, err := pr.tree.Root.Lstat(p); err != nil || !fi.Mode().IsRegular() {
			return nil
		}
		return pr.tree.Prune(p, &pr.pruned)
	})
}

// pruneFiles removes upstream files.
func (pr *pruner) pruneFiles(ctx context.Context) error {
	return pr.eachContent(func(sum lock.SHA256) error { return pr.pruneContent(ctx, sum) })
}

// eachContent calls do with the contents of which there is a directory.
func (pr *pruner) eachContent(do func(lock.SHA256) error) error {
	return pr.eachDir(filesDir, func(prefix string) error {
		if !prefixForm.MatchString(prefix) {
			return nil
		}
		err := pr.eachDir(path.Join(filesDir, prefix), func(digest string) error {
			sum, err := lock.ParseSHA256(digest)
			if err != nil || contentDir(sum) != path.Join(filesDir, prefix, digest) {
				return nil
			}
			return do(sum)
		})
		if err != nil {
			return err
		}
		// A run that was killed may have left it empty.
		return pr.tree.RemoveEmptyAbove(path.Join(filesDir, prefix, "digest"))
	})
}

var prefixForm = regexp.MustCompile(`^[0-9a-f]{2}$`)

// maxPruned bounds, in bytes, the files that are hashed to tell whether they are to be
// pruned: far more than any plugin has. The lock that said the size is gone.
const maxPruned = 64 << 30

// pruneContent removes files of one content.
func (pr *pruner) pruneContent(ctx context.Context, sum lock.SHA256) error {
	dir := contentDir(sum)
	entries, err := fs.ReadDir(pr.tree.Root.FS(), dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		p := path.Join(dir, e.Name())
		if !e.Type().IsRegular() || pr.kept[strings.ToLower(p)] {
			continue
		}
		got, _, err := entry.Digest(ctx, pr.tree, p, maxPruned)
		if fault.KindOf(err) == fault.Integrity {
			continue // it is none of ours
		}
		if err != nil {
			return err
		}
		if got.SHA256 != sum {
			continue
		}
		if err := pr.tree.Prune(p, &pr.pruned); err != nil {
			return err
		}
	}
	return pr.tree.RemoveEmptyAbove(path.Join(dir, "name"))
}

// eachDir calls do with the names of the directories in one, which may be absent.
func (pr *pruner) eachDir(dir string, do func(name string) error) error {
	sub, err := disk.OpenDir(pr.tree.Root, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case fault.KindOf(err) == fault.Integrity:
		return fault.New(fault.Integrity, "%s: %w", pr.tree.At(dir), err).WithHint("move it away, and prune again")
	case err != nil:
		return err
	}
	defer sub.Close()
	entries, err := fs.ReadDir(sub.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if err := do(e.Name()); err != nil {
			return err
		}
	}
	return nil
}

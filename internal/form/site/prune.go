package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// prune removes the upstream files that no version's lock names, such as those of a version whose
// directory was removed, and indexes of repositories that a version no longer has. The page for
// people then lists the versions that are left. It refuses to while a version is unfinished. Files
// that botkube-mirror did not write stay: it wrote a file if the content has the digest in the name
// of its directory.
func prune(ctx context.Context, p *form.Place, dry bool) (entry.Pruned, error) {
	root, tag := rootOf(p.Path)
	if tag != "" {
		return entry.Pruned{}, fault.New(fault.Usage, "%s is one version of a site, but only a whole site can be pruned", p).
			WithHint("prune the site: botkube-mirror prune %s", root)
	}
	// Locking changes a directory, so first check that it is a site.
	if _, err := reading(root, finished); err != nil {
		return entry.Pruned{}, err
	}
	open := func() (*atomicdir.Tree, error) {
		return atomicdir.Open(ctx, root, atomicdir.Options{Reader: disk.Anyone, Waiting: p.Waiting})
	}
	if dry {
		open = func() (*atomicdir.Tree, error) { return atomicdir.OpenExisting(root) }
	}
	t, err := open()
	if err != nil {
		return entry.Pruned{}, err
	}
	defer t.Close()
	pruned, err := pruneTree(ctx, t, dry)
	if err == nil && !dry {
		err = renewRootPage(ctx, t)
	}
	if err != nil {
		return pruned, fmt.Errorf("pruning %s: %w", root, atomicdir.Explain(err))
	}
	return pruned, nil
}

func pruneTree(ctx context.Context, t *atomicdir.Tree, dry bool) (entry.Pruned, error) {
	planned, there, err := documents(t)
	if err != nil {
		return entry.Pruned{}, err
	}
	digests := map[string]lock.SHA256{}
	removeEmpty := t.RemoveEmptyAbove
	if dry {
		removeEmpty = leave
	}
	err = eachContent(t, removeEmpty, func(sum lock.SHA256, files []fs.DirEntry) error {
		dir := contentDir(sum)
		for _, e := range files {
			digests[path.Join(dir, e.Name())] = sum
		}
		// A run that was killed may have left it empty.
		return removeEmpty(path.Join(dir, "name"))
	})
	if err != nil {
		return entry.Pruned{}, err
	}
	var gone []string
	for _, p := range entry.Superseded(slices.AppendSeq(there, maps.Keys(digests)), planned) {
		if sum, isContent := digests[p]; isContent {
			got, _, err := entry.Digest(ctx, t, p, maxPruned)
			if fault.KindOf(err) == fault.Integrity || err == nil && got.SHA256 != sum {
				continue // it is none of ours
			}
			if err != nil {
				return entry.Pruned{}, err
			}
		}
		gone = append(gone, p)
	}
	if dry {
		return entry.Prunable(t, gone)
	}
	return entry.Prune(t, gone)
}

// documents returns the paths of all files that a site's versions consist of, and those of
// the indexes that are there. No version may be damaged, unfinished or unknown.
func documents(t *atomicdir.Tree) (planned, indexes []string, err error) {
	found, err := look(t)
	switch {
	case err != nil:
		return nil, nil, err
	case len(found.unread) > 0:
		return nil, nil, fmt.Errorf("your user cannot read %s, which may be a version: its files would be removed", strings.Join(found.unread, ", "))
	case len(found.linked) > 0:
		return nil, nil, fault.New(fault.Integrity, "botkube-mirror does not follow the link %s, which may lead to a version: its files would be removed", strings.Join(found.linked, ", ")).
			WithHint("remove the link, or replace it with the directory that it points to")
	}
	for _, s := range found.versions {
		if s.lock == nil {
			return nil, nil, s.damage(t)
		}
		if err := s.checkDocuments(t); err != nil {
			return nil, nil, err
		}
		planned = append(planned, entry.Paths(s.plan())...)
		if !s.isVersion {
			continue
		}
		if _, err := s.indexes(t); err != nil {
			return nil, nil, err
		}
		err := eachDir(t, s.tag, func(repository string) error {
			p := indexPath(s.tag, repository)
			if fi, err := t.Root.Lstat(p); err == nil && fi.Mode().IsRegular() && agent.CheckRepository(repository) == nil {
				indexes = append(indexes, p)
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return planned, indexes, nil
}

// eachContent calls do with each content that has a directory, and the files in that directory. It
// calls removeEmpty with a path in each directory of contents.
func eachContent(t *atomicdir.Tree, removeEmpty func(p string) error, do func(lock.SHA256, []fs.DirEntry) error) error {
	return eachDir(t, filesDir, func(prefix string) error {
		if !prefixForm.MatchString(prefix) {
			return nil
		}
		err := eachDir(t, path.Join(filesDir, prefix), func(digest string) error {
			sum, err := lock.ParseSHA256(digest)
			if err != nil || contentDir(sum) != path.Join(filesDir, prefix, digest) {
				return nil
			}
			entries, err := disk.ReadDir(t.Root, contentDir(sum))
			if err != nil {
				return err
			}
			return do(sum, slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !e.Type().IsRegular() }))
		})
		if err != nil {
			return err
		}
		// A run that was killed may have left it empty.
		return removeEmpty(path.Join(filesDir, prefix, "digest"))
	})
}

// leave is for [eachContent], and removes nothing.
func leave(string) error { return nil }

var prefixForm = lazyregexp.New(`^[0-9a-f]{2}$`)

// maxPruned bounds, in bytes, the files that are hashed to tell whether they are to be
// pruned: far more than any plugin has. The lock that said the size is gone.
const maxPruned = 64 << 30

// eachDir calls do with the names of the directories in one, which may be absent.
func eachDir(t *atomicdir.Tree, dir string, do func(name string) error) error {
	sub, err := disk.OpenDir(t.Root, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case fault.KindOf(err) == fault.Integrity:
		return fault.New(fault.Integrity, "%s: %w", t.At(dir), err).WithHint("move the file or the link away, and prune again")
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

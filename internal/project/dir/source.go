package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/project/cache"
	"github.com/botkube-mirror/botkube-mirror/internal/project/tree"
)

// Source is a directory that another one is made of: it gives binaries and
// indexes as they are, and compares them with the directory's SHA256SUMS. It is a
// [cache.Source].
type Source struct {
	path  string
	lock  *lock.Lock
	trees map[agent.Platform]*sourceTree
}

// sourceTree is the directory of one platform, and what should be in it.
type sourceTree struct {
	*tree.Tree
	sums map[string]lock.SHA256
}

// OpenSource opens a directory that this package wrote, to read it.
func OpenSource(dir string) (*Source, error) {
	l, err := ReadLock(dir)
	if err != nil {
		return nil, err
	}
	s := &Source{path: dir, lock: l, trees: map[agent.Platform]*sourceTree{}}
	for _, p := range l.Platforms {
		path := dir
		if len(l.Platforms) > 1 {
			path = filepath.Join(dir, p.Dir())
		}
		if s.trees[p], err = openSourceTree(path, l.ForPlatform(p)); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

func openSourceTree(dir string, want *lock.Lock) (*sourceTree, error) {
	t, err := tree.OpenExisting(dir)
	if err != nil {
		return nil, fault.New(fault.Incomplete, "the directory of %s is missing: %w", want.Platforms[0], err).WithHint(copyDirAgain)
	}
	st := &sourceTree{Tree: t}
	if err := st.load(want); err != nil {
		t.Close()
		return nil, err
	}
	return st, nil
}

const copyDirAgain = "copy the directory again from where it was written; sha256sum -c .botkube-mirror/SHA256SUMS in it tells what is damaged"

// load reads SHA256SUMS, and compares the lock with it and with the one that the
// top of the directory has.
func (t *sourceTree) load(want *lock.Lock) error {
	data, err := readMeta(t.Tree, sumsPath)
	if err != nil {
		return t.unreadable(sumsPath, err)
	}
	if t.sums, err = cache.ParseSums(data); err != nil {
		return fault.New(fault.Integrity, "%s is damaged: %w", t.At(sumsPath), err).WithHint(copyDirAgain)
	}
	lockData, err := t.document(lockPath)
	if err != nil {
		return err
	}
	wanted, err := want.Marshal()
	if err != nil {
		return err
	}
	if string(wanted) != string(lockData) {
		return fault.New(fault.Integrity, "%s is not that of the directory as a whole", t.At(lockPath)).WithHint(copyDirAgain)
	}
	return nil
}

// unreadable explains why a file that must be there cannot be read.
func (t *sourceTree) unreadable(p string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Incomplete, "%s is missing", t.At(p)).WithHint(copyDirAgain)
	}
	return fmt.Errorf("reading %s: %w", t.At(p), tree.Explain(err))
}

// document reads a small file and verifies it.
func (t *sourceTree) document(p string) ([]byte, error) {
	data, err := readMeta(t.Tree, p)
	if err != nil {
		return nil, t.unreadable(p, err)
	}
	return data, t.compare(p, lock.Sum(data))
}

// compare reports a file that is not what SHA256SUMS says.
func (t *sourceTree) compare(p string, got lock.SHA256) error {
	want, listed := t.sums[p]
	switch {
	case !listed:
		return fault.New(fault.Incomplete, "%s does not name %s", t.At(sumsPath), p).WithHint(copyDirAgain)
	case got != want:
		return fault.New(fault.Integrity, "%s is damaged: its sha256 is %s, but SHA256SUMS says %s", t.At(p), got, want).WithHint(copyDirAgain)
	}
	return nil
}

// Lock returns what the directory was made of.
func (s *Source) Lock() *lock.Lock { return s.lock }

// Close closes the directory.
func (s *Source) Close() error {
	var errs []error
	for _, t := range s.trees {
		if t != nil {
			errs = append(errs, t.Close())
		}
	}
	return errors.Join(errs...)
}

// Known gives the digest that SHA256SUMS has.
func (s *Source) Known(p agent.Platform, f lock.File) (lock.Blob, bool) {
	t := s.trees[p]
	sum, listed := t.sums[f.Path]
	fi, err := t.Root.Lstat(f.Path)
	if !listed || err != nil || !fi.Mode().IsRegular() {
		return lock.Blob{}, false
	}
	return lock.Blob{Size: fi.Size(), SHA256: sum}, true
}

// Make copies a file, and compares it with SHA256SUMS.
func (s *Source) Make(ctx context.Context, p agent.Platform, f lock.File, to cache.Sink) error {
	t := s.trees[p]
	fi, err := t.Root.Lstat(f.Path)
	if err != nil {
		return t.unreadable(f.Path, err)
	}
	if !fi.Mode().IsRegular() {
		return fault.New(fault.Integrity, "%s is no regular file", t.At(f.Path)).WithHint(copyDirAgain)
	}
	from, err := t.Root.Open(f.Path)
	if err != nil {
		return t.unreadable(f.Path, err)
	}
	defer from.Close()
	if err := cache.Copy(ctx, to, from); err != nil {
		return fmt.Errorf("copying %s: %w", t.At(f.Path), err)
	}
	made := to.Blob()
	if pinned, ok := f.Pinned(); ok && made.SHA256 != pinned.SHA256 {
		return fault.New(fault.Integrity, "%s is damaged: its sha256 is %s, but the lock says %s", t.At(f.Path), made.SHA256, pinned.SHA256).WithHint(copyDirAgain)
	}
	return t.compare(f.Path, made.SHA256)
}

// Index returns the index of the directory. Its JSON schemas are inline.
func (s *Source) Index(p agent.Platform, r lock.Repository) (cache.Index, error) {
	data, err := s.trees[p].document(agent.IndexPath(r.Name))
	return cache.Index{Data: data}, err
}

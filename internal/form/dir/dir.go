// Package dir writes and reads an agent's plugin cache directory, with indexes that name only files
// in that directory.
//
// A directory also has .botkube-mirror, which the agent does not read:
//
//	lock.json     what the directory was made of
//	SHA256SUMS    the digest of every file, for sha256sum -c
//	superseded    paths that were written for an earlier lock, until they are pruned
//	staging/      files on their way; only while a run writes
//
// Binaries are written first and indexes last, each under a temporary name that
// is renamed when it is whole, so that an agent that runs on the directory
// always finds a complete one. A directory for several platforms has a
// sub-directory of this form for each, and a lock of the whole.
package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

const (
	metaDir        = pluginsdir.MetaDir
	lockPath       = pluginsdir.LockPath
	sumsPath       = pluginsdir.SumsPath
	supersededPath = metaDir + "/superseded"

	// maxMeta is the maximum size, in bytes, of a document that is read back.
	maxMeta = lock.MaxSize
)

// readDocuments returns the lock of a directory. It is an error of kind
// [fault.Integrity] if something else than a regular file is where one of the
// directory's documents belongs; what they hold is not read.
func readDocuments(dir string) (*lock.Lock, error) {
	t, err := atomicdir.OpenExisting(dir)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	l, err := lockOf(t)
	if err != nil {
		return nil, err
	}
	if len(l.Platforms) == 1 {
		return l, t.CheckRegular(pullAgain, append(indexPaths(l), sumsPath, supersededPath)...)
	}
	for _, p := range l.Platforms {
		sub, err := t.Sub(p.Dir())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("reading %s: %w", t.Path, atomicdir.Explain(err))
		}
		if err != nil {
			return nil, damaged(t.At(p.Dir()), err)
		}
		err = sub.CheckRegular(pullAgain, append(indexPaths(l.ForPlatform(p)), lockPath, sumsPath, supersededPath)...)
		if err := errors.Join(err, sub.Close()); err != nil {
			return nil, err
		}
	}
	return l, t.CheckRegular(pullAgain, supersededPath)
}

const pullAgain = "run the pull again: it writes the file anew"

// damaged says what to do about a document that is damaged.
func damaged(path string, err error) error {
	return fault.New(fault.Integrity, "%s: %w", path, err).WithHint(pullAgain)
}

func indexPaths(l *lock.Lock) []string {
	var paths []string
	for _, r := range l.Repositories {
		paths = append(paths, agent.IndexPath(r.Name))
	}
	return paths
}

// readLock reads the lock that is there.
func readLock(t *atomicdir.Tree) (*lock.Lock, error) {
	data, err := t.Read(lockPath, maxMeta)
	if err != nil {
		return nil, err
	}
	return lock.Parse(data)
}

// lockOf returns the lock of a directory that is open, which must be there.
func lockOf(t *atomicdir.Tree) (*lock.Lock, error) {
	l, err := readLock(t)
	if errors.Is(err, fs.ErrNotExist) {
		err := fault.New(fault.Usage, "%s is not a directory that pull wrote: %s is missing", t.Path, lockPath)
		if looksCopied(t) {
			err = err.WithHint("if %[2]s is a copy, copy %[1]s as well: cp -r ORIGINAL/. %[2]s", pluginsdir.MetaDir, t.Path)
		}
		return nil, err
	}
	if pathErr := new(fs.PathError); errors.As(err, &pathErr) {
		return nil, fmt.Errorf("reading the lock of %s: %w", t.Path, atomicdir.Explain(err))
	}
	if err != nil {
		return nil, damaged(t.At(lockPath), err)
	}
	return l, nil
}

// looksCopied reports whether a directory without a lock has an index that an
// agent takes, and beside it the directory of that repository: cp -r DIR/* leaves
// out what begins with a dot.
func looksCopied(t *atomicdir.Tree) bool {
	entries, err := fs.ReadDir(t.Root.FS(), ".")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		name, isIndex := strings.CutSuffix(e.Name(), ".yaml")
		fi, err := t.Root.Lstat(name)
		if !isIndex || err != nil || !fi.IsDir() {
			return false
		}
		data, err := t.Read(e.Name(), maxMeta)
		if err != nil {
			return false
		}
		_, err = agent.ReadIndex(data)
		return err == nil
	})
}

// Package dir writes a directory that an agent starts from: the layout of its
// plugin cache, with indexes that name nothing outside of it.
//
// Beside what the agent reads, a directory holds .botkube-mirror:
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
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

const (
	metaDir        = pluginsdir.MetaDir
	lockPath       = pluginsdir.LockPath
	sumsPath       = pluginsdir.SumsPath
	supersededPath = metaDir + "/superseded"

	// maxMeta bounds, in bytes, a file of ours that is read back.
	maxMeta = lock.MaxSize
)

// Options say how a directory is written.
type Options struct {
	// Mount is where the agent will see the directory: its plugins.cacheDir.
	Mount string
	// Source is what the files are made of.
	Source pluginsdir.Source
	// Waiting, if not nil, is called when another run has the directory.
	Waiting func(path string)
	// Displaced, if not nil, is called for what was in the way of a directory
	// that pull wrote before, with where it was and where it was moved.
	Displaced func(path, to string)
}

// Writer writes a directory. Write may be called concurrently, between one Open
// and one Commit.
type Writer struct {
	options   Options
	top       *directory
	platforms map[agent.Platform]*directory
}

// Open prepares a directory for a plan's platforms and files: it creates the
// directory if need be, waits for another run that writes it, and sweeps what
// a killed one left. The sizes and digests of the plan's artifacts do not matter
// yet.
func Open(ctx context.Context, dir string, plan *lock.Lock, o Options) (*Writer, error) {
	if err := pluginsdir.CheckMount(o.Mount); err != nil {
		return nil, err
	}
	w := &Writer{options: o, platforms: map[agent.Platform]*directory{}}
	var err error
	to := atomicdir.Options{Reader: pluginsdir.Reader, Waiting: o.Waiting}
	w.top, err = openPlanned(o, func(begin func() error) (*atomicdir.Tree, error) {
		to.Begin = begin
		return atomicdir.Open(ctx, dir, to)
	})
	if err != nil {
		return nil, err
	}
	for _, p := range plan.Platforms {
		d := w.top
		if len(plan.Platforms) > 1 {
			below := func(begin func() error) (*atomicdir.Tree, error) { return w.top.OpenSub(ctx, p.Dir(), begin) }
			if d, err = openPlanned(o, below); err != nil {
				w.Close()
				return nil, err
			}
		}
		w.platforms[p] = d
		for _, f := range pluginsdir.Paths(plan, p) {
			d.planned[f] = true
		}
	}
	return w, nil
}

// Write brings one file into the directory. A file that is there already, byte for
// byte, is left alone. It reports whether anything was written.
func (w *Writer) Write(ctx context.Context, p agent.Platform, f lock.File) (bool, error) {
	d := w.platforms[p]
	made, written, err := entry.Write(ctx, d.Tree, fileEntry(p, f, w.options.Source))
	if err != nil {
		return false, fmt.Errorf("writing %s: %w", d.At(f.Path), atomicdir.Explain(err))
	}
	d.record(f.Path, made)
	return written, nil
}

// Commit writes indexes and locks, and makes all of it durable. All files of
// the lock must have been written. It reports whether anything was written, or a
// mode mended.
func (w *Writer) Commit(ctx context.Context, l *lock.Lock) (bool, error) {
	changed := false
	for _, p := range l.Platforms {
		d := w.platforms[p]
		written, err := d.commit(ctx, l.ForPlatform(p), p, w.options)
		if err != nil {
			return false, fmt.Errorf("completing %s: %w", d.Path, atomicdir.Explain(err))
		}
		changed = changed || written || d.Mended()
	}
	if len(l.Platforms) > 1 {
		written, err := w.top.commitWhole(ctx, l.PluginsOnly())
		if err != nil {
			return false, fmt.Errorf("completing %s: %w", w.top.Path, atomicdir.Explain(err))
		}
		changed = changed || written
	}
	return changed || w.top.Mended(), nil
}

// Close removes what is unfinished and lets the next run have the directory.
func (w *Writer) Close() error {
	var errs []error
	for _, d := range w.platforms {
		if d != w.top {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(append(errs, w.top.Close())...)
}

// ReadLock returns the lock of a directory that this package wrote. It is an error
// of kind [fault.Integrity] if something else than a regular file is where one of
// the directory's documents belongs; what they hold is not read.
func ReadLock(dir string) (*lock.Lock, error) {
	t, err := atomicdir.OpenExisting(dir)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	l, err := lockOf(t)
	if err != nil {
		return nil, err
	}
	return l, checkDocuments(t, l)
}

// checkDocuments refuses anything but a regular file in the place of a document.
func checkDocuments(t *atomicdir.Tree, l *lock.Lock) error {
	if len(l.Platforms) == 1 {
		return checkRegular(t, append([]string{sumsPath, supersededPath}, indexPaths(l)...))
	}
	for _, p := range l.Platforms {
		sub, err := t.Sub(p.Dir())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return damaged(t.At(p.Dir()), err)
		}
		err = checkRegular(sub, append([]string{lockPath, sumsPath, supersededPath}, indexPaths(l.ForPlatform(p))...))
		if err := errors.Join(err, sub.Close()); err != nil {
			return err
		}
	}
	return checkRegular(t, []string{supersededPath})
}

func checkRegular(t *atomicdir.Tree, paths []string) error {
	for _, p := range paths {
		if _, err := disk.StatRegular(t.Root, p); fault.KindOf(err) == fault.Integrity {
			return damaged(t.At(p), err)
		}
	}
	return nil
}

// damaged says what to do about a document that is damaged.
func damaged(path string, err error) error {
	return fault.New(fault.Integrity, "%s: %w", path, err).WithHint("run pull again to write it anew")
}

// lockOf returns the lock of a directory that is open, which must be there.
func lockOf(t *atomicdir.Tree) (*lock.Lock, error) {
	l, err := readLock(t)
	if errors.Is(err, fs.ErrNotExist) {
		err := fault.New(fault.Usage, "%s is not a directory that pull wrote: it has no %s", t.Path, lockPath)
		if looksCopied(t) {
			err = err.WithHint("if it is a copy, copy %s as well: cp -r DIR/. %s", pluginsdir.MetaDir, t.Path)
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

// mayBeCopy is [looksCopied] for a path.
func mayBeCopy(dir string) bool {
	t, err := atomicdir.OpenExisting(dir)
	if err != nil {
		return false
	}
	defer t.Close()
	return looksCopied(t)
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

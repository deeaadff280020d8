package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
)

// Sweep removes all blobs for which keep returns false, partial downloads that no process writes,
// and records of blobs that are gone. If other processes use the store, Sweep keeps every blob that
// was stored or used since the first of them opened it. keep must return true for blobs that this
// process needs.
//
// Sweep returns the sorted digests of the removed blobs, and the size in bytes of these blobs and
// of the downloads. For a store of [Look], it returns the same, but removes and locks nothing.
func (s *Store) Sweep(ctx context.Context, keep func(lock.SHA256) bool) (removed []lock.SHA256, bytes int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("removing unused blobs from the store %s: %w", s.dir, explain(err))
		}
	}()
	if !s.OnlyLooks() {
		l, err := s.claim(ctx, ingestDir+"/"+sweepLock, nil)
		if err != nil {
			return nil, 0, err
		}
		defer func() { err = errors.Join(err, l.Unlock()) }()
		s.removeStale()
	}
	cutoff, err := s.firstOtherRun()
	if err != nil {
		return nil, 0, err
	}
	if removed, bytes, err = s.sweepBlobs(ctx, keep, cutoff); err != nil {
		return removed, bytes, err
	}
	n, err := s.sweepIngests(ctx)
	bytes += n
	if s.OnlyLooks() {
		return removed, bytes, err
	}
	for _, dir := range []string{urlsDir, derivedDir, indexesDir} {
		if err == nil {
			err = s.sweepRecords(ctx, dir)
		}
	}
	return removed, bytes, err
}

// firstOtherRun returns when the first of the other running processes opened the store. If there is
// none, it returns a time in the far future.
func (s *Store) firstOtherRun() (time.Time, error) {
	cutoff := time.Unix(1<<40, 0)
	entries, err := s.entries(ingestDir)
	if err != nil {
		return cutoff, err
	}
	for _, e := range entries {
		// removeStale has removed the files of processes that have ended.
		if !strings.HasPrefix(e.Name(), runPrefix) || e.Name() == runPrefix+s.runName+lockSuffix || s.OnlyLooks() && !s.isHeld(e.Name()) {
			continue
		}
		if fi, err := e.Info(); err == nil && fi.ModTime().Before(cutoff) {
			cutoff = fi.ModTime()
		}
	}
	return cutoff, nil
}

func (s *Store) sweepBlobs(ctx context.Context, keep func(lock.SHA256) bool, cutoff time.Time) (removed []lock.SHA256, bytes int64, err error) {
	entries, err := s.entries(blobsDir)
	if err != nil {
		return nil, 0, err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return removed, bytes, err
		}
		d, err := lock.ParseSHA256(e.Name())
		if err != nil || keep(d) {
			continue // a file that is not a blob is not the store's
		}
		fi, err := e.Info()
		if err != nil || !fi.Mode().IsRegular() || !fi.ModTime().Before(cutoff) {
			continue
		}
		s.Forget(d)
		if !s.OnlyLooks() {
			if err := s.root.Remove(s.path(d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return removed, bytes, err
			}
		}
		removed = append(removed, d)
		bytes += fi.Size()
	}
	slices.SortFunc(removed, func(a, b lock.SHA256) int { return slices.Compare(a[:], b[:]) })
	return removed, bytes, nil
}

// sweepIngests removes the partial downloads that no process writes: their locks are free.
func (s *Store) sweepIngests(ctx context.Context) (bytes int64, err error) {
	entries, err := s.entries(ingestDir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return bytes, err
		}
		name, _, _ := strings.Cut(e.Name(), ".")
		if !isHashed(name) || strings.HasSuffix(e.Name(), lockSuffix) {
			continue
		}
		path := ingestDir + "/" + e.Name()
		if s.OnlyLooks() {
			// removeStale removes empty downloads.
			if fi, err := s.root.Lstat(path); err == nil && s.hasBytes(name) && !s.isHeld(name+lockSuffix) {
				bytes += fi.Size()
			}
			continue
		}
		err := s.unlessHeld(name+lockSuffix, func() error {
			fi, err := s.root.Lstat(path)
			if err != nil {
				return err
			}
			bytes += fi.Size()
			return s.root.RemoveAll(path)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return bytes, err
		}
	}
	return bytes, nil
}

// sweepRecords removes records whose blob is gone, and those that cannot be read.
func (s *Store) sweepRecords(ctx context.Context, dir string) error {
	entries, err := s.entries(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := dir + "/" + e.Name()
		if r, ok := s.readRecordFile(path); ok {
			if fi, err := s.root.Lstat(s.path(r.Blob)); err == nil && fi.Mode().IsRegular() {
				continue
			}
		}
		if err := s.root.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// removeStale removes files of processes that were killed. It keeps their downloads, because a
// later run continues them. It ignores errors: a later run tries again.
func (s *Store) removeStale() {
	entries, err := s.entries(ingestDir)
	if err != nil {
		return
	}
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), ".")
		run, isTemp := strings.CutPrefix(name, tempPrefix)
		switch {
		case isTemp:
			// A run takes its lock before it creates temporary files.
			run, _, _ := strings.Cut(run, "-")
			_ = s.unlessHeld(runPrefix+run+lockSuffix, func() error { return s.root.RemoveAll(ingestDir + "/" + e.Name()) })
		case strings.HasSuffix(e.Name(), lockSuffix):
			_ = s.unlessHeld(e.Name(), func() error { return nil })
		case isHashed(name):
			_ = s.unlessHeld(name+lockSuffix, func() error { return s.removeNotes(name) })
		}
	}
}

// unlessHeld takes a lock of the store and calls do. If another run holds the lock, it does
// nothing.
func (s *Store) unlessHeld(name string, do func() error) error {
	file := ingestDir + "/" + name
	if err := s.removeNonFile(file); err != nil {
		return err
	}
	l, err := filelock.TryFile(s.root, file)
	if err != nil || l == nil {
		return err
	}
	return errors.Join(do(), l.Unlock())
}

// isHeld reports whether another run holds a lock of the store. It creates and removes nothing.
func (s *Store) isHeld(name string) bool { return filelock.IsHeld(s.root, ingestDir+"/"+name) }

// hasBytes reports whether there is a partial file that is not empty.
func (s *Store) hasBytes(name string) bool {
	fi, err := s.root.Lstat(ingestDir + "/" + name + partSuffix)
	return err == nil && fi.Mode().IsRegular() && fi.Size() > 0
}

// isHashed reports whether a name has the form of those of [hashed].
func isHashed(name string) bool {
	_, err := lock.ParseSHA256(name)
	return err == nil
}

// removeNotes removes an empty partial file and its records.
func (s *Store) removeNotes(name string) error {
	if s.hasBytes(name) {
		return nil
	}
	base := ingestDir + "/" + name
	var errs []error
	for _, suffix := range []string{partSuffix, metaSuffix, sumsSuffix} {
		errs = append(errs, s.root.RemoveAll(base+suffix))
	}
	return errors.Join(errs...)
}

// removeNonFile removes a directory or a special file at a path where the store keeps a regular
// file.
func (s *Store) removeNonFile(name string) error {
	if fi, err := s.root.Lstat(name); err != nil || fi.Mode().IsRegular() {
		return nil // other errors show when the file is opened
	}
	return s.root.RemoveAll(name)
}

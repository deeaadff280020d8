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

// Sweep removes the blobs that keep refuses, the downloads that no process is
// at, and the records of blobs that are gone. Where other processes use the
// store, what was stored or used since the first of them opened it stays.
// It returns the removed digests in order, and how many bytes they and the
// downloads had. Blobs that this process needs are for keep to name. If the
// store is only looked at, Sweep returns the same, and removes and locks nothing.
func (s *Store) Sweep(ctx context.Context, keep func(lock.SHA256) bool) (removed []lock.SHA256, bytes int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("sweeping the store %s: %w", s.dir, explain(err))
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
	cutoff, err := s.othersSince()
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

// othersSince returns when the first of the other processes at work opened the store, if any.
func (s *Store) othersSince() (time.Time, error) {
	cutoff := time.Unix(1<<40, 0)
	entries, err := s.entries(ingestDir)
	if err != nil {
		return cutoff, err
	}
	for _, e := range entries {
		// removeStale has left only those whose process lives.
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
			continue // what is not a blob is not ours
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

// sweepIngests removes the downloads that nobody is at: those whose lock is free.
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
			// Of a download without a byte, removeStale removes what else there is.
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

// removeStale removes what processes that were killed left behind, save their
// downloads, which are resumed. What cannot be removed is left to a later run.
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
			// A run holds its lock before it makes any.
			run, _, _ := strings.Cut(run, "-")
			_ = s.unlessHeld(runPrefix+run+lockSuffix, func() error { return s.root.RemoveAll(ingestDir + "/" + e.Name()) })
		case strings.HasSuffix(e.Name(), lockSuffix):
			_ = s.unlessHeld(e.Name(), func() error { return nil })
		case isHashed(name):
			_ = s.unlessHeld(name+lockSuffix, func() error { return s.removeNotes(name) })
		}
	}
}

// unlessHeld calls do while it holds a lock of the store. It does nothing if another run holds it.
func (s *Store) unlessHeld(name string, do func() error) error {
	file := ingestDir + "/" + name
	if err := s.clearWay(file); err != nil {
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

// hasBytes reports whether there is a partial file with a byte.
func (s *Store) hasBytes(name string) bool {
	fi, err := s.root.Lstat(ingestDir + "/" + name + partSuffix)
	return err == nil && fi.Mode().IsRegular() && fi.Size() > 0
}

// isHashed reports whether a name is one that [hashed] gives.
func isHashed(name string) bool {
	_, err := lock.ParseSHA256(name)
	return err == nil
}

// removeNotes removes the notes on a partial file without a byte.
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

// clearWay removes what is no regular file: nobody else may keep anything in a store.
func (s *Store) clearWay(name string) error {
	if fi, err := s.root.Lstat(name); err != nil || fi.Mode().IsRegular() {
		return nil // opening it says what is wrong, if anything is
	}
	return s.root.RemoveAll(name)
}

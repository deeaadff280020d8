package store

import (
	"errors"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
)

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

// unlessHeld does something while it holds a lock, or nothing if somebody else does.
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

// isHashed reports whether a name is one that [hashed] gives.
func isHashed(name string) bool {
	_, err := lock.ParseSHA256(name)
	return err == nil
}

// removeNotes removes the notes on a partial file without a byte.
func (s *Store) removeNotes(name string) error {
	base := ingestDir + "/" + name
	if fi, err := s.root.Lstat(base + partSuffix); err == nil && fi.Mode().IsRegular() && fi.Size() > 0 {
		return nil
	}
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

package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// source is a directory that another one is made of: it gives binaries and
// indexes as they are, and compares them with the directory's SHA256SUMS.
type source struct {
	// top is the directory as a whole.
	top   *atomicdir.Tree
	lock  *lock.Lock
	trees map[agent.Platform]*sourceTree
}

// sourceTree is the directory of one platform, and what should be in it.
type sourceTree struct {
	*atomicdir.Tree
	sums entry.Sums
}

func openSource(dir string) (*source, error) {
	top, err := atomicdir.OpenExisting(dir)
	if err != nil {
		return nil, err
	}
	s := &source{top: top, trees: map[agent.Platform]*sourceTree{}}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open opens the directories of all platforms.
func (s *source) open() (err error) {
	if s.lock, err = lockOf(s.top); err != nil {
		return err
	}
	for _, p := range s.lock.Platforms {
		st := &sourceTree{Tree: s.top}
		if len(s.lock.Platforms) > 1 {
			if st.Tree, err = s.top.Sub(p.Dir()); err != nil {
				return s.noDirectory(p, err)
			}
		}
		s.trees[p] = st
		if err := st.load(s.lock.ForPlatform(p)); err != nil {
			return err
		}
	}
	return nil
}

// noDirectory says why the directory of a platform cannot be opened.
func (s *source) noDirectory(p agent.Platform, err error) error {
	if fault.KindOf(err) == fault.Integrity {
		return fault.New(fault.Integrity, "%s: %w", s.top.At(p.Dir()), err).WithHint(copyDirAgain)
	}
	return fault.New(fault.Incomplete, "the directory for %s is missing: %w", p, err).WithHint(copyDirAgain)
}

const copyDirAgain = "copy the directory again from where it was written; to see which files are damaged, run in it: sha256sum -c .botkube-mirror/SHA256SUMS"

// load reads SHA256SUMS, and compares the lock with it and with that of the whole.
func (t *sourceTree) load(want *lock.Lock) error {
	data, err := t.Read(sumsPath, maxMeta)
	if err != nil {
		return t.unreadable(sumsPath, err)
	}
	if t.sums, err = entry.ParseSums(data); err != nil {
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
		return fault.New(fault.Integrity, "%s does not match the lock of the whole directory", t.At(lockPath)).WithHint(copyDirAgain)
	}
	return nil
}

// unreadable explains why a file that must be there cannot be read.
func (t *sourceTree) unreadable(p string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Incomplete, "%s is missing", t.At(p)).WithHint(copyDirAgain)
	}
	if fault.KindOf(err) == fault.Integrity {
		return fault.New(fault.Integrity, "%s is damaged: %w", t.At(p), err).WithHint(copyDirAgain)
	}
	return fmt.Errorf("reading %s: %w", t.At(p), atomicdir.Explain(err))
}

// document reads a small file and verifies it.
func (t *sourceTree) document(p string) ([]byte, error) {
	data, err := t.Read(p, maxMeta)
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
		return fault.New(fault.Incomplete, "%s does not list %s", t.At(sumsPath), p).WithHint(copyDirAgain)
	case got != want:
		return fault.New(fault.Integrity, "%s is damaged: its sha256 is %s, but SHA256SUMS says %s", t.At(p), got, want).WithHint(copyDirAgain)
	}
	return nil
}

// Close closes the directory.
func (s *source) Close() error {
	errs := []error{s.top.Close()}
	for _, t := range s.trees {
		if t.Tree != s.top {
			errs = append(errs, t.Close())
		}
	}
	return errors.Join(errs...)
}

// Known gives the digest that SHA256SUMS has.
func (s *source) Known(p agent.Platform, f lock.File) (lock.Blob, bool) {
	t := s.trees[p]
	sum, listed := t.sums[f.Path]
	fi, err := disk.StatRegular(t.Root, f.Path)
	if !listed || err != nil || checkSize(f, fi.Size()) != nil {
		return lock.Blob{}, false // making it says what is wrong
	}
	return lock.Blob{Size: fi.Size(), SHA256: sum}, true
}

// Expected is Known.
func (s *source) Expected(p agent.Platform, f lock.File) (int64, bool) {
	known, ok := s.Known(p, f)
	return known.Size, ok
}

// Make copies a file, and compares it with SHA256SUMS.
func (s *source) Make(ctx context.Context, p agent.Platform, f lock.File, to blob.Sink) error {
	t := s.trees[p]
	from, err := disk.OpenRegular(t.Root, f.Path)
	if err != nil {
		return t.unreadable(f.Path, err)
	}
	defer from.Close()
	fi, err := from.Stat()
	if err != nil {
		return t.unreadable(f.Path, err)
	}
	if err := checkSize(f, fi.Size()); err != nil {
		return fault.New(fault.Integrity, "%s is damaged: %w", t.At(f.Path), err).WithHint(copyDirAgain)
	}
	if err := blob.Copy(ctx, to, io.LimitReader(from, pluginsdir.MostOf(f)+1)); err != nil {
		return fmt.Errorf("copying %s: %w", t.At(f.Path), err)
	}
	made := to.Blob()
	if pinned, ok := f.Pinned(); ok && made.SHA256 != pinned.SHA256 {
		return fault.New(fault.Integrity, "%s is damaged: its sha256 is %s, but the lock says %s", t.At(f.Path), made.SHA256, pinned.SHA256).WithHint(copyDirAgain)
	}
	return t.compare(f.Path, made.SHA256)
}

// checkSize says why a file of a size in bytes cannot be what it should be.
func checkSize(f lock.File, size int64) error {
	if pinned, ok := f.Pinned(); ok && size != pinned.Size {
		return fmt.Errorf("the file has %d bytes, but the lock says %d", size, pinned.Size)
	}
	if most := pluginsdir.MostOf(f); size > most {
		return fmt.Errorf("the file has %d bytes, but its archive can hold at most %d", size, most)
	}
	return nil
}

// Index returns the index of the directory. Its JSON schemas are inline.
func (s *source) Index(p agent.Platform, r lock.Repository) (pluginsdir.Index, error) {
	data, err := s.trees[p].document(agent.IndexPath(r.Name))
	return pluginsdir.Index{Data: data}, err
}

// Package store keeps content-addressed blobs on this machine, in an OCI image
// layout directory: what was downloaded once is there for every later run, and
// nothing is under a digest's name that was not found to have that digest.
//
// A directory may be used by several processes at once. It looks like this:
//
//	oci-layout, index.json   make it an OCI image layout (image-spec, image-layout.md)
//	blobs/sha256/HEX         the blobs
//	ingest/                  downloads in progress or left by an earlier run, and locks
//	urls/, derived/          what is remembered of URLs, and of what was made of a blob
//	indexes/                 which plugin indexes were read last
//	roots/                   the locks of outputs, which say what a sweep must spare
//
// Only blobs matter: whatever else is lost or damaged is found out again.
package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
)

// Store is an open store. Its methods may be called concurrently.
type Store struct {
	dir string
	// root is the directory. Everything in it is reached through it, so that
	// nobody who exchanges a directory for a link leads this process elsewhere.
	root *os.Root
	// trusted says that no other user may write to the store. Else, records do not
	// count, and every blob is hashed before each use.
	trusted bool
	// run is this process's entry in the list of those who use the store. It is nil if the store is
	// only looked at: see [Look].
	run *filelock.Lock
	// runName is what its name has that others have not.
	runName string
	// opened is when, by the file system's clock.
	opened time.Time

	// temps counts temporary files.
	temps atomic.Int64

	// known has the sizes, as int64, of the blobs that this process has hashed.
	known sync.Map
}

func (s *Store) Dir() string { return s.dir }

// Close tells other processes that this one is done with the store. Without
// it, the end of the process does.
func (s *Store) Close() error {
	if s.OnlyLooks() {
		return s.root.Close()
	}
	// Some may have been killed since this one began.
	s.removeStale()
	return errors.Join(s.run.Unlock(), s.root.Close())
}

// path returns where in the store a blob is.
func (s *Store) path(d lock.SHA256) string {
	return blobsDir + "/" + d.String()
}

// at returns the path of a file of the store, as the system writes it.
func (s *Store) at(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// Has returns the size in bytes of a blob. A blob that it finds counts as used
// by this run, so that the [Store.Sweep] of another leaves it alone. What the
// blob holds is not looked at: see [Store.Verify].
func (s *Store) Has(d lock.SHA256) (size int64, ok bool) {
	fi, ok := s.lookUp(d)
	if !ok {
		return 0, false
	}
	return fi.Size(), true
}

// lookUp describes a blob, and marks it as used.
func (s *Store) lookUp(d lock.SHA256) (fi fs.FileInfo, ok bool) {
	path := s.path(d)
	fi, err := s.root.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || !plausible(fi) {
		return nil, false
	}
	if fi.Mode()&fileMode != fileMode {
		_ = s.root.Chmod(path, fi.Mode()|fileMode) // opening it says what is wrong, if anything is
	}
	if fi.ModTime().Before(s.opened) {
		// The file system's clock may be ahead of this machine's.
		used := time.Now()
		if used.Before(s.opened) {
			used = s.opened
		}
		_ = s.root.Chtimes(path, used, used) // a mark that cannot be set only matters to a sweep
	}
	return fi, true
}

// Open opens a blob to read. Its content is as good as the disk: see
// [Store.Verify]. One that others may change is hashed here, and if they may do so
// while it is read, what is opened is a copy.
func (s *Store) Open(d lock.SHA256) (blob.File, error) {
	f, err := s.open(d)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	switch {
	case err != nil:
	case s.trusts(fi):
		return f, nil
	case accessTo(fi) != exclusive:
		return s.copyOf(d, f)
	default:
		err = s.compare(context.Background(), d, f, io.Discard)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// open opens the file of a blob.
func (s *Store) open(d lock.SHA256) (*os.File, error) {
	if _, ok := s.lookUp(d); !ok {
		return nil, s.absent(d)
	}
	f, err := disk.OpenRegular(s.root, s.path(d))
	if err != nil {
		return nil, fmt.Errorf("opening a blob of the store: %w", explain(err))
	}
	if fi, err := f.Stat(); err != nil || !plausible(fi) {
		f.Close()
		return nil, s.absent(d)
	}
	return f, nil
}

// plausible reports whether a file may be a blob: whoever may write to the store can
// make one that has any size, and takes no room. It would be read for hours. What
// compression a file system does on its own never comes near a hundred.
func plausible(fi fs.FileInfo) bool {
	const most, small = lock.MaxBlob, 64 << 20 // the second is soon read
	size, room := fi.Size(), disk.AllocatedSize(fi)
	return size <= most && (size <= small || room <= 0 || room >= size/100)
}

// copyOf copies a blob to where nobody else may write, compares it, and closes it.
func (s *Store) copyOf(d lock.SHA256, f *os.File) (blob.File, error) {
	defer f.Close()
	private, err := disk.TempFile()
	if err == nil {
		err = s.compare(context.Background(), d, f, private)
	}
	if err == nil {
		_, err = private.Seek(0, io.SeekStart)
	}
	if err == nil {
		return private, nil
	}
	if private != nil {
		private.Close()
	}
	if disk.IsFull(err) {
		err = fault.New(fault.Unexpected, "copying a blob of a store that others may write to: %w", err).
			WithHint("free some space in %s, or name another directory in the environment variable TMPDIR", filepath.Clean(os.TempDir()))
	}
	return nil, err
}

// compare copies a blob and compares its digest. One that differs is removed.
func (s *Store) compare(ctx context.Context, d lock.SHA256, f *os.File, to io.Writer) error {
	h := blob.NewHash()
	if err := blob.Copy(ctx, io.MultiWriter(h, to), f); err != nil {
		return fmt.Errorf("verifying a blob of the store: %w", err)
	}
	if got := h.SHA256(); got != d {
		f.Close() // Windows removes no open file
		return s.spoilt(d, got)
	}
	return nil
}

func (s *Store) absent(d lock.SHA256) error {
	return fault.New(fault.Incomplete, "blob sha256:%s is not in the store %s", d, s.dir).
		WithHint("pull again: it downloads what is missing")
}

// Verify reads a blob and compares its digest. A blob that is not what its
// name says is removed, so that it is fetched again, and is an integrity error.
// What this process has hashed before is not read again.
func (s *Store) Verify(ctx context.Context, d lock.SHA256) error {
	fi, ok := s.lookUp(d)
	if !ok {
		return s.absent(d)
	}
	if s.trusts(fi) && s.isKnown(d, fi.Size()) {
		return nil
	}
	f, err := s.open(d)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.compare(ctx, d, f, io.Discard); err != nil {
		return err
	}
	s.known.Store(d, fi.Size())
	return nil
}

// spoilt removes a blob whose content has the digest got.
func (s *Store) spoilt(d, got lock.SHA256) error {
	s.Forget(d)
	e := fault.New(fault.Integrity, "the store %s holds damaged data: the blob that should be sha256:%s is sha256:%s", s.dir, d, got)
	if err := s.root.Remove(s.path(d)); err != nil {
		return e.WithHint("it could not be removed (%v); remove it by hand and pull again", err)
	}
	return e.WithHint("it was removed; pull again to fetch it anew, and check the disk")
}

func (s *Store) isKnown(d lock.SHA256, size int64) bool {
	known, ok := s.known.Load(d)
	return ok && known == size
}

// Forget has the next [Store.Verify] of a blob read it, whatever was read before.
func (s *Store) Forget(d lock.SHA256) { s.known.Delete(d) }

// Put stores a small document. To put what is there already changes nothing.
func (s *Store) Put(data []byte) (lock.SHA256, error) {
	d := lock.Sum(data)
	if size, ok := s.Has(d); ok && size == int64(len(data)) {
		if there, ok := s.readFile(s.path(d), size); ok && bytes.Equal(there, data) {
			s.known.Store(d, size)
			return d, nil
		}
	}
	if err := s.writeFile(s.path(d), data, durable); err != nil {
		return lock.SHA256{}, fmt.Errorf("storing sha256:%s: %w", d, explain(err))
	}
	s.known.Store(d, int64(len(data)))
	return d, nil
}

// ReadAll returns a blob of at most max bytes, compared as by [Store.Verify].
func (s *Store) ReadAll(d lock.SHA256, max int64) ([]byte, error) {
	f, err := s.open(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := disk.ReadAtMost(f, max)
	if _, long := errors.AsType[*disk.TooLongError](err); long {
		return nil, fault.New(fault.Integrity, "blob sha256:%s has more than the %d bytes that are read of such a document", d, max)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a blob of the store: %w", err)
	}
	if got := lock.Sum(data); got != d {
		f.Close() // Windows removes no open file
		return nil, s.spoilt(d, got)
	}
	s.known.Store(d, int64(len(data)))
	return data, nil
}

// durability says what a written file must survive.
type durability bool

const (
	// durable files are there after a power cut.
	durable durability = true
	// forgettable ones are whole or absent as long as the machine runs; after
	// a power cut they may be damaged, which reading them must notice.
	forgettable durability = false
)

// writeFile writes a file under a temporary name and renames it.
func (s *Store) writeFile(name string, data []byte, d durability) error {
	temp := s.tempName()
	f, err := s.root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = disk.SetMode(f, f.Name(), fileMode, disk.Self())
	}
	if err == nil && d == durable {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = s.rename(temp, name)
	}
	if err != nil {
		_ = s.root.Remove(temp)
		return err
	}
	if d == durable {
		return disk.SyncDirIn(s.root, path.Dir(name))
	}
	return nil
}

// rename gives a file its name, and takes away what is no file there.
func (s *Store) rename(from, to string) error {
	if err := s.clearWay(to); err != nil {
		return err
	}
	return s.root.Rename(from, to)
}

// readFile takes a regular file of at most max bytes.
func (s *Store) readFile(name string, max int64) (data []byte, ok bool) {
	data, _, ok = s.readWhole(name, max)
	return data, ok
}

// recall reads a record of the store, unless another user may have written it.
func (s *Store) recall(name string, max int64) (data []byte, ok bool) {
	data, fi, ok := s.readWhole(name, max)
	return data, ok && s.trusts(fi)
}

func (s *Store) readWhole(name string, max int64) (data []byte, fi fs.FileInfo, ok bool) {
	f, err := disk.OpenRegular(s.root, name)
	if err != nil {
		return nil, nil, false
	}
	defer f.Close()
	if fi, err = f.Stat(); err != nil {
		return nil, nil, false
	}
	data, err = disk.ReadAtMost(f, max)
	return data, fi, err == nil
}

// hashed returns the file name for a key.
func hashed(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// explain adds the next step to errors that a user can do something about.
func explain(err error) error {
	if _, explained := errors.AsType[*fault.Error](err); explained {
		return err
	}
	if hint := disk.Hint(err, "name a store on a local disk with --store"); hint != "" {
		return fault.New(fault.Unexpected, "%w", err).WithHint("%s", hint)
	}
	switch {
	case disk.IsFull(err):
		return fault.New(fault.Unexpected, "%w", err).WithHint("free some space, or name a store on another disk with --store")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fault.New(fault.Unexpected, "%w", err).WithHint("name a store that you may read and write with --store")
	}
	return err
}

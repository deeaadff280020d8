// Package store keeps downloaded blobs on this machine, so that later runs do not download them
// again. The store is an OCI image layout in a directory. A blob is stored under its digest, and
// only after its content was compared with that digest.
//
// Several processes may use a store at the same time. It has these files:
//
//	oci-layout, index.json   the files of an OCI image layout (image-spec, image-layout.md)
//	blobs/sha256/HEX         the blobs
//	ingest/                  partial downloads, and locks of running processes
//	urls/                    which blob each URL gave
//	derived/                 which file of a plugins directory was made from a blob
//	indexes/                 which plugin indexes were read last
//	roots/                   the locks of outputs: a sweep keeps their blobs
//
// Only blobs are valuable. If other files are lost or damaged, the next run makes them again.
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
	// root is the open directory. All files are opened below it, so a symbolic link that another
	// user puts into the store cannot lead outside.
	root *os.Root
	// trusted means that no other user may write to the store. If it is not set, records are
	// ignored, and every blob is hashed before each use.
	trusted bool
	// run is the lock that shows other processes that this one uses the store. It is nil for a
	// store of [Look].
	run *filelock.Lock
	// runName is the unique part of its name.
	runName string
	// opened is when the store was opened, by the file system's clock.
	opened time.Time

	// temps counts temporary files.
	temps atomic.Int64

	// known has the sizes, as int64, of the blobs that this process has hashed.
	known sync.Map
}

// Dir returns the absolute path of the store.
func (s *Store) Dir() string { return s.dir }

// Close tells other processes that this one no longer uses the store. The end of the process does
// the same.
func (s *Store) Close() error {
	if s.OnlyLooks() {
		return s.root.Close()
	}
	// Other processes may have been killed in the meantime.
	s.removeStale()
	return errors.Join(s.run.Unlock(), s.root.Close())
}

// path returns the path of a blob in the store.
func (s *Store) path(d lock.SHA256) string {
	return blobsDir + "/" + d.String()
}

// at returns the system's path of a file of the store.
func (s *Store) at(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// Has returns the size of a blob in bytes, and whether the store has it. It marks the blob as used,
// so that a [Store.Sweep] of another process keeps it. It does not read the content: see
// [Store.Verify].
func (s *Store) Has(d lock.SHA256) (size int64, ok bool) {
	fi, ok := s.lookUp(d)
	if !ok {
		return 0, false
	}
	return fi.Size(), true
}

// lookUp returns the file info of a blob, and marks the blob as used.
func (s *Store) lookUp(d lock.SHA256) (fi fs.FileInfo, ok bool) {
	path := s.path(d)
	fi, err := s.root.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || !hasPlausibleSize(fi) {
		return nil, false
	}
	if fi.Mode()&fileMode != fileMode {
		_ = s.root.Chmod(path, fi.Mode()|fileMode) // a failure shows when the file is opened
	}
	if fi.ModTime().Before(s.opened) {
		// The file system's clock may be ahead of this machine's.
		used := time.Now()
		if used.Before(s.opened) {
			used = s.opened
		}
		_ = s.root.Chtimes(path, used, used) // a missing mark matters only to a sweep
	}
	return fi, true
}

// Open opens a blob for reading. It does not compare the content with the digest: see
// [Store.Verify].
//
// If another user may have changed the blob, Open hashes it first. If another user may change it
// later, Open returns a private copy.
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
		return nil, fmt.Errorf("opening blob sha256:%s of the store: %w", d, explain(err))
	}
	if fi, err := f.Stat(); err != nil || !hasPlausibleSize(fi) {
		f.Close()
		return nil, s.absent(d)
	}
	return f, nil
}

// hasPlausibleSize reports whether a file can be a blob. Another user who may write to the store
// could put a sparse file of any size there, which takes hours to read. A file system's own
// compression never reaches a factor of a hundred.
func hasPlausibleSize(fi fs.FileInfo) bool {
	const most, small = lock.MaxBlob, 64 << 20 // a small file is read quickly, whatever it is
	size, room := fi.Size(), disk.AllocatedSize(fi)
	return size <= most && (size <= small || room <= 0 || room >= size/100)
}

// copyOf returns a private copy of a blob, which it compares with the digest. It closes f.
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
		err = fault.New(fault.Unexpected, "copying blob sha256:%s of the shared store: %w", d, err).
			WithHint("free some space in %s, or set the environment variable TMPDIR to another directory", filepath.Clean(os.TempDir()))
	}
	return nil, err
}

// compare copies a blob and compares its content with its digest. It removes a damaged blob.
func (s *Store) compare(ctx context.Context, d lock.SHA256, f *os.File, to io.Writer) error {
	h := blob.NewHash()
	if err := blob.Copy(ctx, io.MultiWriter(h, to), f); err != nil {
		return fmt.Errorf("verifying blob sha256:%s of the store: %w", d, err)
	}
	if got := h.SHA256(); got != d {
		f.Close() // Windows does not remove open files
		return s.removeDamaged(d, got)
	}
	return nil
}

func (s *Store) absent(d lock.SHA256) error {
	return fault.New(fault.Incomplete, "blob sha256:%s is not in the store %s", d, s.dir).
		WithHint("run the pull again: it downloads what is missing")
}

// Verify reads a blob and compares its content with its digest. It removes a damaged blob, so that
// the next run downloads it again, and returns an error of kind [fault.Integrity]. It does not read
// a blob again that this process has hashed before.
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

// removeDamaged removes a blob whose content has the digest got, and returns the error for it.
func (s *Store) removeDamaged(d, got lock.SHA256) error {
	s.Forget(d)
	e := fault.New(fault.Integrity, "blob sha256:%s in the store %s is damaged: its sha256 is %s", d, s.dir, got)
	if err := s.root.Remove(s.path(d)); err != nil {
		return e.WithHint("remove the file by hand (%v), then run the pull again", err)
	}
	return e.WithHint("run the pull again: the damaged blob was removed and is downloaded anew; check the disk")
}

func (s *Store) isKnown(d lock.SHA256, size int64) bool {
	known, ok := s.known.Load(d)
	return ok && known == size
}

// Forget makes the next [Store.Verify] of a blob read it again.
func (s *Store) Forget(d lock.SHA256) { s.known.Delete(d) }

// Put stores a small document. If the store has it, Put changes nothing.
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

// ReadAll returns the content of a blob of at most max bytes. It verifies it like [Store.Verify].
func (s *Store) ReadAll(d lock.SHA256, max int64) ([]byte, error) {
	f, err := s.open(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := disk.ReadAtMost(f, max)
	if _, long := errors.AsType[*disk.TooLongError](err); long {
		return nil, fault.New(fault.Integrity, "blob sha256:%s has more than %d bytes, which is too much for such a document", d, max)
	}
	if err != nil {
		return nil, fmt.Errorf("reading blob sha256:%s of the store: %w", d, err)
	}
	if got := lock.Sum(data); got != d {
		f.Close() // Windows does not remove open files
		return nil, s.removeDamaged(d, got)
	}
	s.known.Store(d, int64(len(data)))
	return data, nil
}

// durability says whether a written file must survive a power cut.
type durability bool

const (
	// durable files survive a power cut.
	durable durability = true
	// forgettable files may be damaged after a power cut. The code that reads them must notice
	// that.
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

// rename renames a file. It first removes a directory or a special file at the new name.
func (s *Store) rename(from, to string) error {
	if err := s.removeNonFile(to); err != nil {
		return err
	}
	return s.root.Rename(from, to)
}

// readFile reads a regular file of at most max bytes.
func (s *Store) readFile(name string, max int64) (data []byte, ok bool) {
	data, _, ok = s.readWhole(name, max)
	return data, ok
}

// readTrusted reads a file of the store, unless another user may have written it.
func (s *Store) readTrusted(name string, max int64) (data []byte, ok bool) {
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

// explain adds a hint to errors that a user can fix.
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

package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
)

// Ingest is a blob that is being written, by this process alone. If the process ends before the
// blob is committed or discarded, the next [Store.Ingest] of the same key continues with the bytes
// that are there. An Ingest must not be used by several goroutines at once.
type Ingest struct {
	store  *Store
	base   string // path in the store, without suffix
	file   *os.File
	size   int64
	origin Origin
	sums   *os.File       // checkpoints, opened when the first is written
	lock   *filelock.Lock // nil once it is closed
}

// Origin says where the bytes of a partial download come from, so that the rest can be requested.
type Origin struct {
	// URL is without user information.
	URL string `json:"url,omitempty"`
	// Through is where the URL was requested, if not from its own server. An ETag is valid only
	// there.
	Through string `json:"through,omitempty"`
	// ETag and LastModified are header fields of the response.
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
	// Validator is the value of If-Range that gives the rest of the same file. It is empty if the
	// server sent nothing suitable.
	Validator string `json:"validator,omitempty"`
	// Decoded means that the bytes were decoded from a Content-Encoding, so the server cannot send
	// the rest of them.
	Decoded bool `json:"decoded,omitempty"`
	// Total is the size of the whole file in bytes, or 0 if it is unknown.
	Total int64 `json:"total,omitempty"`
}

// Checkpoint is the digest of the start of a partial file.
type Checkpoint struct {
	// Size is the number of bytes that the digest covers.
	Size int64
	// SHA256 is the digest of these bytes.
	SHA256 lock.SHA256
}

const (
	maxMeta = 64 << 10
	maxSums = 32 << 20
)

// Ingest starts a blob, or continues the one that an earlier run left unfinished. The key is
// usually a URL. Only one Ingest on this machine may use a key at a time: a second caller waits for
// the first until ctx is done. If it has to wait, it calls waiting once, unless that is nil.
func (s *Store) Ingest(ctx context.Context, key string, waiting func()) (*Ingest, error) {
	name := hashed(key)
	tell := func(string) {
		if waiting != nil {
			waiting()
		}
	}
	l, err := s.claim(ctx, ingestDir+"/"+name+lockSuffix, tell)
	if err != nil {
		return nil, fmt.Errorf("waiting for another download of the same file: %w", err)
	}
	in := &Ingest{store: s, base: ingestDir + "/" + name, lock: l}
	if err := in.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening a partial download: %w", explain(err)), l.Unlock())
	}
	return in, nil
}

// claim waits for a lock of the store. The lock excludes other goroutines of this process, too.
func (s *Store) claim(ctx context.Context, path string, waiting func(string)) (*filelock.Lock, error) {
	return filelock.Wait(ctx, path, waiting, func() (*filelock.Lock, error) {
		if err := s.removeNonFile(path); err != nil {
			return nil, err
		}
		l, err := filelock.TryFile(s.root, path)
		if err != nil {
			err = fmt.Errorf("locking %s: %w", s.at(path), err)
		}
		return l, err
	})
}

func (in *Ingest) open() error {
	part, root := in.part(), in.store.root
	for _, file := range []string{part, in.base + sumsSuffix, in.base + metaSuffix} {
		if err := in.store.removeNonFile(file); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(part, os.O_RDWR|os.O_CREATE, fileMode)
	if errors.Is(err, fs.ErrPermission) && root.Chmod(part, fileMode) == nil {
		f, err = root.OpenFile(part, os.O_RDWR|os.O_CREATE, fileMode)
	}
	if err != nil {
		return err
	}
	in.file = f
	if in.size, err = f.Seek(0, io.SeekEnd); err != nil {
		return errors.Join(err, f.Close())
	}
	in.origin = in.store.readOrigin(in.base + metaSuffix)
	return nil
}

func (s *Store) readOrigin(name string) Origin {
	var o Origin
	data, ok := s.readTrusted(name, maxMeta)
	if !ok || json.Unmarshal(data, &o) != nil || o.Total < 0 || !isHeaderValue(o.ETag, o.LastModified, o.Validator) {
		return Origin{}
	}
	return o
}

// isHeaderValue reports whether all values may be sent in header fields (RFC 9110, section 5.5).
func isHeaderValue(values ...string) bool {
	for _, v := range values {
		if len(v) > 4<<10 || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return false
		}
	}
	return true
}

// File returns the partial file, which is open for reading and writing.
func (in *Ingest) File() *os.File { return in.file }

// Path returns the path of the partial file.
func (in *Ingest) Path() string { return in.store.at(in.part()) }

func (in *Ingest) part() string { return in.base + partSuffix }

// Size returns the number of bytes that are there.
func (in *Ingest) Size() int64 { return in.size }

// Write appends to the partial file.
func (in *Ingest) Write(p []byte) (int, error) {
	n, err := in.file.Write(p)
	in.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("writing a partial download: %w", explain(err))
	}
	return n, nil
}

// Truncate removes all bytes after the first size bytes.
func (in *Ingest) Truncate(size int64) error {
	err := in.file.Truncate(size)
	if err == nil {
		_, err = in.file.Seek(size, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("truncating a partial download: %w", err)
	}
	in.size = size
	return nil
}

// Origin returns where the bytes come from, or the zero Origin if that is unknown.
func (in *Ingest) Origin() Origin { return in.origin }

// SetOrigin records where the bytes come from. Call it before the first Write.
func (in *Ingest) SetOrigin(o Origin) error {
	data, err := json.Marshal(o)
	if err == nil {
		err = in.store.writeFile(in.base+metaSuffix, data, forgettable)
	}
	if err != nil {
		return fmt.Errorf("recording a partial download: %w", explain(err))
	}
	in.origin = o
	return nil
}

// originID identifies the origin in checkpoints. After a power cut, the files may be of different
// ages, and the start of one version of a file must not be taken for the start of another version.
func (in *Ingest) originID() string {
	data, _ := json.Marshal(in.origin) // this cannot fail
	return hashed(string(data))[:16]
}

// SetCheckpoint records the digest of the bytes that are there. If the digest of the whole file is
// unknown, a download may be resumed only after a checkpoint: a power cut can damage the middle of
// a file and leave its size unchanged.
func (in *Ingest) SetCheckpoint(sum lock.SHA256) error {
	if in.sums == nil {
		f, err := in.store.root.OpenFile(in.base+sumsSuffix, os.O_WRONLY|os.O_CREATE|os.O_APPEND, fileMode)
		if err != nil {
			return fmt.Errorf("recording a partial download: %w", explain(err))
		}
		in.sums = f
	}
	if _, err := fmt.Fprintf(in.sums, "%d %s %s\n", in.size, sum, in.originID()); err != nil {
		return fmt.Errorf("recording a partial download: %w", explain(err))
	}
	return nil
}

// Checkpoints returns the checkpoints of the current origin up to the current size, the smallest
// first. It ignores checkpoints that another user may have written.
func (in *Ingest) Checkpoints() []Checkpoint {
	data, ok := in.store.readTrusted(in.base+sumsSuffix, maxSums)
	if !ok {
		return nil
	}
	var points []Checkpoint
	id := []byte(in.originID())
	for line := range bytes.Lines(data) {
		c, ok := parseCheckpoint(line, id)
		if !ok || c.Size > in.size {
			continue
		}
		// If a later line has a smaller size, the download was started again: drop the earlier
		// lines.
		for len(points) > 0 && points[len(points)-1].Size >= c.Size {
			points = points[:len(points)-1]
		}
		points = append(points, c)
	}
	return points
}

func parseCheckpoint(line, id []byte) (Checkpoint, bool) {
	fields := bytes.Fields(line)
	if len(fields) != 3 || !bytes.HasSuffix(line, []byte("\n")) || !bytes.Equal(fields[2], id) {
		return Checkpoint{}, false
	}
	size, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil || size <= 0 {
		return Checkpoint{}, false
	}
	sum, err := lock.ParseSHA256(string(fields[1]))
	return Checkpoint{Size: size, SHA256: sum}, err == nil
}

// Commit stores the partial file as the blob d. The caller must have compared the digest; Commit
// checks the size again. The blob survives a power cut. After Commit, only Close may be called.
func (in *Ingest) Commit(d lock.SHA256, size int64) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("storing sha256:%s: %w", d, explain(err))
			return
		}
		in.store.known.Store(d, size)
		in.removeNotes()
	}()
	fi, err := in.file.Stat()
	if err != nil {
		return err
	}
	if fi.Size() != size {
		return fmt.Errorf("the partial file has %d bytes, not %d", fi.Size(), size)
	}
	if err := disk.SetMode(in.file, in.file.Name(), fileMode, disk.Self()); err != nil {
		return err
	}
	if err := in.file.Sync(); err != nil {
		return err
	}
	if err := in.file.Close(); err != nil {
		return err
	}
	// Keep an existing blob that this process has verified.
	if there, ok := in.store.lookUp(d); ok && in.store.trusts(there) && in.store.isKnown(d, there.Size()) {
		return in.store.root.Remove(in.part())
	}
	if err := in.store.rename(in.part(), in.store.path(d)); err != nil {
		return in.keepExisting(d, err)
	}
	return disk.SyncDirIn(in.store.root, blobsDir)
}

// keepExisting removes the partial file if the store has an undamaged blob that could not be
// replaced. On Windows, an open file cannot be replaced.
func (in *Ingest) keepExisting(d lock.SHA256, cause error) error {
	if _, ok := in.store.Has(d); !ok || in.store.Verify(context.Background(), d) != nil {
		return cause
	}
	return in.store.root.Remove(in.part())
}

// removeNotes removes the records of the partial file.
func (in *Ingest) removeNotes() {
	if in.sums != nil {
		_ = in.sums.Close()
		in.sums = nil
	}
	for _, suffix := range []string{metaSuffix, sumsSuffix} {
		_ = in.store.root.RemoveAll(in.base + suffix)
	}
}

// Close releases the key. It may be called twice, and after Commit and Discard.
func (in *Ingest) Close() error {
	if in.lock == nil {
		return nil
	}
	err := in.file.Close()
	if errors.Is(err, fs.ErrClosed) {
		err = nil
	}
	if in.size == 0 {
		_ = in.store.root.Remove(in.part())
		in.removeNotes()
	}
	if in.sums != nil {
		_ = in.sums.Close()
	}
	err = errors.Join(err, in.lock.Unlock())
	in.lock = nil
	return err
}

// Discard removes the partial file, and closes the Ingest.
func (in *Ingest) Discard() error {
	if in.lock == nil {
		return nil
	}
	// Windows does not remove open files.
	_ = in.file.Close()
	err := in.store.root.Remove(in.part())
	in.removeNotes()
	if err = errors.Join(err, in.Close()); err != nil {
		return fmt.Errorf("discarding a partial download: %w", err)
	}
	return nil
}

// Partial returns the size in bytes of the partial file of a key.
func (s *Store) Partial(key string) int64 {
	fi, err := s.root.Lstat(ingestDir + "/" + hashed(key) + partSuffix)
	if err != nil || !fi.Mode().IsRegular() {
		return 0
	}
	return fi.Size()
}

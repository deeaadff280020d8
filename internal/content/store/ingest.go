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

// Ingest is a blob in the making, which this process alone writes. What is
// there when the process ends, however it ends, is there for the next
// [Store.Ingest] of the same key, until it is committed or discarded.
// An Ingest is for one goroutine.
type Ingest struct {
	store  *Store
	base   string // path in the store, without suffix
	file   *os.File
	size   int64
	origin Origin
	sums   *os.File       // checkpoints, opened when the first is written
	lock   *filelock.Lock // nil once it is closed
}

// Origin is what the partial bytes are a part of, so that the rest may be asked for.
type Origin struct {
	// URL is without user information.
	URL string `json:"url,omitempty"`
	// Through tells where the URL was asked for, if that was not its own server: ETag and the like
	// mean nothing elsewhere.
	Through string `json:"through,omitempty"`
	// ETag and LastModified are response header fields as they were received.
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
	// Validator is what If-Range may carry to get the rest of the same bytes and
	// nothing else; empty where the server gave nothing of the kind.
	Validator string `json:"validator,omitempty"`
	// Decoded says that the bytes are what was decoded from the server's answer. So the server
	// cannot send the rest of them.
	Decoded bool `json:"decoded,omitempty"`
	// Total is the size in bytes of the whole; 0 where it is unknown.
	Total int64 `json:"total,omitempty"`
}

// Checkpoint vouches for the start of a partial file.
type Checkpoint struct {
	// Size is how many bytes it covers, from the first on.
	Size int64
	// SHA256 is their digest.
	SHA256 lock.SHA256
}

const (
	maxMeta = 64 << 10
	maxSums = 32 << 20
)

// Ingest begins a blob, or goes on with what an earlier run left of it. The
// key, usually a URL, may be in use by one Ingest at a time on this machine: a
// second caller waits for the first until ctx is done. Waiting, if not nil, is
// called once when it has to.
func (s *Store) Ingest(ctx context.Context, key string, waiting func()) (*Ingest, error) {
	name := hashed(key)
	tell := func(string) {
		if waiting != nil {
			waiting()
		}
	}
	l, err := s.claim(ctx, ingestDir+"/"+name+lockSuffix, tell)
	if err != nil {
		return nil, fmt.Errorf("waiting for the download that is in progress: %w", err)
	}
	in := &Ingest{store: s, base: ingestDir + "/" + name, lock: l}
	if err := in.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening a partial download: %w", explain(err)), l.Unlock())
	}
	return in, nil
}

// claim waits for a lock of the store, also among the goroutines of this process.
func (s *Store) claim(ctx context.Context, path string, waiting func(string)) (*filelock.Lock, error) {
	return filelock.Wait(ctx, path, waiting, func() (*filelock.Lock, error) {
		if err := s.clearWay(path); err != nil {
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
		if err := in.store.clearWay(file); err != nil {
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
	data, ok := s.recall(name, maxMeta)
	if !ok || json.Unmarshal(data, &o) != nil || o.Total < 0 || !isHeaderValue(o.ETag, o.LastModified, o.Validator) {
		return Origin{}
	}
	return o
}

// isHeaderValue takes strings that may be sent as header fields (RFC 9110, section 5.5).
func isHeaderValue(values ...string) bool {
	for _, v := range values {
		if len(v) > 4<<10 || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return false
		}
	}
	return true
}

// File is the partial file, open to read and write.
func (in *Ingest) File() *os.File { return in.file }

// Path is where the partial file is.
func (in *Ingest) Path() string { return in.store.at(in.part()) }

func (in *Ingest) part() string { return in.base + partSuffix }

func (in *Ingest) Size() int64 { return in.size }

func (in *Ingest) Write(p []byte) (int, error) {
	n, err := in.file.Write(p)
	in.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("writing a partial download: %w", explain(err))
	}
	return n, nil
}

// Truncate keeps the first size bytes.
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

// Origin says what the bytes are of; zero where that is unknown.
func (in *Ingest) Origin() Origin { return in.origin }

// SetOrigin records what the bytes are of. It is called before they flow.
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

// originID ties checkpoints to an origin. After a power cut, files may be from
// different moments, and the start of one version must not be taken for
// another's.
func (in *Ingest) originID() string {
	data, _ := json.Marshal(in.origin) // strings and a number cannot fail
	return hashed(string(data))[:16]
}

// SetCheckpoint records the digest of the bytes that are there. Where nobody
// gave the digest of the whole, only what a checkpoint covers is safe to
// resume: a power cut may have lost bytes in the middle of a file whose size
// is right.
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

// Checkpoints returns what was recorded for the present origin, by ascending
// size, up to the size that is there. What others may have written does not count.
func (in *Ingest) Checkpoints() []Checkpoint {
	data, ok := in.store.recall(in.base+sumsSuffix, maxSums)
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
		// A later line of no greater size stems from a later start.
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

// Commit makes the partial file the blob d, which the caller has found it to
// be; size is checked once more. It is there after a power cut. Only Close may
// follow.
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
	// A blob that is there stays if this process knows it to be good.
	if there, ok := in.store.lookUp(d); ok && in.store.trusts(there) && in.store.isKnown(d, there.Size()) {
		return in.store.root.Remove(in.part())
	}
	if err := in.store.rename(in.part(), in.store.path(d)); err != nil {
		return in.yield(d, err)
	}
	return disk.SyncDirIn(in.store.root, blobsDir)
}

// yield drops the partial file for a blob that could not be replaced, as where
// Windows has it open, if that one is good.
func (in *Ingest) yield(d lock.SHA256, cause error) error {
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

// Close lets others go on. It may be called twice, and after Commit and Discard.
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

// Discard removes what is there, and closes.
func (in *Ingest) Discard() error {
	if in.lock == nil {
		return nil
	}
	// Windows removes no open file.
	_ = in.file.Close()
	err := in.store.root.Remove(in.part())
	in.removeNotes()
	if err = errors.Join(err, in.Close()); err != nil {
		return fmt.Errorf("discarding a partial download: %w", err)
	}
	return nil
}

// Partial returns how many bytes of a blob are there that an [Store.Ingest] of
// the key would go on with, or write over.
func (s *Store) Partial(key string) int64 {
	fi, err := s.root.Lstat(ingestDir + "/" + hashed(key) + partSuffix)
	if err != nil || !fi.Mode().IsRegular() {
		return 0
	}
	return fi.Size()
}

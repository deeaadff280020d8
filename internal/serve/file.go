package serve

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// forEver is for what never changes under its URL (RFC 8246).
const forEver = "public, max-age=31536000, immutable"

// file answers with an upstream file.
func (h *Handler) file(w http.ResponseWriter, r *http.Request, v *Version, f site.File) {
	content, err := h.keeper.open(r.Context(), v, f)
	if err != nil {
		if r.Context().Err() != nil {
			panic(http.ErrAbortHandler) // the client is gone
		}
		h.fail(w, fmt.Errorf("serving %s: %w", f.Path, err))
		return
	}
	defer content.Close()
	w.Header().Set("Content-Type", fileType(f.Path))
	w.Header().Set("Cache-Control", forEver)
	w.Header().Set("ETag", entityTag(f.SHA256))
	settleRange(r, f.Size)
	maySendDirectly(w, r, f.Size)
	http.ServeContent(w, r, "", time.Time{}, content)
	if content.err != nil {
		h.options.Problem(fmt.Errorf("serving %s: %w", f.Path, content.err))
		panic(http.ErrAbortHandler) // what was sent must not pass for the whole
	}
}

// fail answers that the mirror is at fault. What is wrong is for its operator to
// know.
func (h *Handler) fail(w http.ResponseWriter, err error) {
	h.options.Problem(err)
	refuse(w, http.StatusInternalServerError, "the mirror cannot serve this file, because it is damaged or missing there; the log of the mirror says why")
}

// fileType returns the media type of an upstream file. None is text, whatever it
// is called: nothing should show or change it.
func fileType(p string) string {
	switch path.Ext(p) {
	case ".gz", ".tgz":
		return "application/gzip"
	case ".zip":
		return "application/zip"
	}
	return "application/octet-stream"
}

// keeper opens files that are what their lock says. A file is read as a whole
// when it is asked for the first time, and again if by its description it is not
// the one that was read.
type keeper struct {
	ctx context.Context
	// reading bounds how many files are read at a time, and readingLarge how many of
	// them are large, so that the others need not wait for those.
	reading, readingLarge chan struct{}
	calls                 singleflight.Group

	mu    sync.Mutex
	known map[string]finding
	// held is how many bytes of files are held in memory.
	held int
	// now is [time.Now], but for tests.
	now func() time.Time
}

// finding is what came of reading a file.
type finding struct {
	// info describes the file that was read.
	info fs.FileInfo
	// since is when that description was first seen.
	since time.Time
	// settled says that a further change would alter the description.
	settled bool
	// problem is nil if it is what it should be.
	problem error
	// data is the content of a small file, and looked when the disk was last looked
	// at for it.
	data   []byte
	looked time.Time
}

// largeFile is more, in bytes, than most plugins have.
const largeFile = 256 << 20

func newKeeper(ctx context.Context) *keeper {
	n := max(2, runtime.GOMAXPROCS(0))
	return &keeper{ctx: ctx, reading: make(chan struct{}, n), readingLarge: make(chan struct{}, n-1), known: map[string]finding{}, now: time.Now}
}

// attempts is how often a file is opened that is replaced each time.
const attempts = 3

func (k *keeper) open(ctx context.Context, v *Version, f site.File) (*content, error) {
	if held := k.fromMemory(f.Path); held != nil {
		return held, nil
	}
	for range attempts {
		file, err := v.Open(f)
		if err != nil {
			return nil, err
		}
		c, err := k.check(ctx, v, f, file)
		if c != nil {
			return c, nil
		}
		file.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.Integrity, "it changes while it is read")
}

// check returns the content of an open file if it is right, and neither that nor
// an error if another file was looked at meanwhile.
func (k *keeper) check(ctx context.Context, v *Version, f site.File, file File) (*content, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	found, err := k.finding(ctx, v, f, info)
	switch {
	case err != nil:
		return nil, err
	case !same(found.info, info):
		return nil, nil
	case found.problem != nil:
		return nil, found.problem
	}
	if found.data != nil {
		k.looked(f.Path, info)
	}
	return &content{File: file, info: info, size: f.Size}, nil
}

// finding returns what is known of a file, which may have to be read for that. It
// may be of another file than the one that is described.
func (k *keeper) finding(ctx context.Context, v *Version, f site.File, info fs.FileInfo) (finding, error) {
	k.mu.Lock()
	found, known := k.known[f.Path]
	k.mu.Unlock()
	if known && found.settled && same(found.info, info) {
		return found, nil
	}
	// Who waits may go away; what is read is of use to the next one.
	call := k.calls.DoChan(f.Path, func() (any, error) { return k.read(v, f) })
	select {
	case result := <-call:
		if result.Err != nil {
			return finding{}, result.Err
		}
		return result.Val.(finding), nil
	case <-ctx.Done():
		return finding{}, context.Cause(ctx)
	}
}

// fresh is how long after its last change a file may change again without a
// trace in its description.
const fresh = 2 * time.Second

// settled reports whether a description that was first seen at a time, and now
// again, would be another one after a further change. The system's own time of a
// change tells that, unless its clock, that of a server perhaps, is ahead of ours.
func settled(info fs.FileInfo, since, now time.Time) bool {
	changed := disk.ChangedAt(info)
	if changed.IsZero() {
		changed = info.ModTime()
	}
	return now.Sub(changed) > fresh || now.Sub(since) > fresh
}

// read finds out whether a file is what its lock says, and remembers it.
func (k *keeper) read(v *Version, f site.File) (finding, error) {
	turns := []chan struct{}{k.reading}
	if f.Size > largeFile {
		turns = []chan struct{}{k.readingLarge, k.reading}
	}
	for _, turn := range turns {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-k.ctx.Done():
			return finding{}, context.Cause(k.ctx)
		}
	}
	file, err := v.Open(f)
	if err != nil {
		return finding{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return finding{}, err
	}
	found := k.begin(f.Path, info)
	// The description may be of a tar file in which this one lies.
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return finding{}, err
	}
	if size != f.Size {
		// Whoever may write here can make it as long as they like: it is not read.
		found.problem = fault.New(fault.Integrity, "it is damaged: it has %d bytes, but its lock says %d", size, f.Size)
		return k.remember(f.Path, found, nil), nil
	}
	got, data, err := k.digest(file, size)
	if err != nil {
		return finding{}, err
	}
	after, err := file.Stat()
	if err != nil {
		return finding{}, err
	}
	if !same(info, after) {
		return finding{info: info, problem: fault.New(fault.Integrity, "it changes while it is read")}, nil
	}
	if got != f.Blob {
		found.problem = fault.New(fault.Integrity, "it is damaged: it has the sha256 %s, but its lock says %s", got.SHA256, f.SHA256)
	}
	return k.remember(f.Path, found, data), nil
}

func (k *keeper) remember(path string, found finding, data []byte) finding {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hold(path, &found, data)
	k.known[path] = found
	return found
}

// begin returns what is known of a file before it is read.
func (k *keeper) begin(path string, info fs.FileInfo) finding {
	now := k.now()
	found := finding{info: info, since: now, looked: now}
	k.mu.Lock()
	defer k.mu.Unlock()
	if before, known := k.known[path]; known && same(before.info, info) {
		found.since = before.since
	}
	found.settled = settled(info, found.since, now)
	return found
}

// digest hashes a file of a size. It returns the content, too, if that is small.
func (k *keeper) digest(r io.ReadSeeker, size int64) (lock.Blob, []byte, error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return lock.Blob{}, nil, err
	}
	if size <= heldSize {
		data := make([]byte, size)
		_, err := io.ReadFull(r, data)
		return lock.Blob{Size: size, SHA256: lock.Sum(data)}, data, err
	}
	h := sha256.New()
	if err := blob.Copy(k.ctx, h, io.LimitReader(r, size)); err != nil {
		return lock.Blob{}, nil, err
	}
	return lock.Blob{Size: size, SHA256: lock.SHA256(h.Sum(nil))}, nil, nil
}

// same reports whether two descriptions are of a file that did not change.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && disk.ChangedAt(a).Equal(disk.ChangedAt(b))
}

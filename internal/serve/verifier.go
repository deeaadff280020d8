package serve

import (
	"context"
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// verifier opens files whose content is what their lock says. It reads a whole file
// for the first request, and again once its [fs.FileInfo] says that it changed.
type verifier struct {
	ctx context.Context
	// reading bounds how many files are read at a time, and readingLarge how many
	// large ones, so that small files need not wait for them.
	reading, readingLarge chan struct{}
	calls                 singleflight.Group

	mu    sync.Mutex
	known map[string]verdict
	// cached is how many bytes of files are in memory.
	cached int
	// now is [time.Now], except in tests.
	now func() time.Time
}

// verdict is the result of reading a file.
type verdict struct {
	// info describes the file that was read.
	info fs.FileInfo
	// since is when that info was first seen.
	since time.Time
	// settled says that a further change would alter the info.
	settled bool
	// problem is nil if the content is right.
	problem error
	// data is the content of a small file, or nil. checked is when the disk was last
	// asked whether it is still that.
	data    []byte
	checked time.Time
}

// largeFile is the size, in bytes, of a file that few plugins reach.
const largeFile = 256 << 20

func newVerifier(ctx context.Context) *verifier {
	n := max(2, runtime.GOMAXPROCS(0))
	return &verifier{ctx: ctx, reading: make(chan struct{}, n), readingLarge: make(chan struct{}, n-1), known: map[string]verdict{}, now: time.Now}
}

// attempts is how often a file is opened if it is replaced each time.
const attempts = 3

func (c *verifier) open(ctx context.Context, v *form.Version, f site.File) (*content, error) {
	if cached := c.fromMemory(f.Path); cached != nil {
		return cached, nil
	}
	for range attempts {
		file, err := v.Open(f.Path, f.Blob)
		if err != nil {
			return nil, err
		}
		verified, err := c.check(ctx, v, f, file)
		if verified != nil {
			return verified, nil
		}
		file.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.Integrity, "it changes while it is read")
}

// check returns the content of an open file if it is right. It returns nil without an
// error if another file was verified meanwhile.
func (c *verifier) check(ctx context.Context, v *form.Version, f site.File, file form.File) (*content, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	found, err := c.verdictOn(ctx, v, f, info)
	switch {
	case err != nil:
		return nil, err
	case !unchanged(found.info, info):
		return nil, nil
	case found.problem != nil:
		return nil, found.problem
	}
	if found.data != nil {
		c.confirm(f.Path, info)
	}
	return &content{File: file, info: info, size: f.Size}, nil
}

// verdictOn returns the verdict on a file, and reads the file if need be. The verdict
// may be on another file than info describes.
func (c *verifier) verdictOn(ctx context.Context, v *form.Version, f site.File, info fs.FileInfo) (verdict, error) {
	c.mu.Lock()
	found, known := c.known[f.Path]
	c.mu.Unlock()
	if known && found.settled && unchanged(found.info, info) {
		return found, nil
	}
	// The reading goes on if this client leaves: the next one needs it.
	call := c.calls.DoChan(f.Path, func() (any, error) { return c.read(v, f) })
	select {
	case result := <-call:
		if result.Err != nil {
			return verdict{}, result.Err
		}
		return result.Val.(verdict), nil
	case <-ctx.Done():
		return verdict{}, context.Cause(ctx)
	}
}

// timeResolution is how long after a change a file may change again without a trace
// in its info.
const timeResolution = 2 * time.Second

// settled reports whether a further change would alter an info that was first seen at
// since and is seen again now. The time of the last change tells that, unless the
// clock of the file system, such as a server's, is ahead.
func settled(info fs.FileInfo, since, now time.Time) bool {
	changed := disk.ChangedAt(info)
	if changed.IsZero() {
		changed = info.ModTime()
	}
	return now.Sub(changed) > timeResolution || now.Sub(since) > timeResolution
}

// read finds out whether a file is what its lock says, and remembers it.
func (c *verifier) read(v *form.Version, f site.File) (verdict, error) {
	turns := []chan struct{}{c.reading}
	if f.Size > largeFile {
		turns = []chan struct{}{c.readingLarge, c.reading}
	}
	for _, turn := range turns {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-c.ctx.Done():
			return verdict{}, context.Cause(c.ctx)
		}
	}
	file, err := v.Open(f.Path, f.Blob)
	if err != nil {
		return verdict{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return verdict{}, err
	}
	found := c.begin(f.Path, info)
	// info may be that of a tar with the file in it.
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return verdict{}, err
	}
	if size != f.Size {
		// It may be of any length, so it is not read.
		found.problem = fault.New(fault.Integrity, "it is damaged: it has %d bytes, but its lock says %d", size, f.Size)
		return c.remember(f.Path, found, nil), nil
	}
	got, data, err := c.digest(file, size)
	if err != nil {
		return verdict{}, err
	}
	after, err := file.Stat()
	if err != nil {
		return verdict{}, err
	}
	if !unchanged(info, after) {
		return verdict{info: info, problem: fault.New(fault.Integrity, "it changes while it is read")}, nil
	}
	if got != f.Blob {
		found.problem = fault.New(fault.Integrity, "it is damaged: it has the sha256 %s, but its lock says %s", got.SHA256, f.SHA256)
	}
	return c.remember(f.Path, found, data), nil
}

func (c *verifier) remember(path string, found verdict, data []byte) verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cache(path, &found, data)
	c.known[path] = found
	return found
}

// begin returns the verdict that a reading of a file begins with.
func (c *verifier) begin(path string, info fs.FileInfo) verdict {
	now := c.now()
	found := verdict{info: info, since: now, checked: now}
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, known := c.known[path]; known && unchanged(before.info, info) {
		found.since = before.since
	}
	found.settled = settled(info, found.since, now)
	return found
}

// digest hashes a file. It also returns the content of a small one.
func (c *verifier) digest(r io.ReadSeeker, size int64) (lock.Blob, []byte, error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return lock.Blob{}, nil, err
	}
	if size <= cachedFileSize {
		data := make([]byte, size)
		_, err := io.ReadFull(r, data)
		return lock.Blob{Size: size, SHA256: lock.Sum(data)}, data, err
	}
	h := sha256.New()
	if err := blob.Copy(c.ctx, h, io.LimitReader(r, size)); err != nil {
		return lock.Blob{}, nil, err
	}
	return lock.Blob{Size: size, SHA256: lock.SHA256(h.Sum(nil))}, nil, nil
}

// unchanged reports whether two infos are of the same file in the same state.
func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && disk.ChangedAt(a).Equal(disk.ChangedAt(b))
}

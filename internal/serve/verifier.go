package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
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

// verifier opens files and verifies their digests. It reads a whole file before the first request, and
// again when its [fs.FileInfo] says that it changed.
type verifier struct {
	ctx context.Context
	// reading limits how many files are read at a time, and readingLarge how many large ones, so that
	// small files need not wait for them.
	reading, readingLarge chan struct{}
	calls                 singleflight.Group

	mu     sync.Mutex
	known  map[string]verdict
	cached int
	// now is [time.Now], except in tests.
	now func() time.Time
}

type verdict struct {
	// info describes the file that was read, and since is when that info was first seen.
	info  fs.FileInfo
	since time.Time
	// settled says that a further change of the file would change the info.
	settled bool
	problem error
	// data is the content of a small file, or nil. checked is when the file's info was last read.
	data    []byte
	checked time.Time
}

const (
	// largeFile is the size in bytes from which a file counts as large. Few plugins have such files.
	largeFile = 256 << 20
	// cachedFileSize is the largest size of a file that is cached in memory, and cacheSize that of all
	// of them, in bytes.
	cachedFileSize = 128 << 10
	cacheSize      = 8 << 20
	// cacheTime is how long a file is sent from memory before its info is read again.
	cacheTime = time.Second
)

func newVerifier(ctx context.Context) *verifier {
	n := max(2, runtime.GOMAXPROCS(0))
	return &verifier{ctx: ctx, reading: make(chan struct{}, n), readingLarge: make(chan struct{}, n-1), known: map[string]verdict{}, now: time.Now}
}

// attempts is how often a file is opened if it changes each time.
const attempts = 3

func (c *verifier) open(ctx context.Context, v *version, f site.File) (*content, error) {
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
	return nil, fault.New(fault.Integrity, "the file changed while it was read")
}

// check returns the content of an open file if it is right. It returns nil without an error if the
// file changed or was replaced meanwhile.
func (c *verifier) check(ctx context.Context, v *version, f site.File, file form.File) (*content, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	found, err := c.verdictOn(ctx, v, f, info)
	switch {
	case err != nil:
		return nil, err
	case found.info == nil || !unchanged(found.info, info):
		return nil, nil
	case found.problem != nil:
		return nil, found.problem
	}
	if found.data != nil {
		c.confirm(f.Path, info)
	}
	return &content{File: file, info: info, size: f.Size}, nil
}

// verdictOn returns the verdict on a file, and reads the file if needed. If the file was replaced, the
// verdict is on another file than info describes.
func (c *verifier) verdictOn(ctx context.Context, v *version, f site.File, info fs.FileInfo) (verdict, error) {
	if found, ok := c.settledOn(f.Path, info); ok {
		return found, nil
	}
	// Reading continues if this client leaves: the next client needs the result.
	call := c.calls.DoChan(fmt.Sprintf("%p %s", v, f.Path), func() (any, error) {
		if found, ok := c.settledOn(f.Path, info); ok {
			return found, nil // another call has just read it
		}
		return c.read(v, f)
	})
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

func (c *verifier) settledOn(path string, info fs.FileInfo) (found verdict, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok = c.known[path]
	return found, ok && found.settled && unchanged(found.info, info)
}

// timeResolution is how long after a change a file may change again with the same info.
const timeResolution = 2 * time.Second

// settled reports whether a further change of a file would change its info, which was first seen at
// since. The time of the last change tells, unless the clock of the file system, such as a file
// server's, is ahead.
func settled(info fs.FileInfo, since, now time.Time) bool {
	changed := disk.ChangedAt(info)
	if changed.IsZero() {
		changed = info.ModTime()
	}
	return now.Sub(changed) > timeResolution || now.Sub(since) > timeResolution
}

// read compares a file with its lock, and remembers the verdict. If the file changes meanwhile, the
// verdict has no info.
func (c *verifier) read(v *version, f site.File) (verdict, error) {
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
	if !v.enter() {
		return verdict{}, fs.ErrClosed
	}
	defer v.leave()
	file, err := v.Open(f.Path, f.Blob)
	if err != nil {
		return verdict{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return verdict{}, err
	}
	found := verdict{info: info, checked: c.now()}
	// info may describe a tar that contains the file.
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return verdict{}, err
	}
	if size != f.Size {
		// The file may have any size, so it is not read.
		found.problem = fault.New(fault.Integrity, "the file is damaged: it has %d bytes, but the lock has %d", size, f.Size)
		return c.remember(f.Path, found), nil
	}
	h, data := sha256.New(), new(bytes.Buffer)
	to := io.Writer(h)
	if size <= cachedFileSize {
		data.Grow(int(size))
		to = io.MultiWriter(h, data)
	}
	if err := blob.Copy(c.ctx, to, io.LimitReader(file, size)); err != nil {
		return verdict{}, err
	}
	after, err := file.Stat()
	if err != nil {
		return verdict{}, err
	}
	if !unchanged(info, after) {
		return verdict{}, nil
	}
	found.data = data.Bytes()
	if got := lock.SHA256(h.Sum(nil)); got != f.SHA256 {
		found.problem = fault.New(fault.Integrity, "the file is damaged: it has sha256 %s, but the lock has %s", got, f.SHA256)
	}
	return c.remember(f.Path, found), nil
}

// remember keeps the verdict on a file, and the content of a small one if there is room.
func (c *verifier) remember(path string, found verdict) verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.known[path]
	found.since = found.checked
	if before.info != nil && unchanged(before.info, found.info) {
		found.since = before.since
	}
	found.settled = settled(found.info, found.since, found.checked)
	c.cached -= len(before.data)
	if !found.settled || found.problem != nil || c.cached+len(found.data) > cacheSize {
		found.data = nil
	}
	c.cached += len(found.data)
	c.known[path] = found
	return found
}

// fromMemory returns the content of a cached file, or nil if its info must be read again.
func (c *verifier) fromMemory(path string) []byte {
	c.mu.Lock()
	found := c.known[path]
	c.mu.Unlock()
	if found.data == nil || c.now().Sub(found.checked) >= cacheTime {
		return nil
	}
	return found.data
}

// confirm records that a file is unchanged now.
func (c *verifier) confirm(path string, info fs.FileInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, known := c.known[path]; known && unchanged(found.info, info) {
		found.checked = c.now()
		c.known[path] = found
	}
}

// forget removes the verdicts on files that are no longer served.
func (c *verifier) forget(served func(path string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for path, found := range c.known {
		if !served(path) {
			c.cached -= len(found.data)
			delete(c.known, path)
		}
	}
}

func unchanged(a, b fs.FileInfo) bool {
	return unwritten(a, b) && disk.ChangedAt(a).Equal(disk.ChangedAt(b))
}

// unwritten reports whether a file was not written, by its modification time. Unlike [unchanged], it
// ignores that a file was renamed or removed, which must not cut a download.
func unwritten(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

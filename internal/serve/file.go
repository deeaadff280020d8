package serve

import (
	"context"
	"crypto/sha256"
	"errors"
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

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/project/cache"
	"github.com/botkube-mirror/botkube-mirror/internal/project/site"
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
}

// finding is what came of reading a file.
type finding struct {
	// info describes the file that was read.
	info fs.FileInfo
	// problem is nil if it is what it should be.
	problem error
}

// largeFile is more, in bytes, than most plugins have.
const largeFile = 256 << 20

func newKeeper(ctx context.Context) *keeper {
	n := max(2, runtime.GOMAXPROCS(0))
	return &keeper{ctx: ctx, reading: make(chan struct{}, n), readingLarge: make(chan struct{}, n-1), known: map[string]finding{}}
}

// attempts is how often a file is opened that is replaced each time.
const attempts = 3

func (k *keeper) open(ctx context.Context, v *Version, f site.File) (*content, error) {
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
	return &content{File: file, info: info}, nil
}

// finding returns what is known of a file, which may have to be read for that. It
// may be of another file than the one that is described.
func (k *keeper) finding(ctx context.Context, v *Version, f site.File, info fs.FileInfo) (finding, error) {
	k.mu.Lock()
	found, known := k.known[f.Path]
	k.mu.Unlock()
	if known && same(found.info, info) {
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
	// The description may be of a tar file in which this one lies.
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return finding{}, err
	}
	if size != f.Size {
		// Whoever may write here can make it as long as they like: it is not read.
		return finding{info, fault.New(fault.Integrity, "it is damaged: it has %d bytes, but its lock says %d", size, f.Size)}, nil
	}
	got, err := digest(k.ctx, io.LimitReader(file, f.Size))
	if err != nil {
		return finding{}, err
	}
	after, err := file.Stat()
	if err != nil {
		return finding{}, err
	}
	if !same(info, after) {
		return finding{info, fault.New(fault.Integrity, "it changes while it is read")}, nil
	}
	found := finding{info: info}
	if got != f.SHA256 {
		found.problem = fault.New(fault.Integrity, "it is damaged: it has the sha256 %s, but its lock says %s", got, f.SHA256)
	}
	if time.Since(info.ModTime()) > fresh {
		k.mu.Lock()
		k.known[f.Path] = found
		k.mu.Unlock()
	}
	return found, nil
}

func digest(ctx context.Context, r io.Reader) (lock.SHA256, error) {
	h := sha256.New()
	if err := cache.Copy(ctx, h, r); err != nil {
		return lock.SHA256{}, err
	}
	return lock.SHA256(h.Sum(nil)), nil
}

// same reports whether two descriptions are of a file that did not change.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// content is a file that was found to be right, as long as it stays that.
type content struct {
	File
	info fs.FileInfo
	// err says why it could not be read to its end.
	err error
}

// Read fails if the file was changed in place since it was looked at.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	info, statErr := c.Stat()
	switch {
	case statErr != nil:
		err = statErr
	case !same(info, c.info):
		err = fault.New(fault.Integrity, "it was changed while it was sent")
	case err == nil || errors.Is(err, io.EOF):
		return n, err
	}
	c.err = err
	return 0, err
}

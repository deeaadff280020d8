// Package blob reads, copies and verifies blobs: content that is identified by its digest. Blobs
// come from the store of this machine, or from a bundle.
package blob

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// File is an open blob. An [os.File] is one.
type File interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
}

// Source is a collection of blobs. Its methods may be called concurrently. They return an error of
// kind [fault.Incomplete] if it does not have a blob.
type Source interface {
	// Open opens a blob for reading. It does not verify the content.
	Open(d lock.SHA256) (File, error)
	// Verify compares a blob with its digest. If they differ, it returns an error of kind
	// [fault.Integrity]. It may skip a blob that was verified before.
	Verify(ctx context.Context, d lock.SHA256) error
	// ReadAll returns the verified content of a blob of at most max bytes.
	ReadAll(d lock.SHA256, max int64) ([]byte, error)
}

// InMemory returns a blob with the given content.
func InMemory(data []byte) File { return memory{bytes.NewReader(data)} }

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

var buffers = sync.Pool{New: func() any {
	b := make([]byte, 256<<10)
	return &b
}}

// Copy copies all content, unless ctx is done before. It reports its progress: see [Watched].
func Copy(ctx context.Context, to io.Writer, from io.Reader) error {
	return Pieces(reader{ctx, from}, func(p []byte) error {
		n, err := to.Write(p)
		Moved(ctx, int64(n))
		return err
	})
}

// reader returns an error when its context is done.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// Pieces reads r to its end, and calls take with each piece of content.
func Pieces(r io.Reader, take func(p []byte) error) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := r.Read(*buf)
		if n > 0 {
			if err := take((*buf)[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

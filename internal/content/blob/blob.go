// Package blob is content by its digest, wherever it lies: in the store of this
// machine, or in a bundle.
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

// Source has blobs. Its methods may be called concurrently. A blob that it does
// not have is an error of kind [fault.Incomplete].
type Source interface {
	// Open opens a blob to read. What it holds may be damaged: see Verify.
	Open(d lock.SHA256) (File, error)
	// Verify compares a blob with its digest; a difference is an error of kind
	// [fault.Integrity]. What was compared before may not be read again.
	Verify(ctx context.Context, d lock.SHA256) error
	// ReadAll returns a blob of at most max bytes, verified.
	ReadAll(d lock.SHA256, max int64) ([]byte, error)
}

// InMemory returns content that is held in memory.
func InMemory(data []byte) File { return memory{bytes.NewReader(data)} }

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

var buffers = sync.Pool{New: func() any {
	b := make([]byte, 256<<10)
	return &b
}}

// Copy copies until ctx is done.
func Copy(ctx context.Context, to io.Writer, from io.Reader) error {
	return Pieces(reader{ctx, from}, func(p []byte) error {
		n, err := to.Write(p)
		Moved(ctx, int64(n))
		return err
	})
}

// reader fails once its context is done.
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

// Pieces calls take with what comes from r, piece by piece, until it ends.
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

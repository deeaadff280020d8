// Package blob is content by its digest, wherever it lies: in the store of this
// machine, or in a bundle.
package blob

import (
	"bytes"
	"context"
	"io"

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

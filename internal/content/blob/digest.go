package blob

import (
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// Sink receives content, and knows what it received.
type Sink interface {
	io.Writer
	// Reset discards what was written: what comes next supersedes it.
	Reset() error
	Blob() lock.Blob
}

// Digest is a [Sink] that only counts and hashes.
type Digest struct {
	Hash
	size int64
}

// NewDigest returns one that received nothing.
func NewDigest() *Digest { return &Digest{Hash: NewHash()} }

func (d *Digest) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	return d.Hash.Write(p)
}

func (d *Digest) Reset() error {
	d.Hash.Reset()
	d.size = 0
	return nil
}

func (d *Digest) Blob() lock.Blob {
	return lock.Blob{Size: d.size, SHA256: d.SHA256()}
}

package pluginsdir

import (
	"context"
	"crypto/sha256"
	"hash"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// Digest makes a file, says what it is, and keeps nothing of it.
func Digest(ctx context.Context, from Source, p agent.Platform, f lock.File) (lock.Blob, error) {
	d := &digest{hash: sha256.New()}
	if err := from.Make(ctx, p, f, d); err != nil {
		return lock.Blob{}, err
	}
	return d.Blob(), nil
}

// Examine makes a file, says what it is, and keeps nothing of it.
func Examine(ctx context.Context, from Source, p agent.Platform, f lock.File) (lock.Made, error) {
	to := &headed{Sink: &digest{hash: sha256.New()}}
	if err := from.Make(ctx, p, f, to); err != nil {
		return lock.Made{}, err
	}
	return lock.Made{Blob: to.Blob(), Program: to.head.Program()}, nil
}

// digest is a [Sink] that only counts and hashes.
type digest struct {
	hash hash.Hash
	size int64
}

func (d *digest) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	return d.hash.Write(p)
}

// Reset forgets what was written.
func (d *digest) Reset() error {
	d.hash.Reset()
	d.size = 0
	return nil
}

// Blob says what was written.
func (d *digest) Blob() lock.Blob {
	return lock.Blob{Size: d.size, SHA256: lock.SHA256(d.hash.Sum(nil))}
}

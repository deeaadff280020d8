package pluginsdir

import (
	"context"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// Digest makes a file, says what it is, and keeps nothing of it.
func Digest(ctx context.Context, from Source, p agent.Platform, f lock.File) (lock.Blob, error) {
	d := blob.NewDigest()
	if err := from.Make(ctx, p, f, d); err != nil {
		return lock.Blob{}, err
	}
	return d.Blob(), nil
}

// Examine is [Digest] that also says what the file is to the system that would run it.
func Examine(ctx context.Context, from Source, p agent.Platform, f lock.File) (lock.Made, error) {
	to := &headed{Sink: blob.NewDigest()}
	if err := from.Make(ctx, p, f, to); err != nil {
		return lock.Made{}, err
	}
	return lock.Made{Blob: to.Blob(), Program: to.head.Program()}, nil
}

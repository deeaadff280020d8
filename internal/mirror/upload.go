package mirror

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// uploadAll uploads those of the blobs that the repository lacks.
func (p *push) uploadAll(ctx context.Context, up *uploader, blobs []lock.Blob) error {
	planned := Event{Kind: EventPlanned, Count: len(blobs)}
	for _, b := range blobs {
		planned.Total += b.Size
	}
	p.session.Observe(planned)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.session.Parallel)
	for _, b := range blobs {
		group.Go(func() error {
			err := up.upload(ctx, b, func() (blob.File, error) { return p.open(ctx, b) })
			if fault.KindOf(err) == fault.Integrity {
				// What was sent was hashed on the way and not kept: the source
				// knows better what it is, and what to copy again.
				err = cmp.Or(p.contents.Verify(ctx, b.SHA256), err)
			}
			return err
		})
	}
	return group.Wait()
}

// open opens a blob of the bundle. Who reads it compares its digest.
func (p *push) open(ctx context.Context, b lock.Blob) (blob.File, error) {
	if p.src.obtain != nil && p.upstream[b.SHA256] {
		if _, err := p.src.obtain(ctx, b); err != nil {
			return nil, err
		}
	}
	return p.contents.Open(b.SHA256)
}

// uploader brings blobs to a repository.
type uploader struct {
	session *Session
	repo    *registry.Repository
	sent    atomic.Int64
}

func (u *uploader) upload(ctx context.Context, b lock.Blob, open func() (blob.File, error)) error {
	subject := fmt.Sprintf("%s@%s", u.repo.Name(), digestOf(b))
	u.session.Observe(Event{Kind: EventUploading, Subject: subject, Total: b.Size})
	n, err := u.repo.Upload(ctx, b, func() (io.ReadSeekCloser, error) { return open() }, u.session.progressOf(subject, b.Size))
	u.sent.Add(n)
	if err != nil {
		return err
	}
	kind := EventUploaded
	if n == 0 {
		kind = EventReused // the registry has it
	}
	u.session.Observe(Event{Kind: kind, Subject: subject, Bytes: b.Size, Total: b.Size})
	return nil
}

package push

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// uploader brings blobs to a repository.
type uploader struct {
	*push
	repo *registry.Repository
	sent atomic.Int64
}

// all uploads those of the blobs that the repository lacks.
func (u *uploader) all(ctx context.Context, blobs []lock.Blob, size int64) error {
	u.Observer.Planned(len(blobs), size)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(u.Parallel)
	for _, b := range blobs {
		group.Go(func() error {
			err := u.one(ctx, b, func() (blob.File, error) { return u.open(ctx, b) })
			if fault.KindOf(err) == fault.Integrity {
				// What was sent was hashed on the way and not kept: the source
				// knows better what it is, and what to copy again.
				err = cmp.Or(u.Contents.Verify(ctx, b.SHA256), err)
			}
			return err
		})
	}
	return group.Wait()
}

// open opens a blob of the bundle. Who reads it compares its digest.
func (u *uploader) open(ctx context.Context, b lock.Blob) (blob.File, error) {
	if u.Fetch != nil && u.upstream[b.SHA256] {
		if err := u.Fetch(ctx, b); err != nil {
			return nil, err
		}
	}
	return u.Contents.Open(b.SHA256)
}

// one uploads a blob if the repository lacks it.
func (u *uploader) one(ctx context.Context, b lock.Blob, open func() (blob.File, error)) error {
	subject := fmt.Sprintf("%s@%s", u.repo.Name(), b.SHA256.OCI())
	u.Observer.Uploading(subject, b.Size)
	n, err := u.repo.Upload(ctx, b, func() (io.ReadSeekCloser, error) { return open() }, u.Observer.Progress(subject, b.Size))
	u.sent.Add(n)
	if err == nil {
		u.Observer.Uploaded(subject, b.Size, n == 0)
	}
	return err
}

// blobsOf returns the blobs of manifests, each once, the largest first.
func blobsOf(manifests []bundle.Document) []lock.Blob {
	var blobs []lock.Blob
	seen := map[lock.SHA256]bool{}
	for _, m := range manifests {
		for _, b := range m.Blobs {
			if !seen[b.SHA256] {
				blobs = append(blobs, b)
			}
			seen[b.SHA256] = true
		}
	}
	slices.SortStableFunc(blobs, func(a, b lock.Blob) int { return cmp.Compare(b.Size, a.Size) })
	return blobs
}

// uploadImage makes the mountable image and uploads it as it comes, so that it lies
// nowhere as a whole.
func (p *push) uploadImage(ctx context.Context, to *destination, up *uploader, uploaded *PartResult) error {
	if p.Fetch != nil {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(p.Parallel)
		for _, a := range p.lock.Artifacts {
			group.Go(func() error { return p.Fetch(ctx, a.Blob) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	made, err := p.BuildImage(ctx, &imageSink{up, to})
	if err != nil {
		return err
	}
	uploaded.Size, uploaded.MountOnly = made.Size, made.MountOnly
	return nil
}

// imageSink uploads an image while it is made.
type imageSink struct {
	*uploader
	to *destination
}

// Blob uploads a layer or a configuration that the repository lacks. If the tag
// is there, a layer that is not says that the tag has other content.
func (s *imageSink) Blob(ctx context.Context, b lock.Blob, open func() (blob.File, error)) error {
	if !s.keeps(s.to) {
		return s.one(ctx, b, open)
	}
	_, there, err := s.repo.HasBlob(ctx, b.SHA256)
	if err != nil || there {
		return err
	}
	return s.otherContent(s.to, "it lacks "+b.SHA256.OCI())
}

// Manifest uploads a manifest. The index, which comes last, gets the tag later.
func (s *imageSink) Manifest(ctx context.Context, m image.Manifest) error {
	if m.Platform == nil {
		s.to.top = bundle.Document{MediaType: m.MediaType, Data: m.Data}
		if err := s.checkTag(s.to, m.SHA256); err != nil {
			return err
		}
	}
	if s.keeps(s.to) {
		return nil // it is there, or the tag has other content
	}
	return s.repo.PutManifest(ctx, m.SHA256.OCI(), m.MediaType, m.Data)
}

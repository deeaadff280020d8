package push

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

type uploader struct {
	*push
	*destination
	sent atomic.Int64
	// planned counts the blobs of a dry run.
	planned plan
}

// upload uploads a part without its tags.
func (p *push) upload(ctx context.Context, part Part) (PartResult, error) {
	u := &uploader{push: p, destination: p.destinations[part]}
	uploaded := PartResult{Part: part, Reference: u.String()}
	if part == Image {
		uploaded.Platforms = u.Lock.Platforms
	}
	if role := kinds[part].role; role != "" {
		uploaded.OwnIndex = u.Lock.Image(role).Index == nil
	}
	var err error
	switch {
	case u.refused: // only a dry run gets here
	case part != Image:
		uploaded.Size, err = u.sendDocuments(ctx)
	case u.options.DryRun && u.isFar():
		err = u.askSource(ctx)
	default:
		uploaded.Size, uploaded.MountOnly, err = u.sendImage(ctx)
	}
	uploaded.UploadedBytes = u.sent.Load()
	if u.options.DryRun {
		u.planned.tell(u.destination, &uploaded)
	}
	return uploaded, err
}

func (u *uploader) sendDocuments(ctx context.Context) (size int64, err error) {
	_, below, err := u.push.documents(u.part)
	if err != nil {
		return 0, err
	}
	blobs := blobsOf(append(slices.Clone(below), u.top))
	size = lock.SizeOf(blobs)
	there := u.has(u.top.Blob().SHA256)
	if there && !u.options.Force {
		for _, b := range blobs {
			u.planned.add(b, true)
		}
		return size, nil
	}
	if !u.options.DryRun {
		u.Observer.Planned(len(blobs), size)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(6 * u.Parallel) // for the questions whether a blob exists; the client limits uploads
	for _, b := range blobs {
		group.Go(func() error { return u.bundled(groupCtx, b) })
	}
	if err := group.Wait(); err != nil || u.options.DryRun {
		return size, err
	}
	group, groupCtx = errgroup.WithContext(ctx)
	group.SetLimit(u.Parallel)
	for _, d := range below {
		group.Go(func() error {
			digest := d.Blob().SHA256.OCI()
			if there { // a registry that deletes untagged manifests may have lost it
				if _, err := u.repo.Manifest(groupCtx, digest); !registry.IsNotFound(err) {
					return err
				}
			}
			return u.repo.PutManifest(groupCtx, digest, d.MediaType, d.Data)
		})
	}
	if err := group.Wait(); err != nil || there {
		return size, err
	}
	return size, u.repo.PutManifest(ctx, u.top.Blob().SHA256.OCI(), u.top.MediaType, u.top.Data)
}

func (u *uploader) bundled(ctx context.Context, b lock.Blob) error {
	err := u.one(ctx, b, func() (blob.File, error) {
		if err := u.obtain(ctx, b); err != nil {
			return nil, err
		}
		return u.bundle.Open(b.SHA256)
	})
	if fault.KindOf(err) == fault.Integrity {
		// The source's error names the damaged file.
		err = cmp.Or(u.bundle.Verify(ctx, b.SHA256), err)
	}
	return err
}

// one uploads a blob unless the repository has it.
func (u *uploader) one(ctx context.Context, b lock.Blob, open func() (blob.File, error)) error {
	if u.options.DryRun {
		return u.look(ctx, b)
	}
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

// sendImage makes the mountable image and uploads each layer when it is made, so that the whole image
// is never on the disk.
func (u *uploader) sendImage(ctx context.Context) (size int64, mountOnly []agent.Platform, err error) {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(u.Parallel)
	for _, a := range u.Lock.Artifacts {
		group.Go(func() error { return u.obtain(groupCtx, a.Blob) })
	}
	if err := group.Wait(); err != nil {
		return 0, nil, err
	}
	u.Observer.Planned(0, -1) // the sizes are not known before the layers are made
	made, err := image.Build(ctx, u.Lock, u.Plugins, u.Image, imageSink{u})
	return made.Size, made.MountOnly, err
}

type imageSink struct{ *uploader }

// Blob uploads a layer or a configuration that the repository lacks. If the tag exists and must not
// change, a missing layer means that the tag has other content.
func (s imageSink) Blob(ctx context.Context, b lock.Blob, open func() (blob.File, error)) error {
	if !s.keeps(s.destination) {
		return s.one(ctx, b, open)
	}
	_, there, err := s.repo.HasBlob(ctx, b.SHA256)
	s.planned.add(b, there)
	if err != nil || there {
		return err
	}
	t, _ := s.occupied()
	return s.inTheWay(s.destination, s.otherContent(s.destination, t, "it lacks "+b.SHA256.OCI()))
}

// Manifest uploads a manifest or the index, which comes last and gets its tag later.
func (s imageSink) Manifest(ctx context.Context, m image.Manifest) error {
	if m.Platform != nil {
		s.below = append(s.below, m.SHA256)
	} else {
		s.top = bundle.Document{MediaType: m.MediaType, Data: m.Data}
		if err := s.inTheWay(s.destination, s.checkTags(s.destination, m.SHA256)); err != nil {
			return err
		}
	}
	if s.keeps(s.destination) || s.options.DryRun {
		return nil // the registry has it, or the tag has other content
	}
	return s.repo.PutManifest(ctx, m.SHA256.OCI(), m.MediaType, m.Data)
}

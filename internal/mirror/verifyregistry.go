package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// registry verifies a bundle or an image in a registry, as it is there: nothing
// of it is taken from the store, and nothing is kept.
func (v *verifying) registry(ctx context.Context, reference string) error {
	repo, ref, err := v.pullFrom(ctx, reference)
	if err != nil {
		return err
	}
	top, err := repo.Manifest(ctx, ref.Identifier())
	if err != nil {
		return err
	}
	c, err := bundle.ReadIndex(top.Data, func(p bundle.Part) ([]byte, error) {
		if p.IsManifest() {
			return manifestOf(ctx, repo, p.Blob)
		}
		return readAll(ctx, repo, p.Blob, max(p.Size, 0))
	})
	switch {
	case err == nil:
		return v.registryBundle(ctx, repo, c)
	case !errors.Is(err, bundle.ErrNotBundle):
		return v.unreadable(KindBundle, fmt.Errorf("reading the bundle %s%s: %w", form.RegistryPrefix, ref, absent(err)))
	}
	if err := v.is(KindImage); err != nil {
		return err
	}
	im, imageErr := image.Audit(ctx, top.Data, image.Content{
		Manifest: func(ctx context.Context, b lock.Blob) ([]byte, error) {
			data, err := manifestOf(ctx, repo, b)
			return data, absent(err)
		},
		Blob: func(ctx context.Context, b lock.Blob) (io.ReadCloser, error) { return repo.Open(ctx, b), nil },
	}, v.Parallel, &v.report, v.hashed)
	if imageErr != nil {
		return v.unreadable(KindImage, noImage(form.RegistryPrefix+ref.String(), err, imageErr))
	}
	im.Tag = ref.Tag()
	v.imageFound(im)
	return nil
}

// absent has what a registry does not have count as missing.
func absent(err error) error {
	if registry.IsNotFound(err) {
		return fault.New(fault.Incomplete, "%w", err)
	}
	return err
}

func (v *verifying) registryBundle(ctx context.Context, repo *registry.Repository, c *bundle.Contents) error {
	if v.options.Unpack {
		return fault.New(fault.Usage, "archives in a registry are not unpacked").WithHint("verify the bundle in a file with --unpack, or unpack it from the registry: botkube-mirror unpack %s -o DIR", v.options.Target)
	}
	if err := v.contents(ctx, c, repo.Check, v.Parallel); err != nil {
		return err
	}
	v.outlooks(c.Lock, remoteDocuments{ctx, repo, c.Lock})
	return nil
}

// readAll returns a blob of a registry of at most max bytes.
func readAll(ctx context.Context, repo *registry.Repository, b lock.Blob, max int64) ([]byte, error) {
	if b.Size > max {
		return nil, fault.New(fault.Integrity, "sha256:%s has %d bytes; at most %d are read of such a document", b.SHA256, b.Size, max)
	}
	read := func() ([]byte, error) {
		content := repo.Open(ctx, b)
		defer content.Close()
		return io.ReadAll(content)
	}
	data, err := read()
	if fault.KindOf(err) == fault.Integrity && ctx.Err() == nil {
		return read() // as [registry.Repository.Check] does
	}
	return data, err
}

// remoteDocuments is a [blob.Source] of the indexes and schemas of a bundle in a
// registry, which are read as a whole.
type remoteDocuments struct {
	ctx  context.Context
	repo *registry.Repository
	lock *lock.Lock
}

func (r remoteDocuments) ReadAll(d lock.SHA256, max int64) ([]byte, error) {
	for _, b := range r.lock.Blobs() {
		if b.SHA256 == d {
			return readAll(r.ctx, r.repo, b, max)
		}
	}
	return nil, fault.New(fault.Incomplete, "sha256:%s is not in the bundle", d)
}

func (r remoteDocuments) Open(d lock.SHA256) (blob.File, error) {
	data, err := r.ReadAll(d, index.MaxSize)
	return blob.InMemory(data), err
}

func (r remoteDocuments) Verify(ctx context.Context, d lock.SHA256) error {
	_, err := r.ReadAll(d, index.MaxSize)
	return err
}

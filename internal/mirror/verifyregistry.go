package mirror

import (
	"context"
	"errors"
	"fmt"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
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
	from := repositoryReader{repo}
	c, err := bundle.Read(ctx, top.Data, from)
	switch {
	case err == nil:
		return v.registryBundle(ctx, from, c)
	case !errors.Is(err, bundle.ErrNotBundle):
		return v.unreadable(KindBundle, fmt.Errorf("reading the bundle %s%s: %w", form.RegistryPrefix, ref, err))
	}
	if err := v.is(KindImage); err != nil {
		return err
	}
	im, imageErr := image.Audit(ctx, top.Data, from, v.Parallel, &v.report, v.hashed)
	if imageErr != nil {
		return v.unreadable(KindImage, noImage(form.RegistryPrefix+ref.String(), err, imageErr))
	}
	im.Tag = ref.Tag()
	v.imageFound(im)
	return nil
}

func (v *verifying) registryBundle(ctx context.Context, from oci.Reader, c *bundle.Contents) error {
	if v.options.Unpack {
		return fault.New(fault.Usage, "archives in a registry are not unpacked").WithHint("verify the bundle in a file with --unpack, or unpack it from the registry: botkube-mirror unpack %s -o DIR", v.options.Target)
	}
	if err := v.contents(ctx, c, from, v.Parallel); err != nil {
		return err
	}
	v.outlooks(c.Lock, remoteDocuments{ctx, from, c.Lock})
	return nil
}

// remoteDocuments is a [blob.Source] of the indexes and schemas of a bundle in a
// registry, which are read as a whole.
type remoteDocuments struct {
	ctx  context.Context
	from oci.Reader
	lock *lock.Lock
}

func (r remoteDocuments) ReadAll(d lock.SHA256, max int64) ([]byte, error) {
	for _, b := range r.lock.Blobs() {
		if b.SHA256 == d {
			return oci.ReadBlob(r.ctx, r.from, b, max)
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

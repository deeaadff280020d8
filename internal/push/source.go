package push

import (
	"context"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
)

// CheckMount reports why the mountable image cannot have its plugins at a path.
func CheckMount(mount string) error { return image.CheckMount(mount) }

// NewSource returns what is published of a mirror: the bundle of a lock, and the
// image that is made of it.
func NewSource(ctx context.Context, name string, l *lock.Lock, from form.Content, o form.WriteOptions) (Source, error) {
	src := Source{Name: name}
	if from.Obtain != nil {
		src.Fetch = func(ctx context.Context, b lock.Blob) error {
			_, err := from.Obtain(ctx, b)
			return err
		}
		if l.Chart != nil {
			// What Helm wants to know of a chart is read from it.
			if err := src.Fetch(ctx, l.Chart.Blob); err != nil {
				return src, err
			}
		}
	}
	src.BuildImage = func(ctx context.Context, to image.Sink) (form.Written, error) {
		return image.Build(ctx, l, from.Plugins, o, to)
	}
	var err error
	src.Contents, err = bundle.Plan(ctx, l, from.Blobs)
	return src, err
}

// NeedTemporary is how many bytes of the image of a lock wait in temporary files.
func NeedTemporary(l *lock.Lock) int64 { return image.NeedTemporary(l) }

// Blobs lists the blobs of a lock that a push reads, if it skips some parts.
func Blobs(l *lock.Lock, skip []Part) (blobs []lock.Blob) {
	wanted := func(p Part) bool { return !slices.Contains(skip, p) || !slices.Contains(skip, Bundle) }
	if wanted(Image) {
		for _, a := range l.Artifacts {
			blobs = append(blobs, a.Blob)
		}
	}
	for _, b := range l.ImageBlobs() {
		if wanted(PartOf(b.Role)) {
			blobs = append(blobs, b.Blob)
		}
	}
	if l.Chart != nil {
		blobs = append(blobs, l.Chart.Blob) // it is read in any case
	}
	return blobs
}

package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// Bundle is a bundle that is read in place. It is a [blob.Source] of the blobs in its lock. Its
// methods may be called concurrently.
type Bundle struct {
	layout   *oci.Layout
	contents *Contents
	// names are those in index.json, others what else that names.
	names  []string
	others []oci.Named

	// known are the digests of blobs that were found to be right.
	known sync.Map
}

// Open opens the bundle of a layout that has a name there, a tag or sha256:DIGEST, for
// there may be several. Any will do for the empty one, if it is the only bundle. A
// layout without one is an [ErrNotBundle]. It has a hint, unless it may be an image
// that this program wrote: of those, the caller knows more.
//
// The bundle closes the layout. If there is an error, the caller still has to close it.
func Open(ctx context.Context, l *oci.Layout, name string) (*Bundle, error) {
	b, err := OpenIncomplete(ctx, l, name)
	if err != nil {
		return nil, err
	}
	for _, blob := range b.contents.Blobs {
		if err := l.Has(blob); err != nil {
			return nil, b.fault(blob.SHA256, err)
		}
	}
	return b, nil
}

// OpenIncomplete is [Open] for a bundle that may lack blobs, which are looked for when
// they are read.
func OpenIncomplete(ctx context.Context, l *oci.Layout, name string) (*Bundle, error) {
	var c *Contents
	chosen, err := choose(ctx, l, name)
	if err == nil {
		c, err = readIndex(ctx, chosen.Data, l)
	}
	switch {
	case errors.Is(err, ErrNotBundle):
		return nil, l.Explain("", err)
	case err != nil:
		return nil, l.Explain("the bundle", err)
	}
	b := &Bundle{layout: l, contents: c, names: chosen.Names, others: chosen.Others}
	c.blobs = b
	return b, nil
}

// choose finds the image index of the bundle in a layout that has a name, or of the
// only one.
func choose(ctx context.Context, l *oci.Layout, name string) (*oci.Chosen, error) {
	return l.Choose(ctx, name, oci.Kind{Name: "bundle", Other: ErrNotBundle, Is: func(n oci.Named, data []byte) error {
		return isBundle(ctx, n, data, l)
	}})
}

// isBundle is nil for the index of a bundle, which may be damaged behind it, an
// [ErrNotBundle] for what is something else.
func isBundle(ctx context.Context, n oci.Named, data []byte, from oci.Reader) error {
	r := &reading{ctx: ctx, from: from, contents: &Contents{Index: Document{MediaType: indexType, Data: data}}}
	if probe, _ := oci.ProbeOf(data); probe.ConfigType() == LockType {
		_, err := readIndex(ctx, data, from)
		return err
	}
	if n.MediaType != indexType {
		if err := r.describeOther(data); err != nil {
			return err
		}
		return notBundle("its %s lists a document of type %q, not an image index", oci.IndexName, oci.Clip(n.MediaType))
	}
	if err := r.readIndex(); err != nil || r.index.ArtifactType == ArtifactType {
		return err
	}
	first, err := r.readManifest(r.index.Manifests[0], "the first manifest")
	if err == nil {
		_, err = r.lockedBy(first.Data)
	}
	if err != nil && !errors.Is(err, ErrNotBundle) {
		// Nothing else says that it is one.
		return fault.New(fault.KindOf(err), "%w: %w", ErrNotBundle, err)
	}
	return err
}

// Contents returns the documents as they are in the bundle, and its blobs. They
// may be written again while the bundle is open.
func (b *Bundle) Contents() *Contents { return b.contents }

// Close closes the bundle.
func (b *Bundle) Close() error { return b.layout.Close() }

// Open opens a blob to read.
func (b *Bundle) Open(d lock.SHA256) (blob.File, error) {
	f, err := b.layout.File(d)
	if err != nil {
		return nil, b.fault(d, err)
	}
	return f, nil
}

func (b *Bundle) fault(d lock.SHA256, err error) error {
	return b.layout.Explain("the bundle", fmt.Errorf("%s: %w", b.contents.What(d), err))
}

// Forget has the next [Bundle.Verify] of a blob read it, whatever was read before.
func (b *Bundle) Forget(d lock.SHA256) { b.known.Delete(d) }

// Verify reads a blob and compares its digest. It does so only once for each blob.
func (b *Bundle) Verify(ctx context.Context, d lock.SHA256) error {
	if _, known := b.known.Load(d); known {
		return nil
	}
	f, err := b.Open(d)
	if err != nil {
		return err
	}
	defer f.Close()
	h := blob.NewHash()
	if err := blob.Copy(ctx, h, f); err != nil {
		return b.fault(d, err)
	}
	return b.judge(d, h.SHA256())
}

// judge compares digests and remembers a right one.
func (b *Bundle) judge(d, got lock.SHA256) error {
	if got != d {
		return b.fault(d, fault.New(fault.Integrity, "%s/%s is damaged: its sha256 is %s", oci.BlobsDir, d, got))
	}
	b.known.Store(d, true)
	return nil
}

// ReadAll returns a blob of at most max bytes, and compares its digest.
func (b *Bundle) ReadAll(d lock.SHA256, max int64) ([]byte, error) {
	f, err := b.Open(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, b.fault(d, err)
	}
	if int64(len(data)) > max {
		return nil, b.fault(d, fault.New(fault.Integrity, "%s/%s has more than the maximum of %d bytes for such a document", oci.BlobsDir, d, max))
	}
	return data, b.judge(d, lock.Sum(data))
}

package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Bounds of what is read.
const (
	// maxManifest bounds, in bytes, manifests, indexes and configurations.
	maxManifest = 4 << 20
	// maxPlatforms bounds the images of an index.
	maxPlatforms = 64
	// maxDocuments bounds, in bytes, the layer of documents, unpacked: a lock
	// and indexes, which have some 100 KiB each.
	maxDocuments = 64 << 20
)

// Image is what an image holds.
type Image struct {
	// Top is the index, or the manifest where there is but one.
	Top lock.Blob
	// Tag is empty where the image was not found by one.
	Tag string
	// Names are what the image is called in its layout, others what else that names.
	Names  []string
	Others []oci.Named
	// Mount is where the directory is in the image, and where it belongs in
	// the agent's container.
	Mount string
	// Lock is what the image was made of, for all its platforms.
	Lock      *lock.Lock
	Platforms []Platform
}

// inLayout chooses an image in a layout, and reads it. Of several images it takes the one
// that has a name there, a tag or sha256:DIGEST; without one, it must hold one image of
// plugins only. A layout without one is an [ErrNotImage].
func inLayout(ctx context.Context, l *oci.Layout, name string, read func(top []byte) (*Image, error)) (*Image, error) {
	top, err := l.Choose(ctx, name, oci.Kind{Name: "image of plugins", Other: ErrNotImage, Is: func(_ oci.Named, data []byte) error {
		return isImage(ctx, data, l)
	}})
	if err != nil {
		return nil, l.Explain("the image", err)
	}
	im, err := read(top.Data)
	if err != nil {
		return nil, l.Explain("the image", err)
	}
	im.found(top)
	return im, nil
}

// found notes how a layout names an image, and what else it holds.
func (im *Image) found(top *oci.Chosen) {
	im.Names, im.Others = top.Names, top.Others
	if len(top.Names) > 0 {
		im.Tag = top.Names[0]
	}
	if im.Lock == nil {
		return
	}
	if tag, err := im.Lock.Tag(); err == nil && top.Answers(tag) {
		im.Tag = tag
	}
}

// isImage is nil for the index or manifest of an image of plugins, which may be
// damaged behind it, an ErrNotImage for what is something else.
func isImage(ctx context.Context, top []byte, from oci.Reader) error {
	manifests, err := manifestsIn(top)
	if err != nil {
		return err
	}
	first := top
	if len(manifests) > 0 {
		if first, err = oci.ReadManifest(ctx, from, manifests[0].Blob); err != nil {
			return nil // it may be one
		}
	}
	r := &reading{image: new(Image)}
	if _, err := r.describe(ctx, nil, first, from); errors.Is(err, ErrNotImage) {
		return err
	}
	return nil
}

// ErrNotImage says of an image that it was not made by [Build].
var ErrNotImage = errors.New("this is not an image of plugins")

// notImage refuses an image that was not made by [Build].
func notImage(why string) error {
	return fault.New(fault.Usage, "%w: %s", ErrNotImage, why).
		WithHint("name an image that pull, unpack or push wrote")
}

// Read reads an image: its index, or the manifest of one for a single platform,
// is what the caller has found it by.
func Read(ctx context.Context, top []byte, from oci.Reader) (*Image, error) {
	manifests, err := manifestsIn(top)
	if err != nil {
		return nil, err
	}
	r := &reading{image: &Image{Top: oci.BlobOf(top)}}
	if len(manifests) == 0 {
		if err := r.platform(ctx, nil, top, from); err != nil {
			return nil, err
		}
		return r.finish()
	}
	for _, m := range manifests {
		data, err := oci.ReadManifest(ctx, from, m.Blob)
		if err == nil {
			err = r.platform(ctx, &m.platform, data, from)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the image for %s: %w", m.platform, err)
		}
	}
	return r.finish()
}

// namedManifest is one that an index names.
type namedManifest struct {
	lock.Blob
	platform agent.Platform
}

// manifestsIn returns what an index names: nothing if it is the manifest of one
// image itself.
func manifestsIn(top []byte) ([]namedManifest, error) {
	if len(top) > maxManifest {
		return nil, fault.New(fault.Integrity, "the index has %d bytes; at most %d are read", len(top), maxManifest)
	}
	var ix v1.IndexManifest
	if err := oci.DecodeOpen(top, &ix); err != nil {
		return nil, fault.New(fault.Integrity, "the index cannot be read: %w", err)
	}
	if err := checkType(ix.SchemaVersion, ix.MediaType); err != nil {
		return nil, err
	}
	if len(ix.Manifests) > maxPlatforms {
		return nil, fault.New(fault.Integrity, "the index lists %d images; at most %d are read", len(ix.Manifests), maxPlatforms)
	}
	var manifests []namedManifest
	for _, d := range ix.Manifests {
		if d.Platform == nil || !d.MediaType.IsImage() {
			return nil, notImage("its index lists something that is no image for a platform")
		}
		b, err := oci.Described(d, maxManifest)
		if err != nil {
			return nil, err
		}
		p, err := platformOf(d.Platform.OS, d.Platform.Architecture)
		if err != nil {
			return nil, err
		}
		manifests = append(manifests, namedManifest{b, p})
	}
	return manifests, nil
}

// checkType refuses a document that is neither an index nor a manifest as images have
// them.
func checkType(schemaVersion int64, mediaType types.MediaType) error {
	if schemaVersion != 2 || mediaType != "" && !mediaType.IsIndex() && !mediaType.IsImage() {
		return notImage(fmt.Sprintf("it has a document of schema version %d and media type %q", schemaVersion, oci.Clip(string(mediaType))))
	}
	return nil
}

// platformOf returns the platform that a document says.
func platformOf(os, arch string) (agent.Platform, error) {
	p, err := agent.ParsePlatform(os + "/" + arch)
	if err != nil {
		return p, fault.New(fault.Integrity, "%w", err)
	}
	return p, nil
}

// reading is an image that is being read.
type reading struct {
	image *Image
	locks []*lock.Lock
}

// platform reads an image for one platform. An index says which one that is; a
// manifest does not.
func (r *reading) platform(ctx context.Context, said *agent.Platform, manifest []byte, from oci.Reader) error {
	is, err := r.describe(ctx, said, manifest, from)
	if err != nil {
		return err
	}
	l, err := is.readLock(ctx, r.image.Mount, from)
	if err != nil {
		return err
	}
	r.image.Platforms, r.locks = append(r.image.Platforms, is.Platform), append(r.locks, l)
	return nil
}

// described is an image for one platform, of which manifest and configuration
// were read.
type described struct {
	Platform
	manifest v1.Manifest
	config   *v1.ConfigFile
	// documents is the layer that has them.
	documents v1.Descriptor
}

// describe reads manifest and configuration of one platform's image.
func (r *reading) describe(ctx context.Context, said *agent.Platform, manifest []byte, from oci.Reader) (*described, error) {
	var m v1.Manifest
	if err := oci.DecodeOpen(manifest, &m); err != nil {
		return nil, fault.New(fault.Integrity, "a manifest cannot be read: %w", err)
	}
	if err := checkType(m.SchemaVersion, m.MediaType); err != nil {
		return nil, err
	}
	if !m.Config.MediaType.IsConfig() {
		return nil, notImage("it has no configuration of an image")
	}
	config, err := readConfig(ctx, m.Config, from)
	if err != nil {
		return nil, err
	}
	p, err := platformOf(config.OS, config.Architecture)
	if err != nil {
		return nil, err
	}
	if said != nil && *said != p {
		return nil, fault.New(fault.Integrity, "the index says %s of an image for %s", said, p)
	}
	if err := r.mountedAt(config.Config.Labels[mountKey]); err != nil {
		return nil, err
	}
	documents, err := documentsIn(m, config)
	if err != nil {
		return nil, err
	}
	is := &described{manifest: m, config: config, documents: documents}
	is.Platform = Platform{Platform: p, Manifest: oci.BlobOf(manifest), Layers: len(m.Layers), Seeded: slices.Equal(config.Config.Entrypoint, []string{seederPath})}
	is.Size, err = sizeOf(m, manifest)
	return is, err
}

// readLock reads the lock out of the layer of documents.
func (is *described) readLock(ctx context.Context, mount string, from oci.Reader) (*lock.Lock, error) {
	l, err := readDocuments(ctx, is.documents, mount, from)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(l.Platforms, []agent.Platform{is.Platform.Platform}) {
		return nil, fault.New(fault.Integrity, "the image for %s has a lock for %v", is.Platform.Platform, l.Platforms)
	}
	return l, nil
}

// sizeOf returns what is transferred of an image.
func sizeOf(m v1.Manifest, manifest []byte) (int64, error) {
	size := int64(len(manifest)) + m.Config.Size
	for _, d := range m.Layers {
		b, err := oci.Described(d, lock.MaxBlob)
		if err != nil {
			return 0, err
		}
		size += b.Size
	}
	return size, nil
}

func readConfig(ctx context.Context, d v1.Descriptor, from oci.Reader) (*v1.ConfigFile, error) {
	b, err := oci.Described(d, maxManifest)
	if err != nil {
		return nil, err
	}
	data, err := oci.ReadBlob(ctx, from, b, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	var config v1.ConfigFile
	if err := oci.DecodeOpen(data, &config); err != nil {
		return nil, fault.New(fault.Integrity, "the configuration cannot be read: %w", err)
	}
	return &config, nil
}

// mountedAt notes the directory of one platform's image, which all share.
func (r *reading) mountedAt(mount string) error {
	switch {
	case mount == "":
		return notImage("it does not say where the plugins are")
	case CheckMount(mount) != nil:
		return fault.New(fault.Integrity, "the image says that the plugins are in %q", mount)
	case r.image.Mount != "" && r.image.Mount != mount:
		return fault.New(fault.Integrity, "the image has plugins in %q for one platform and in %q for another", r.image.Mount, mount)
	}
	r.image.Mount = mount
	return nil
}

// documentsIn finds the layer of documents.
func documentsIn(m v1.Manifest, config *v1.ConfigFile) (v1.Descriptor, error) {
	if len(config.RootFS.DiffIDs) != len(m.Layers) {
		return v1.Descriptor{}, fault.New(fault.Integrity, "the image has %d layers, and a configuration for %d", len(m.Layers), len(config.RootFS.DiffIDs))
	}
	for i, id := range config.RootFS.DiffIDs {
		if id.String() == config.Config.Labels[documentsKey] {
			return m.Layers[i], nil
		}
	}
	return v1.Descriptor{}, notImage("it does not say where its lock is")
}

// readDocuments reads the lock out of the layer of documents.
func readDocuments(ctx context.Context, d v1.Descriptor, mount string, from oci.Reader) (*lock.Lock, error) {
	b, err := oci.Described(d, maxDocuments)
	if err != nil {
		return nil, err
	}
	var data []byte
	err = oci.Stream(ctx, from, b, func(r io.Reader) (err error) {
		if r, err = unpacked(d.MediaType, r); err != nil {
			return err
		}
		data, err = findFile(ctx, r, maxDocuments, path.Join(mount, pluginsdir.LockPath))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the layer of documents: %w", err)
	}
	l, err := lock.Parse(data)
	if err != nil {
		return nil, fault.New(fault.Integrity, "%w", err)
	}
	return l, nil
}

// unpacked returns the content of a layer as it is before it is compressed.
func unpacked(mediaType types.MediaType, r io.Reader) (io.Reader, error) {
	switch mediaType {
	case types.OCILayer, types.DockerLayer:
		gz, err := gzip.NewReader(r)
		if err != nil {
			return nil, unpacking(err)
		}
		return gz, nil
	case types.OCIUncompressedLayer, types.DockerUncompressedLayer:
		return r, nil
	}
	return nil, fault.New(fault.Integrity, "a layer has media type %q, which is not read", mediaType)
}

func unpacking(err error) error { return fault.New(fault.Integrity, "unpacking: %w", err) }

// errTooMuch says that a layer unpacks to more than a layer of documents holds.
var errTooMuch = errors.New("it holds too much")

// findFile returns the one file at a path in a layer of at most max bytes. The
// file has at most the size of a lock.
func findFile(ctx context.Context, layer io.Reader, max int64, name string) ([]byte, error) {
	bounded := &boundedReader{ctx: ctx, from: layer, left: max}
	var found []byte
	for r := tar.NewReader(bounded); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, unpacking(err)
		}
		if path.Clean("/"+h.Name) != name {
			continue
		}
		if h.Typeflag != tar.TypeReg || found != nil || h.Size > lock.MaxSize {
			return nil, fault.New(fault.Integrity, "%s stands twice, is no file, or has more than %d bytes", name, lock.MaxSize)
		}
		var data bytes.Buffer
		if _, err := data.ReadFrom(io.LimitReader(r, lock.MaxSize)); err != nil {
			return nil, unpacking(err)
		}
		found = data.Bytes()
	}
	if found == nil {
		return nil, fault.New(fault.Incomplete, "it has no %s", name)
	}
	return found, nil
}

// boundedReader fails where a [io.LimitedReader] ends.
type boundedReader struct {
	ctx  context.Context
	from io.Reader
	left int64
}

func (r *boundedReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.from.Read(p)
	if r.left -= int64(n); r.left < 0 {
		return 0, errTooMuch
	}
	return n, err
}

// finish puts the locks together.
func (r *reading) finish() (*Image, error) {
	l, err := merge(r.locks)
	if err != nil {
		return nil, fault.New(fault.Integrity, "the platforms of the image do not fit together: %w", err)
	}
	r.image.Lock = l
	slices.SortFunc(r.image.Platforms, func(a, b Platform) int { return agent.ComparePlatforms(a.Platform, b.Platform) })
	return r.image, nil
}

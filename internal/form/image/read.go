package image

import (
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Bounds of what is read.
const (
	// maxPlatforms bounds the images of an index.
	maxPlatforms = 64
	// maxDocuments bounds, in bytes, the layer of documents, unpacked: a lock
	// and indexes, which have some 100 KiB each.
	maxDocuments = 64 << 20
)

// Image is an image of plugins that was read.
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
	Lock *lock.Lock
	// MountOnly are the platforms whose image has no program to seed a volume.
	MountOnly []agent.Platform
	// images are those of its platforms.
	images []oci.DockerImage
}

// inLayout chooses an image in a layout, and reads it. If name is not empty, it is a tag or
// sha256:DIGEST, and chooses one of several images. If name is empty, the layout must have exactly
// one image of plugins. A layout without one is an [ErrNotImage].
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
	im.Names, im.Others = top.Names, top.Others
	if len(top.Names) > 0 {
		im.Tag = top.Names[0]
	}
	if im.Lock != nil {
		if tag, err := im.Lock.Tag(); err == nil && top.Answers(tag) {
			im.Tag = tag
		}
	}
	return im, nil
}

// isImage is nil for the index or manifest of an image of plugins, which may be
// damaged behind it, an ErrNotImage for what is something else.
func isImage(ctx context.Context, top []byte, from oci.Reader) error {
	manifests, err := manifestsIn(top)
	if err != nil {
		return err
	}
	first, err := manifests[0].read(ctx, from)
	if err != nil {
		return nil // it may be one
	}
	r := &reading{image: new(Image)}
	if _, err := r.describe(ctx, nil, first, from); errors.Is(err, ErrNotImage) {
		return err
	}
	return nil
}

// ErrNotImage is the error of an image that was not made by [Build].
var ErrNotImage = errors.New("not an image of botkube-mirror")

func notImage(why string) error {
	return fault.New(fault.Usage, "%w: %s", ErrNotImage, why).
		WithHint("name an image that pull, unpack or push wrote")
}

// Read reads an image. top is its index, or the manifest of an image for a single platform.
func Read(ctx context.Context, top []byte, from oci.Reader) (*Image, error) {
	manifests, err := manifestsIn(top)
	if err != nil {
		return nil, err
	}
	r := &reading{image: &Image{Top: oci.BlobOf(top)}}
	for _, m := range manifests {
		var is *described
		data, err := m.read(ctx, from)
		if err == nil {
			is, err = r.describe(ctx, m.platform, data, from)
		}
		if err == nil {
			err = r.add(ctx, is, from)
		}
		if err != nil {
			return nil, m.of(err)
		}
	}
	return r.finish()
}

// namedManifest is a manifest that an index names, or the top document itself.
type namedManifest struct {
	lock.Blob
	// platform is the platform that the index says, or nil.
	platform *agent.Platform
	// data is the content if the manifest is the top document, or else nil.
	data []byte
}

func (m namedManifest) read(ctx context.Context, from oci.Reader) ([]byte, error) {
	if m.data != nil {
		return m.data, nil
	}
	return oci.ReadManifest(ctx, from, m.Blob)
}

// of says in an error which platform is meant, if there are several.
func (m namedManifest) of(err error) error {
	if m.platform == nil {
		return err
	}
	return fmt.Errorf("the image for %s: %w", m.platform, err)
}

// manifestsIn returns what an index names. The manifest of one image names itself.
func manifestsIn(top []byte) ([]namedManifest, error) {
	if len(top) > oci.MaxDocument {
		return nil, fault.New(fault.Integrity, "the index has %d bytes, but the maximum is %d", len(top), oci.MaxDocument)
	}
	var ix v1.IndexManifest
	if err := oci.DecodeOpen(top, &ix); err != nil {
		return nil, fault.New(fault.Integrity, "the index cannot be read: %w", err)
	}
	if err := checkType(ix.SchemaVersion, ix.MediaType); err != nil {
		return nil, err
	}
	if len(ix.Manifests) > maxPlatforms {
		return nil, fault.New(fault.Integrity, "the index lists %d images, but the maximum is %d", len(ix.Manifests), maxPlatforms)
	}
	var manifests []namedManifest
	for _, d := range ix.Manifests {
		if d.Platform == nil || !d.MediaType.IsImage() {
			return nil, notImage("its index lists an entry that is not an image for a platform")
		}
		b, err := oci.Described(d, oci.MaxDocument)
		if err != nil {
			return nil, err
		}
		p, err := platformOf(d.Platform.OS, d.Platform.Architecture)
		if err != nil {
			return nil, err
		}
		manifests = append(manifests, namedManifest{Blob: b, platform: &p})
	}
	if len(manifests) == 0 {
		return []namedManifest{{Blob: oci.BlobOf(top), data: top}}, nil
	}
	return manifests, nil
}

// checkType refuses a document that is neither an index nor a manifest as images have
// them.
func checkType(schemaVersion int64, mediaType types.MediaType) error {
	if schemaVersion != 2 || mediaType != "" && !mediaType.IsIndex() && !mediaType.IsImage() {
		return notImage(fmt.Sprintf("it has a document with schema version %d and media type %q", schemaVersion, oci.Clip(string(mediaType))))
	}
	return nil
}

func platformOf(os, arch string) (agent.Platform, error) {
	p, err := agent.ParsePlatform(os + "/" + arch)
	if err != nil {
		return p, fault.New(fault.Integrity, "%w", err)
	}
	return p, nil
}

type reading struct {
	image *Image
	locks []*lock.Lock
}

func (r *reading) add(ctx context.Context, is *described, from oci.Reader) error {
	l, err := is.readLock(ctx, r.image.Mount, from)
	if err != nil {
		return err
	}
	r.locks = append(r.locks, l)
	if !slices.Equal(is.config.Config.Entrypoint, []string{seederPath}) {
		r.image.MountOnly = append(r.image.MountOnly, is.platform)
	}
	return nil
}

// described is an image for one platform, after its manifest and its configuration were read.
type described struct {
	platform agent.Platform
	manifest v1.Manifest
	config   *v1.ConfigFile
	// layers are those of the manifest, and documents is which one has the lock.
	layers    []lock.Blob
	documents int
}

// describe reads manifest and configuration of one platform's image. An index says
// which one that is; a manifest does not.
func (r *reading) describe(ctx context.Context, said *agent.Platform, manifest []byte, from oci.Reader) (*described, error) {
	is := &described{}
	m := &is.manifest
	if err := oci.DecodeOpen(manifest, m); err != nil {
		return nil, fault.New(fault.Integrity, "a manifest cannot be read: %w", err)
	}
	if err := checkType(m.SchemaVersion, m.MediaType); err != nil {
		return nil, err
	}
	if !m.Config.MediaType.IsConfig() {
		return nil, notImage("its configuration is not that of an image")
	}
	r.image.images = append(r.image.images, oci.DockerImageOf(*m))
	var err error
	if is.config, err = readConfig(ctx, m.Config, from); err != nil {
		return nil, err
	}
	if is.platform, err = platformOf(is.config.OS, is.config.Architecture); err != nil {
		return nil, err
	}
	if said != nil && *said != is.platform {
		return nil, fault.New(fault.Integrity, "the index says %s, but the image is for %s", said, is.platform)
	}
	if err := r.mountedAt(is.config.Config.Labels[mountKey]); err != nil {
		return nil, err
	}
	ids := is.config.RootFS.DiffIDs
	if len(ids) != len(m.Layers) {
		return nil, fault.New(fault.Integrity, "the image has %d layers, but its configuration lists %d", len(m.Layers), len(ids))
	}
	is.documents = slices.IndexFunc(ids, func(id v1.Hash) bool { return id.String() == is.config.Config.Labels[documentsKey] })
	if is.documents < 0 {
		return nil, notImage("its labels do not say which layer has the lock")
	}
	for _, d := range m.Layers {
		b, err := oci.Described(d, lock.MaxBlob)
		if err != nil {
			return nil, err
		}
		is.layers = append(is.layers, b)
	}
	return is, nil
}

func (is *described) readLock(ctx context.Context, mount string, from oci.Reader) (*lock.Lock, error) {
	if size := is.layers[is.documents].Size; size > maxDocuments {
		return nil, fault.New(fault.Integrity, "the layer with the lock has %d bytes, but the maximum is %d", size, maxDocuments)
	}
	layer, err := is.readLayer(ctx, from, is.documents, mount, maxDocuments, new(readBudget))
	if err != nil {
		return nil, fmt.Errorf("reading the layer with the lock: %w", err)
	}
	f, there := layer.found[pluginsdir.LockPath]
	switch {
	case !there:
		return nil, fault.New(fault.Incomplete, "%s is missing", path.Join(mount, pluginsdir.LockPath))
	case f.Problem != "":
		return nil, fault.New(fault.Integrity, "%s: %s", path.Join(mount, pluginsdir.LockPath), f.Problem)
	}
	l, err := lock.Parse(f.Data)
	if err != nil {
		return nil, fault.New(fault.Integrity, "%w", err)
	}
	if !slices.Equal(l.Platforms, []agent.Platform{is.platform}) {
		return nil, fault.New(fault.Integrity, "the image for %s has a lock for %v", is.platform, l.Platforms)
	}
	return l, nil
}

func readConfig(ctx context.Context, d v1.Descriptor, from oci.Reader) (*v1.ConfigFile, error) {
	b, err := oci.Described(d, oci.MaxDocument)
	if err != nil {
		return nil, err
	}
	data, err := oci.ReadBlob(ctx, from, b, oci.MaxDocument)
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
		return notImage("its labels do not say where the plugins are")
	case CheckMount(mount) != nil:
		return fault.New(fault.Integrity, "the labels of the image give the wrong directory %q for plugins", mount)
	case r.image.Mount != "" && r.image.Mount != mount:
		return fault.New(fault.Integrity, "the image has plugins in %q for one platform and in %q for another", r.image.Mount, mount)
	}
	r.image.Mount = mount
	return nil
}

func (r *reading) finish() (*Image, error) {
	l, err := merge(r.locks)
	if err != nil {
		return nil, fault.New(fault.Integrity, "the image's platforms do not belong to one lock: %w", err)
	}
	r.image.Lock = l
	slices.SortFunc(r.image.MountOnly, agent.ComparePlatforms)
	return r.image, nil
}

// merge makes one lock of those for its platforms: what [lock.Lock.ForPlatform]
// took apart.
func merge(locks []*lock.Lock) (*lock.Lock, error) {
	whole := &lock.Lock{SchemaVersion: lock.SchemaVersion, BotkubeVersion: locks[0].BotkubeVersion, Repositories: locks[0].Repositories}
	plugins := map[string]*lock.Plugin{}
	artifacts := map[string]lock.Artifact{}
	for _, l := range locks {
		if l.BotkubeVersion != whole.BotkubeVersion || !reflect.DeepEqual(l.Repositories, whole.Repositories) {
			return nil, fmt.Errorf("%v has another lock than %v", l.Platforms, whole.Platforms)
		}
		whole.Platforms = append(whole.Platforms, l.Platforms...)
		for _, p := range l.Plugins {
			key := fmt.Sprintf("%q %q %q %q", p.Repository, p.Type, p.Name, p.Version)
			if plugins[key] == nil {
				plugins[key] = &lock.Plugin{Repository: p.Repository, Type: p.Type, Name: p.Name, Version: p.Version, Templates: p.Templates}
			} else if !reflect.DeepEqual(plugins[key].Templates, p.Templates) {
				return nil, fmt.Errorf("plugin %s has different templates for two platforms", p.Key())
			}
			plugins[key].Builds = append(plugins[key].Builds, p.Builds...)
		}
		for _, a := range l.Artifacts {
			if other, found := artifacts[a.URL]; found && !reflect.DeepEqual(a, other) {
				return nil, fmt.Errorf("%s is pinned to two different contents", agent.Redact(a.URL))
			}
			artifacts[a.URL] = a
		}
	}
	for _, p := range plugins {
		whole.Plugins = append(whole.Plugins, *p)
	}
	for _, a := range artifacts {
		whole.Artifacts = append(whole.Artifacts, a)
	}
	whole.Sort()
	return whole, whole.Check()
}

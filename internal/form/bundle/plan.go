package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// Plan returns the contents of a lock's bundle, whose blobs a source has. Of
// those it reads the manifests of images and the chart only.
func Plan(ctx context.Context, l *lock.Lock, blobs blob.Source) (*Contents, error) {
	lockData, err := l.Marshal()
	if err != nil {
		return nil, err
	}
	if len(lockData) > lock.MaxSize {
		return nil, fault.New(fault.Usage, "the lock has %d bytes, but the maximum is %d", len(lockData), lock.MaxSize).
			WithHint("mirror fewer plugins or platforms: use --plugin, --exclude or --platform")
	}
	tag, err := l.Tag()
	if err != nil {
		return nil, err
	}
	c := &Contents{
		Lock: l, Tag: tag, blobs: blobs,
		made: map[lock.SHA256][]byte{lock.Sum(lockData): lockData},
	}
	for _, d := range manifestsOf(l, oci.BlobOf(lockData)) {
		if err := c.fill(ctx, &d); err != nil {
			return nil, fmt.Errorf("%s: %w", d, err)
		}
		c.Manifests = append(c.Manifests, d)
	}
	return c, c.complete()
}

// manifestsOf returns what manifests the bundle of a lock has, in their order: all that
// is known of them without reading more. A chart's configuration is not.
func manifestsOf(l *lock.Lock, locked lock.Blob) []Document {
	var all []Document
	files := layers(l)
	for _, p := range l.Platforms {
		d := Document{MediaType: manifestType, Member: MemberPlugins, Platform: &p, Blobs: []lock.Blob{locked}}
		for _, f := range files[p] {
			d.Blobs, d.titles = append(d.Blobs, f.Blob), append(d.titles, f.title)
		}
		all = append(all, d)
	}
	for _, im := range l.Images() {
		for _, m := range im.All() {
			d := Document{MediaType: m.MediaType, Member: imageMember(im.Role), Blobs: m.Blobs, image: &m}
			if m.Platform != (agent.Platform{}) {
				d.Platform = &m.Platform
			}
			all = append(all, d)
		}
	}
	if l.Chart != nil {
		all = append(all, Document{MediaType: manifestType, Member: MemberChart, Blobs: []lock.Blob{{}, l.Chart.Blob}})
	}
	return all
}

// fill sets the data of a manifest: it reads that of an image, and makes any other.
func (c *Contents) fill(ctx context.Context, d *Document) (err error) {
	switch {
	case d.image != nil:
		if d.Data, err = c.blobs.ReadAll(d.image.SHA256, oci.MaxDocument); err == nil {
			err = d.checkImage()
		}
	case d.Member == MemberChart:
		err = c.fillChart(ctx, d)
	default:
		m := v1.Manifest{
			SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: ArtifactType,
			Config: oci.Describe(LockType, d.Blobs[0]), Layers: []v1.Descriptor{},
		}
		for i, b := range d.Blobs[1:] {
			layer := oci.Describe(FileType, b)
			layer.Annotations = map[string]string{oci.TitleAnnotation: d.titles[i]}
			m.Layers = append(m.Layers, layer)
		}
		d.Data, err = oci.Encode(m)
	}
	return err
}

// layers returns the upstream files that each platform needs, in order.
func layers(l *lock.Lock) map[agent.Platform][]titled {
	var common []titled
	for _, r := range l.Repositories {
		common = append(common, titled{url: r.URL, Blob: r.Index})
	}
	for _, r := range l.Repositories {
		for _, s := range r.Schemas {
			common = append(common, titled{url: s.URL, Blob: s.Blob})
		}
	}
	common = firsts(common, titled.key)
	all := slices.Clone(common)
	for _, a := range l.Artifacts {
		all = append(all, titled{url: a.URL, tree: a.DirArchive, Blob: a.Blob})
	}
	nameAll(all)
	titles := map[string]string{}
	for _, f := range all {
		titles[f.key()] = f.title
	}
	byPlatform := map[agent.Platform][]titled{}
	for _, p := range l.Platforms {
		files := slices.Clone(common)
		for _, a := range l.ForPlatform(p).Artifacts {
			files = append(files, titled{url: a.URL, tree: a.DirArchive, Blob: a.Blob})
		}
		for i := range files {
			files[i].title = titles[files[i].key()]
		}
		byPlatform[p] = files
	}
	return byPlatform
}

// firsts returns the first element for each key, in order.
func firsts[T any, K comparable](all []T, key func(T) K) []T {
	seen := map[K]bool{}
	return slices.DeleteFunc(all, func(t T) bool {
		k := key(t)
		had := seen[k]
		seen[k] = true
		return had
	})
}

func (d Document) checkImage() error {
	if d.Blob() != d.image.Blob {
		return fault.New(fault.Integrity, "the manifest is %s, but the lock says %s", describe(d.Blob()), describe(d.image.Blob))
	}
	var m v1.Manifest
	if err := json.Unmarshal(d.Data, &m); err != nil {
		return fault.New(fault.Integrity, "the manifest sha256:%s cannot be read: %w", d.image.SHA256, textfile.JSONError(d.Data, err))
	}
	named, err := manifestBlobs(m)
	if err == nil && !slices.Equal(named, d.Blobs) {
		err = errors.New("its configuration or its layers are not those of the lock")
	}
	if err != nil {
		return fault.New(fault.Integrity, "the manifest sha256:%s: %w", d.image.SHA256, err)
	}
	return nil
}

func describe(b lock.Blob) string { return fmt.Sprintf("sha256:%s of %d bytes", b.SHA256, b.Size) }

// complete makes the image index of the manifests, and lists the blobs.
func (c *Contents) complete() error {
	ix := v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex, ArtifactType: ArtifactType, Manifests: []v1.Descriptor{},
	}
	if c.Lock.BotkubeVersion != "" {
		ix.Annotations = map[string]string{oci.VersionAnnotation: c.Lock.BotkubeVersion}
	}
	for _, m := range c.Manifests {
		d := oci.Describe(m.MediaType, m.Blob())
		if m.Member != MemberPlugins {
			d.Annotations = map[string]string{MemberAnnotation: m.Member}
		}
		d.Platform = indexPlatform(m.Platform)
		ix.Manifests = append(ix.Manifests, d)
	}
	data, err := oci.Encode(ix)
	if err != nil {
		return err
	}
	if n := len(c.Manifests); n > maxManifests || len(data) > oci.MaxDocument {
		return fault.New(fault.Usage, "the bundle's index has %d manifests in %d bytes, but the maximum is %d manifests in %d bytes", n, len(data), maxManifests, oci.MaxDocument)
	}
	c.Index = Document{MediaType: indexType, Data: data}
	return c.list()
}

// indexPlatform is what an index says of a manifest for a platform, nil for one that
// runs on none. That one has a platform too, the one that buildx gives to what is
// not to be run: hauler's store info crashes on a descriptor without one
// (hauler v2.0, cmd/hauler/cli/store/info.go), and no engine picks this one.
func indexPlatform(p *agent.Platform) *v1.Platform {
	if p == nil {
		return &v1.Platform{OS: "unknown", Architecture: "unknown"}
	}
	return &v1.Platform{OS: p.OS, Architecture: p.Arch}
}

// list notes the documents, and the blobs that the manifests name.
func (c *Contents) list() error {
	c.uses = sync.OnceValue(c.describe)
	c.made[lock.Sum(c.Index.Data)] = c.Index.Data
	sizes := map[lock.SHA256]int64{}
	for _, m := range c.Manifests {
		c.made[lock.Sum(m.Data)] = m.Data
		for _, b := range m.Blobs {
			size, had := sizes[b.SHA256]
			if had && size != b.Size {
				return fault.New(fault.Integrity, "the lock gives sha256:%s two sizes: %d and %d bytes", b.SHA256, size, b.Size)
			}
			if !had {
				sizes[b.SHA256] = b.Size
				c.Blobs = append(c.Blobs, b)
			}
		}
	}
	return nil
}

// order returns everything under blobs/ in the order in which it is written:
// what tells of the rest comes first, and what everybody needs.
func (c *Contents) order() []lock.Blob {
	ordered := []lock.Blob{c.Index.Blob()}
	for _, m := range c.Manifests {
		if m.Member == MemberPlugins {
			ordered = append(ordered, m.Blob())
		}
	}
	for _, m := range c.Manifests {
		if m.Member != MemberPlugins {
			ordered = append(ordered, m.Blob())
		}
		ordered = append(ordered, m.Blobs...)
	}
	return firsts(ordered, func(b lock.Blob) lock.SHA256 { return b.SHA256 })
}

func indexJSON(index lock.Blob, tag string) ([]byte, error) {
	return oci.IndexJSON(index, map[string]string{oci.RefNameAnnotation: tag})
}

func manifestBlobs(m v1.Manifest) ([]lock.Blob, error) {
	var blobs []lock.Blob
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		b, err := oci.Described(d, lock.MaxBlob)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, b)
	}
	return blobs, nil
}

// ImageIndex returns the document that gets the tag of an image. It is upstream's index if the
// bundle has all that this names, or else an index for the platforms of the bundle. It is of
// Docker's kind if its manifests are.
func (c *Contents) ImageIndex(role lock.ImageRole) (Document, error) {
	if upstream := c.Lock.Image(role).Index; upstream != nil {
		for _, m := range c.Manifests { // an image without an index
			if m.Member == imageMember(role) && m.Blob().SHA256 == upstream.SHA256 {
				return m, nil
			}
		}
		return Document{MediaType: upstream.MediaType, Data: upstream.Data, Member: imageMember(role)}, nil
	}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for _, m := range c.Manifests {
		if m.Member != imageMember(role) {
			continue
		}
		if m.MediaType == string(types.DockerManifestSchema2) {
			index.MediaType = types.DockerManifestList
		}
		d := oci.Describe(m.MediaType, m.Blob())
		d.Platform = indexPlatform(m.Platform)
		index.Manifests = append(index.Manifests, d)
	}
	data, err := oci.Encode(index)
	return Document{MediaType: string(index.MediaType), Data: data, Member: imageMember(role)}, err
}

package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// Read reads a bundle from its image index on, wherever it lies, and believes
// nothing in which index, manifests and lock do not agree.
// What the index holds that is no bundle is an [ErrNotBundle], with a hint.
//
// An index that names the image index of a bundle, beside other documents, is read
// as that bundle: crane push --index makes such a one of a layout.
//
// The result opens those documents only.
func Read(ctx context.Context, index []byte, from oci.Reader) (*Contents, error) {
	c, err := readIndex(ctx, index, from)
	if errors.Is(err, ErrNotBundle) {
		if inner, innerErr := readWithin(ctx, index, from); inner != nil || innerErr != nil {
			c, err = inner, innerErr
		}
	}
	return c, advise(err)
}

// maxWithin bounds the indexes that are looked at in another one.
const maxWithin = 32

// readWithin reads the one bundle whose image index another index names; nil if it
// names none.
func readWithin(ctx context.Context, index []byte, from oci.Reader) (*Contents, error) {
	probe, _ := oci.ProbeOf(index)
	indexes := slices.DeleteFunc(probe.Manifests, func(n oci.Named) bool { return n.Unusable != nil || !n.IsIndex() })
	var found *Contents
	var digests []string
	for _, n := range indexes[:min(len(indexes), maxWithin)] {
		data, err := oci.ReadManifest(ctx, from, n.Blob)
		if err != nil {
			return nil, fmt.Errorf("reading an index in it: %w", err)
		}
		c, err := readIndex(ctx, data, from)
		if err == nil {
			found, digests = c, append(digests, n.SHA256.OCI())
		} else if !errors.Is(err, ErrNotBundle) {
			return nil, err
		}
	}
	if len(digests) < 2 {
		return found, nil
	}
	slices.Sort(digests)
	return nil, fault.New(fault.Usage, "it holds %d bundles: %s", len(digests), strings.Join(digests, "; ")).
		WithHint("name one by its digest: write @%s in the place of the tag", digests[0])
}

func readIndex(ctx context.Context, index []byte, from oci.Reader) (*Contents, error) {
	r := &reading{ctx: ctx, from: from, contents: &Contents{
		Index: Document{MediaType: indexType, Data: index}, made: map[lock.SHA256][]byte{},
	}}
	if probe, _ := oci.ProbeOf(index); probe.ConfigType() == LockType {
		return r.readAlone(index)
	}
	if err := r.readIndex(); err != nil {
		return nil, err
	}
	if err := r.readManifests(); err != nil {
		return nil, err
	}
	c := r.contents
	var err error
	if c.Tag, err = c.Lock.Tag(); err != nil {
		return nil, err
	}
	if v, ok := r.index.Annotations[oci.VersionAnnotation]; ok && v != c.Lock.BotkubeVersion {
		return nil, fault.New(fault.Integrity, "the image index is for version %q, the lock for %q", oci.Clip(v), c.Lock.BotkubeVersion)
	}
	return c, c.list()
}

// readAlone reads a bundle that was copied without its index, as tools do that pick
// a platform: skopeo copy without --all, oras cp --platform. Where the lock is for
// that platform only, nothing is missing: the index follows from the lock.
func (r *reading) readAlone(manifest []byte) (*Contents, error) {
	c := r.contents
	// There is one manifest, which says whether the lock may be for more.
	r.index.Manifests, r.index.ArtifactType = make([]v1.Descriptor, maxManifests), ArtifactType
	if err := r.readLock(manifest); err != nil {
		return nil, err
	}
	if len(r.want) != 1 {
		return nil, r.onePart(manifest)
	}
	doc := Document{MediaType: manifestType, Data: manifest, Member: r.want[0].name, Platform: r.want[0].platform}
	var err error
	if doc.Blobs, err = r.want[0].check(doc, *r.lockSum); err != nil {
		return nil, fault.New(fault.Integrity, "%s does not match the lock: %w", r.want[0], err)
	}
	c.Manifests = []Document{doc}
	if c.Tag, err = c.Lock.Tag(); err != nil {
		return nil, err
	}
	c.alone = true
	return c, c.complete()
}

// onePart says which part of a bundle a manifest is.
func (r *reading) onePart(manifest []byte) error {
	what := "the plugins' manifest"
	for _, m := range r.want {
		if _, err := m.check(Document{MediaType: manifestType, Data: manifest}, *r.lockSum); m.name == MemberPlugins && err == nil {
			what = m.String()
			break
		}
	}
	var rest []string
	for _, m := range r.want {
		if m.String() != what {
			rest = append(rest, m.String())
		}
	}
	return fault.New(fault.Usage, "%w: it has %s, but not %s", ErrPart, what, strings.Join(rest, ", ")).WithHint("%s", wholeHint)
}

// reading is one run of [Read].
type reading struct {
	ctx      context.Context
	from     oci.Reader
	index    v1.IndexManifest
	contents *Contents
	// lockSum is the digest of the lock, once it is read.
	lockSum *lock.SHA256
	// want are the members that follow from the lock.
	want []member
}

// member is what the lock says that a manifest is.
type member struct {
	name     string
	platform *agent.Platform
	// layers are those of a plugin manifest or a chart's.
	layers []lock.Blob
	image  *lock.ImageManifest
}

func (m member) String() string {
	what := map[string]string{MemberPlugins: "the plugins' manifest", MemberAgentImage: "the agent image's manifest", MemberWatcherImage: "the watcher image's manifest", MemberChart: "the chart's manifest"}[m.name]
	if m.platform != nil {
		what += " for " + m.platform.String()
	}
	return what
}

// members returns what manifests a lock's bundle has, in their order.
func members(l *lock.Lock) []member {
	var all []member
	files := layers(l)
	for _, p := range l.Platforms {
		m := member{name: MemberPlugins, platform: &p}
		for _, f := range files[p] {
			m.layers = append(m.layers, f.Blob)
		}
		all = append(all, m)
	}
	for _, im := range l.Images() {
		for _, m := range im.Manifests {
			all = append(all, member{name: imageMember(im.Role), platform: &m.Platform, image: &m})
		}
	}
	if l.Chart != nil {
		all = append(all, member{name: MemberChart, layers: []lock.Blob{l.Chart.Blob}})
	}
	return all
}

// readIndex tells a bundle's index from other documents.
func (r *reading) readIndex() error {
	data := r.contents.Index.Data
	if len(data) > oci.MaxDocument {
		return fault.New(fault.Integrity, "the image index has %d bytes; at most %d are read", len(data), oci.MaxDocument)
	}
	// A document of another kind has other keys, so what it is comes first.
	probe, err := oci.ProbeOf(data)
	if err != nil {
		return fault.New(fault.Integrity, "the image index cannot be read: %w", err)
	}
	other := probe.MediaType != "" && probe.MediaType != indexType || len(probe.Manifests) == 0
	if other && (probe.ArtifactType != ArtifactType || probe.Config != nil) {
		if err := r.describeOther(data); err != nil {
			return err
		}
		if probe.MediaType == "" {
			return notBundle("it is a document of another kind")
		}
		return notBundle("it is a document of type %q", oci.Clip(probe.MediaType))
	}
	if err := oci.Decode(data, &r.index); err != nil {
		if probe.ArtifactType != ArtifactType {
			return notBundle("its index cannot be read: %w", err)
		}
		return fault.New(fault.Integrity, "the image index cannot be read: %w", err)
	}
	ix := r.index
	switch {
	case ix.ArtifactType != "" && ix.ArtifactType != ArtifactType:
		return notBundle("it is of type %q", oci.Clip(ix.ArtifactType))
	case ix.SchemaVersion != 2 || ix.MediaType != "" && string(ix.MediaType) != indexType:
		return fault.New(fault.Integrity, "the image index is of schema version %d and media type %q", ix.SchemaVersion, oci.Clip(string(ix.MediaType)))
	case len(ix.Manifests) == 0 || len(ix.Manifests) > maxManifests:
		return fault.New(fault.Integrity, "the image index names %d manifests", len(ix.Manifests))
	}
	return nil
}

// readManifests reads the manifests in the index's order. The first is one of
// the plugins', whose configuration is the lock, from which follows what the
// others must be.
func (r *reading) readManifests() error {
	for i, d := range r.index.Manifests {
		if r.lockSum != nil && i >= len(r.want) {
			return fault.New(fault.Integrity, "the image index names %d manifests, the lock only %d", len(r.index.Manifests), len(r.want)).
				WithHint("a tool added to the image index: copy the bundle again, unchanged")
		}
		what := fmt.Sprintf("manifest %d of the image index", i+1)
		if r.lockSum != nil {
			what = r.want[i].String()
		}
		doc, err := r.readManifest(d, what)
		if err != nil {
			return err
		}
		if r.lockSum == nil {
			if err := r.readLock(doc.Data); err != nil {
				return err
			}
			if err := r.checkMembers(); err != nil {
				return err
			}
		}
		want := r.want[i]
		if err := want.checkDescriptor(d); err != nil {
			e := fault.New(fault.Integrity, "what the image index says of %s: %w", want, err)
			if want.image != nil {
				return e.WithHint("was it copied with skopeo? Then copy it again with --all --preserve-digests")
			}
			return e
		}
		doc.Member, doc.Platform = want.name, want.platform
		if doc.Blobs, err = want.check(doc, *r.lockSum); err != nil {
			return fault.New(fault.Integrity, "%s does not match the lock: %w", want, err)
		}
		r.contents.Manifests = append(r.contents.Manifests, doc)
	}
	if have, want := len(r.index.Manifests), len(r.want); have < want {
		return fault.New(fault.Incomplete, "the image index lacks %s", r.want[have])
	}
	return nil
}

// checkMembers says which manifest an index lacks that was filtered by platforms.
func (r *reading) checkMembers() error {
	for _, m := range r.want {
		if len(r.index.Manifests) < len(r.want) && !slices.ContainsFunc(r.index.Manifests, m.isDescribed) {
			return fault.New(fault.Incomplete, "the image index lacks %s: it was copied for some platforms only", m).WithHint("%s", wholeHint)
		}
	}
	return nil
}

// readManifest reads what a descriptor of the index names.
func (r *reading) readManifest(d v1.Descriptor, what string) (Document, error) {
	b, err := oci.Described(d, oci.MaxBlob)
	if err != nil {
		return Document{}, fault.New(fault.Integrity, "%s: %w", what, err)
	}
	if !d.MediaType.IsImage() {
		if r.index.ArtifactType != ArtifactType {
			return Document{}, notBundle("its index names a document of type %q", oci.Clip(string(d.MediaType)))
		}
		return Document{}, fault.New(fault.Integrity, "%s is of media type %q", what, oci.Clip(string(d.MediaType)))
	}
	data, err := oci.ReadManifest(r.ctx, r.from, b)
	if err != nil {
		return Document{}, fmt.Errorf("reading %s: %w", what, err)
	}
	return Document{MediaType: string(d.MediaType), Data: data}, nil
}

// readLock reads the configuration of the first manifest.
func (r *reading) readLock(manifest []byte) error {
	m, err := r.lockedBy(manifest)
	if err != nil {
		return err
	}
	b, err := oci.Described(m.Config, oci.MaxBlob)
	if err != nil {
		return fault.New(fault.Integrity, "the first manifest: %w", err)
	}
	data, err := oci.ReadBlob(r.ctx, r.from, b, lock.MaxSize)
	if err != nil {
		return fmt.Errorf("reading the lock: %w", err)
	}
	l, err := lock.Parse(data)
	if err != nil {
		return fault.New(fault.Integrity, "the lock in it cannot be used: %w", err)
	}
	r.contents.Lock, r.lockSum, r.want = l, &b.SHA256, members(l)
	r.contents.made[b.SHA256] = data
	return nil
}

// lockedBy returns a manifest whose configuration is a lock.
func (r *reading) lockedBy(manifest []byte) (m v1.Manifest, err error) {
	if err := json.Unmarshal(manifest, &m); err != nil {
		return m, fault.New(fault.Integrity, "the first manifest cannot be read: %w", textfile.JSONError(manifest, err))
	}
	switch {
	case string(m.Config.MediaType) == LockType:
		return m, nil
	case r.index.ArtifactType != ArtifactType && m.ArtifactType != ArtifactType:
		return m, r.otherIndex(manifest, string(m.Config.MediaType))
	}
	return m, fault.New(fault.Integrity, "the configuration of the first manifest is of type %q, not a lock", oci.Clip(string(m.Config.MediaType)))
}

// otherIndex says what an index is whose first manifest is not that of a bundle.
func (r *reading) otherIndex(manifest []byte, configType string) error {
	if isOwn(r.index.Annotations) {
		return fault.New(fault.Usage, "%w", errOwnImage)
	}
	if err := r.describeOther(manifest); err != nil {
		return err
	}
	return notBundle("it holds an artifact with a configuration of type %q", oci.Clip(configType))
}

// checkDescriptor compares what the index says of a manifest.
func (m member) checkDescriptor(d v1.Descriptor) error {
	mediaType := manifestType
	if m.image != nil {
		mediaType = m.image.MediaType
		if b, err := oci.Described(d, oci.MaxBlob); err != nil || b != m.image.Blob {
			return errors.Join(err, fmt.Errorf("it is %s of %d bytes, not the lock's %s", d.Digest, d.Size, describe(m.image.Blob)))
		}
	}
	if string(d.MediaType) != mediaType {
		return fmt.Errorf("its media type is %q, not %q", oci.Clip(string(d.MediaType)), mediaType)
	}
	if name := memberOf(d); name != m.name {
		return fmt.Errorf("it is annotated as %q", oci.Clip(name))
	}
	if !m.isDescribed(d) {
		have := "none"
		if d.Platform != nil {
			have = d.Platform.String()
		}
		return fmt.Errorf("its platform is %q", oci.Clip(have))
	}
	return nil
}

// memberOf returns which member of a bundle a descriptor in the index is of.
func memberOf(d v1.Descriptor) string {
	if name := d.Annotations[MemberAnnotation]; name != "" {
		return name
	}
	return MemberPlugins
}

// isDescribed reports whether a descriptor has the member's name and platform.
func (m member) isDescribed(d v1.Descriptor) bool {
	return memberOf(d) == m.name && d.Platform != nil && d.Platform.Equals(*indexPlatform(m.platform))
}

// check compares a manifest with the lock, and returns what it names.
func (m member) check(doc Document, lockSum lock.SHA256) ([]lock.Blob, error) {
	if m.image != nil {
		return m.image.Blobs, doc.checkImage(*m.image)
	}
	var have v1.Manifest
	if err := oci.Decode(doc.Data, &have); err != nil {
		return nil, err
	}
	blobs, err := manifestBlobs(have)
	if err != nil {
		return nil, err
	}
	artifactType, configType, layerType := ArtifactType, LockType, FileType
	if m.name == MemberChart {
		artifactType, configType, layerType = "", ChartConfigType, ChartType
	}
	wrongType := func(d v1.Descriptor) bool { return string(d.MediaType) != layerType }
	switch {
	case have.SchemaVersion != 2 || have.MediaType != "" && string(have.MediaType) != manifestType:
		return nil, fmt.Errorf("it is of schema version %d and media type %q", have.SchemaVersion, oci.Clip(string(have.MediaType)))
	case have.ArtifactType != artifactType || string(have.Config.MediaType) != configType || slices.ContainsFunc(have.Layers, wrongType):
		return nil, errors.New("it, its configuration or a layer is of another type")
	case m.name == MemberPlugins && blobs[0].SHA256 != lockSum:
		return nil, fmt.Errorf("its lock is sha256:%s, that of the first sha256:%s", blobs[0].SHA256, lockSum)
	case !slices.Equal(blobs[1:], m.layers):
		return nil, differentLayers(blobs[1:], m.layers)
	}
	return blobs, nil
}

// differentLayers says which layers a manifest has too many, too few or
// elsewhere.
func differentLayers(have, want []lock.Blob) error {
	count := map[lock.Blob]int{}
	for _, b := range have {
		count[b]++
	}
	for _, b := range want {
		if count[b]--; count[b] < 0 {
			return fmt.Errorf("it does not name %s", describe(b))
		}
	}
	maps.DeleteFunc(count, func(_ lock.Blob, n int) bool { return n == 0 })
	for _, b := range have {
		if count[b] > 0 {
			return fmt.Errorf("it names %s, which the lock does not", describe(b))
		}
	}
	return errors.New("its layers are in another order")
}

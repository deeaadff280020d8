package bundle

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

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
			return nil, fmt.Errorf("an index inside the image index: %w", err)
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
	return nil, fault.New(fault.Usage, "the image index lists %d bundles: %s", len(digests), strings.Join(digests, "; ")).
		WithHint("name one of them by its digest: write @%s instead of the tag", digests[0])
}

func readIndex(ctx context.Context, index []byte, from oci.Reader) (*Contents, error) {
	c := &Contents{Index: Document{MediaType: indexType, Data: index}, made: map[lock.SHA256][]byte{}}
	r := &reading{ctx: ctx, from: from, contents: c}
	if probe, _ := oci.ProbeOf(index); probe.ConfigType() == LockType {
		return c, r.readAlone(index)
	}
	if err := r.readIndex(); err != nil {
		return nil, err
	}
	if err := r.readManifests(); err != nil {
		return nil, err
	}
	if v, ok := r.index.Annotations[oci.VersionAnnotation]; ok && v != c.Lock.BotkubeVersion {
		return nil, fault.New(fault.Integrity, "the image index is for version %q, but the lock is for %q", oci.Clip(v), c.Lock.BotkubeVersion)
	}
	return c, c.list()
}

// readAlone reads a bundle that was copied without its index, as tools do that pick a platform:
// skopeo copy without --all, oras cp --platform. If the lock is for that platform only, nothing is
// missing: the index follows from the lock.
func (r *reading) readAlone(manifest []byte) error {
	if err := r.readLock(manifest); err != nil {
		return err
	}
	doc := Document{MediaType: manifestType, Data: manifest}
	if len(r.want) != 1 {
		return r.onePart(doc)
	}
	doc, err := r.want[0].confirm(doc)
	if err != nil {
		return err
	}
	r.contents.Manifests, r.contents.alone = []Document{doc}, true
	return r.contents.complete()
}

func (r *reading) onePart(manifest Document) error {
	what := "the manifest of the plugins"
	var rest []string
	for _, want := range r.want {
		if _, err := want.confirm(manifest); want.Member == MemberPlugins && err == nil {
			what = want.String()
		} else {
			rest = append(rest, want.String())
		}
	}
	return fault.New(fault.Usage, "%w: it has %s, but lacks %s", ErrPart, what, strings.Join(rest, ", ")).WithHint("%s", wholeHint)
}

type reading struct {
	ctx      context.Context
	from     oci.Reader
	index    v1.IndexManifest
	contents *Contents
	// want are the manifests that follow from the lock, without their data. It is nil until
	// the lock was read.
	want []Document
}

// readIndex tells a bundle's index from other documents.
func (r *reading) readIndex() error {
	data := r.contents.Index.Data
	if len(data) > oci.MaxDocument {
		return fault.New(fault.Integrity, "the image index has %d bytes, but the maximum is %d", len(data), oci.MaxDocument)
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
			return notBundle("it is a document of unknown type")
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
		return fault.New(fault.Integrity, "the image index has the wrong schema version %d or media type %q", ix.SchemaVersion, oci.Clip(string(ix.MediaType)))
	case len(ix.Manifests) == 0 || len(ix.Manifests) > maxManifests:
		return fault.New(fault.Integrity, "the image index lists %d manifests, but must list 1 to %d", len(ix.Manifests), maxManifests)
	}
	return nil
}

// readManifests reads the manifests in the index's order. The first is one of
// the plugins', whose configuration is the lock, from which follows what the
// others must be.
func (r *reading) readManifests() error {
	named := r.index.Manifests
	doc, err := r.readManifest(named[0], "manifest 1 of the image index")
	if err != nil {
		return err
	}
	if err := r.readLock(doc.Data); err != nil {
		return err
	}
	if err := r.checkMembers(); err != nil {
		return err
	}
	for i, want := range r.want {
		if i > 0 {
			if doc, err = r.readManifest(named[i], want.String()); err != nil {
				return err
			}
		}
		if err := want.checkDescriptor(named[i]); err != nil {
			e := fault.New(fault.Integrity, "the image index is wrong about %s: %w", want, err)
			if want.image != nil {
				return e.WithHint("if you copied the bundle with skopeo, copy it again with --all --preserve-digests")
			}
			return e
		}
		if doc, err = want.confirm(doc); err != nil {
			return err
		}
		r.contents.Manifests = append(r.contents.Manifests, doc)
	}
	return nil
}

// checkMembers compares how many manifests the index names with the lock.
func (r *reading) checkMembers() error {
	have, want := len(r.index.Manifests), len(r.want)
	if have > want {
		return fault.New(fault.Integrity, "the image index lists %d manifests, but the lock only %d", have, want).
			WithHint("copy the bundle again with a tool that does not add to its image index")
	}
	for _, d := range r.want {
		if have < want && !slices.ContainsFunc(r.index.Manifests, d.isDescribed) {
			return fault.New(fault.Incomplete, "the image index lacks %s: the bundle was copied for some platforms only", d).WithHint("%s", wholeHint)
		}
	}
	return nil
}

func (r *reading) readManifest(d v1.Descriptor, what string) (Document, error) {
	b, err := oci.Described(d, lock.MaxBlob)
	if err != nil {
		return Document{}, fault.New(fault.Integrity, "%s: %w", what, err)
	}
	if !d.MediaType.IsImage() {
		if r.index.ArtifactType != ArtifactType {
			return Document{}, notBundle("its index lists a document of type %q", oci.Clip(string(d.MediaType)))
		}
		return Document{}, fault.New(fault.Integrity, "%s has media type %q, which is not that of a manifest", what, oci.Clip(string(d.MediaType)))
	}
	data, err := oci.ReadManifest(r.ctx, r.from, b)
	if err != nil {
		return Document{}, fmt.Errorf("%s: %w", what, err)
	}
	return Document{MediaType: string(d.MediaType), Data: data}, nil
}

func (r *reading) readLock(manifest []byte) error {
	m, err := r.lockedBy(manifest)
	if err != nil {
		return err
	}
	b, err := oci.Described(m.Config, lock.MaxBlob)
	if err != nil {
		return fault.New(fault.Integrity, "the first manifest: %w", err)
	}
	data, err := oci.ReadBlob(r.ctx, r.from, b, lock.MaxSize)
	if err != nil {
		return fmt.Errorf("the lock: %w", err)
	}
	l, err := lock.Parse(data)
	if err != nil {
		return fault.New(fault.Integrity, "%w", err)
	}
	r.contents.Lock, r.want = l, manifestsOf(l, b)
	r.contents.made[b.SHA256] = data
	r.contents.Tag, err = l.Tag()
	return err
}

// lockedBy returns a manifest whose configuration is a lock.
func (r *reading) lockedBy(manifest []byte) (m v1.Manifest, err error) {
	if err := json.Unmarshal(manifest, &m); err != nil {
		return m, fault.New(fault.Integrity, "the first manifest cannot be read: %w", textfile.JSONError(manifest, err))
	}
	configType := string(m.Config.MediaType)
	switch {
	case configType == LockType:
		return m, nil
	case r.index.ArtifactType == ArtifactType || m.ArtifactType == ArtifactType:
		return m, fault.New(fault.Integrity, "the configuration of the first manifest has type %q, which is not that of a lock", oci.Clip(configType))
	case isOwn(r.index.Annotations):
		return m, fault.New(fault.Usage, "%w", errOwnImage)
	}
	if err := r.describeOther(manifest); err != nil {
		return m, err
	}
	return m, notBundle("it has an artifact with a configuration of type %q", oci.Clip(configType))
}

// checkDescriptor compares what the index says of a manifest.
func (d Document) checkDescriptor(said v1.Descriptor) error {
	if d.image != nil {
		if b, err := oci.Described(said, lock.MaxBlob); err != nil || b != d.image.Blob {
			return errors.Join(err, fmt.Errorf("it says %s of %d bytes, but the lock says %s", said.Digest, said.Size, describe(d.image.Blob)))
		}
	}
	switch {
	case string(said.MediaType) != d.MediaType:
		return fmt.Errorf("its media type is %q, but should be %q", oci.Clip(string(said.MediaType)), d.MediaType)
	case memberOf(said) != d.Member:
		return fmt.Errorf("its member annotation is %q", oci.Clip(memberOf(said)))
	case said.Platform == nil:
		return errors.New("it has no platform")
	case !d.isDescribed(said):
		return fmt.Errorf("its platform is %q", oci.Clip(said.Platform.String()))
	}
	return nil
}

func memberOf(d v1.Descriptor) string {
	return cmp.Or(d.Annotations[MemberAnnotation], MemberPlugins)
}

func (d Document) isDescribed(said v1.Descriptor) bool {
	return memberOf(said) == d.Member && said.Platform != nil && said.Platform.Equals(*indexPlatform(d.Platform))
}

// confirm compares a manifest that was read with the one that the lock wants, and
// returns that with its data.
func (d Document) confirm(read Document) (Document, error) {
	d.Data = read.Data
	var err error
	if d.image != nil {
		err = d.checkImage()
	} else {
		err = d.checkManifest()
	}
	if err != nil {
		return d, fault.New(fault.Integrity, "%s does not match the lock: %w", d, err)
	}
	return d, nil
}

// checkManifest compares the data of a manifest that is made here with its blobs, and
// notes a chart's configuration.
func (d *Document) checkManifest() error {
	var have v1.Manifest
	if err := oci.Decode(d.Data, &have); err != nil {
		return err
	}
	blobs, err := manifestBlobs(have)
	if err != nil {
		return err
	}
	artifactType, configType, layerType := ArtifactType, LockType, FileType
	if d.Member == MemberChart {
		artifactType, configType, layerType = "", ChartConfigType, ChartType
		d.Blobs = append(blobs[:1:1], d.Blobs[1:]...)
	}
	wrongType := func(l v1.Descriptor) bool { return string(l.MediaType) != layerType }
	switch {
	case have.SchemaVersion != 2 || have.MediaType != "" && string(have.MediaType) != manifestType:
		return fmt.Errorf("its schema version %d or media type %q is wrong", have.SchemaVersion, oci.Clip(string(have.MediaType)))
	case have.ArtifactType != artifactType || string(have.Config.MediaType) != configType || slices.ContainsFunc(have.Layers, wrongType):
		return errors.New("the media type of the manifest, its configuration or a layer is wrong")
	case blobs[0] != d.Blobs[0]:
		return fmt.Errorf("its lock is %s, but that of the first manifest is %s", describe(blobs[0]), describe(d.Blobs[0]))
	case !slices.Equal(blobs, d.Blobs):
		return differentLayers(blobs[1:], d.Blobs[1:])
	}
	return nil
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
			return fmt.Errorf("it does not list %s", describe(b))
		}
	}
	maps.DeleteFunc(count, func(_ lock.Blob, n int) bool { return n == 0 })
	for _, b := range have {
		if count[b] > 0 {
			return fmt.Errorf("it lists %s, which is not in the lock", describe(b))
		}
	}
	return errors.New("its layers are in another order")
}

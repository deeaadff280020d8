package image

import (
	"maps"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// Annotations and labels. Those of an image are annotations of its index and its
// manifests, and labels of its configurations.
const (
	// mountKey is where the directory is, and must be mounted.
	mountKey = "io.botkube.mirror.mount"
	// contentKey says of a layer what it holds.
	contentKey = "io.botkube.mirror.content"
	// documentsKey is a label only: which layer has the documents, by its diff
	// ID. Annotations are lost when an engine loads an image and pushes it.
	documentsKey = "io.botkube.mirror.documents"

	title = "Botkube plugins"
)

func (b *build) annotations() map[string]string {
	a := map[string]string{oci.TitleAnnotation: title, mountKey: b.options.Mount}
	if b.lock.BotkubeVersion != "" {
		a[oci.VersionAnnotation] = b.lock.BotkubeVersion
	}
	return a
}

// imageState is what an image for one platform is made of so far.
type imageState struct {
	layers  []v1.Descriptor
	diffIDs []v1.Hash
	history []string
	// documents is the diff ID of the layer with the documents.
	documents v1.Hash
	made      map[string]lock.Blob
	size      int64
}

func (im *imageState) add(j job, l *layer) {
	d := oci.Describe(types.OCILayer, l.Blob)
	d.Annotations = map[string]string{contentKey: string(j.content)}
	im.layers = append(im.layers, d)
	im.diffIDs = append(im.diffIDs, oci.HashOf(l.diffID))
	im.history = append(im.history, j.what)
	im.size += l.Size
	if j.content == contentDocuments {
		im.documents = oci.HashOf(l.diffID)
	}
	if im.made == nil {
		im.made = map[string]lock.Blob{}
	}
	maps.Copy(im.made, l.made)
}

func (b *build) config(p agent.Platform) ([]byte, error) {
	created := v1.Time{Time: b.options.ModTime}
	c := v1.ConfigFile{
		Architecture: p.Arch, OS: p.OS, Created: created,
		RootFS: v1.RootFS{Type: "layers", DiffIDs: b.current.diffIDs},
		Config: v1.Config{Labels: b.annotations()},
	}
	c.Config.Labels[documentsKey] = b.current.documents.String()
	if b.seeders[p] != "" {
		c.Config.Entrypoint = []string{seederPath}
	}
	for _, what := range b.current.history {
		c.History = append(c.History, v1.History{Created: created, CreatedBy: "botkube-mirror", Comment: what})
	}
	return oci.Encode(c)
}

package bundle

import (
	"context"
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// imageMember returns which member of a bundle an image is.
func imageMember(role lock.ImageRole) string {
	if role == lock.RoleWatcher {
		return MemberWatcherImage
	}
	return MemberAgentImage
}

// ImageRole returns which image a manifest is of; false where it is of none.
func (d Document) ImageRole() (lock.ImageRole, bool) {
	switch d.Member {
	case MemberAgentImage:
		return lock.RoleAgent, true
	case MemberWatcherImage:
		return lock.RoleWatcher, true
	}
	return "", false
}

// ImageIndex returns the index of an image, for the platforms that the bundle has: a
// bundle has no index of its own for it, and upstream's may name more. It is Docker's
// kind if its manifests are.
func (c *Contents) ImageIndex(role lock.ImageRole) (Document, error) {
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	var doc Document
	for _, m := range c.Manifests {
		if m.Member != imageMember(role) {
			continue
		}
		if m.MediaType == string(types.DockerManifestSchema2) {
			index.MediaType = types.DockerManifestList
		}
		b := m.Blob()
		index.Manifests = append(index.Manifests, v1.Descriptor{
			MediaType: types.MediaType(m.MediaType), Size: b.Size,
			Digest:   v1.Hash{Algorithm: "sha256", Hex: b.SHA256.String()},
			Platform: &v1.Platform{OS: m.Platform.OS, Architecture: m.Platform.Arch},
		})
	}
	data, err := json.Marshal(index)
	doc.MediaType, doc.Data, doc.Member = string(index.MediaType), data, imageMember(role)
	return doc, err
}

// Verify compares a blob with its digest, unless it was made here.
func (c *Contents) Verify(ctx context.Context, d lock.SHA256) error {
	if _, ok := c.made[d]; ok {
		return nil
	}
	return c.blobs.Verify(ctx, d)
}

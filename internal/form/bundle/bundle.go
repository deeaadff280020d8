// Package bundle writes and reads bundles. A bundle is an OCI image layout, in a directory or a tar
// file, with a lock and the lock's upstream files byte for byte.
//
//	oci-layout, index.json     one descriptor, tagged with the Botkube version
//	blobs/sha256/HEX           an image index; a manifest for each platform, whose
//	                           configuration is the lock and whose layers are the
//	                           upstream files; what the other members are made of
//
// The image index is flat: plugin manifests, then the agent's image as its
// registry has it (and the watcher's, of charts that have one), then the Helm
// chart as Helm would push it. Skopeo reads no index within an index. Nor do the descriptors in the index carry an
// artifactType: skopeo 1.9 drops it from them, and then fails to preserve the
// digest of the index (containers/image, manifest/oci_index.go,
// OCI1IndexFromComponents).
package bundle

import (
	"context"
	"errors"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// Media types and artifact types in a bundle.
const (
	// ArtifactType is that of the image index and of the plugin manifests.
	ArtifactType = "application/vnd.botkube.mirror.plugins.v1"
	// LockType is the media type of the lock, the plugin manifests' configuration.
	LockType = "application/vnd.botkube.mirror.lock.v1+json"
	// FileType is the media type of an upstream file.
	FileType = "application/octet-stream"
	// ChartConfigType and ChartType are what Helm calls the parts of a chart
	// (helm.sh/helm/v3, pkg/registry/constants.go).
	ChartConfigType = "application/vnd.cncf.helm.config.v1+json"
	ChartType       = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

	indexType    = string(types.OCIImageIndex)
	manifestType = string(types.OCIManifestSchema1)
)

// MemberAnnotation is the annotation in the image index of a manifest that is not a plugins'
// manifest. Its value is the member.
const MemberAnnotation = "io.botkube.mirror.member"

// maxManifests bounds those that are read: far more than there are platforms.
const maxManifests = 1000

// The members of a bundle.
const (
	MemberPlugins    = "plugins"
	MemberAgentImage = "agent-image"
	// MemberWatcherImage is the second container's, of charts v1.0.0 to v1.4.1.
	MemberWatcherImage = "watcher-image"
	MemberChart        = "chart"

	imageSuffix = "-image"
)

// ErrNotBundle is the error of something that is not damaged, but not a bundle: an ordinary image,
// a compressed file, an empty layout.
var ErrNotBundle = errors.New("not a bundle of botkube-mirror")

// Document is an index or a manifest.
type Document struct {
	MediaType string
	Data      []byte
	// Member is one of those above; empty for the image index.
	Member string
	// Platform is nil for the image index and the chart.
	Platform *agent.Platform
	// Blobs are the configuration and the layers of a manifest, in its order.
	// One may stand twice.
	Blobs []lock.Blob
	// image is what the lock says of an image's manifest.
	image *lock.ImageManifest
	// titles are those of the plugins' layers.
	titles []string
}

// Blob returns the size and digest of the document.
func (d Document) Blob() lock.Blob { return oci.BlobOf(d.Data) }

func imageMember(role lock.ImageRole) string { return string(role) + imageSuffix }

// ImageRole returns which image a manifest is of; false where it is of none.
func (d Document) ImageRole() (lock.ImageRole, bool) {
	role, is := strings.CutSuffix(d.Member, imageSuffix)
	return lock.ImageRole(role), is
}

// what names the document in messages, without its platform.
func (d Document) what() string {
	role, isImage := d.ImageRole()
	switch {
	case isImage:
		return "the manifest of " + role.What()
	case d.Member == "":
		return "the image index"
	}
	return "the manifest of the " + d.Member
}

func (d Document) String() string {
	if d.Platform == nil {
		return d.what()
	}
	return d.what() + " for " + d.Platform.String()
}

// Contents is the content of a bundle: its documents and the list of its blobs. It may be used
// concurrently.
type Contents struct {
	Lock *lock.Lock
	// Tag is that of the image index.
	Tag   string
	Index Document
	// Manifests are those that the image index names, in its order.
	Manifests []Document
	// Blobs are what the manifests name, each once: the lock, upstream files,
	// and the parts of the other members.
	Blobs []lock.Blob

	// alone says that the manifest was read without an index, which was made here.
	alone bool
	// made has what was generated, or read already, by digest.
	made  map[lock.SHA256][]byte
	blobs blob.Source
	// uses says what the blobs are.
	uses func() map[lock.SHA256]use
}

// Open opens a blob, the index or a manifest to read.
func (c *Contents) Open(d lock.SHA256) (blob.File, error) {
	if data, ok := c.made[d]; ok {
		return blob.InMemory(data), nil
	}
	return c.blobs.Open(d)
}

// Verify compares a blob with its digest, unless it was made here.
func (c *Contents) Verify(ctx context.Context, d lock.SHA256) error {
	if _, ok := c.made[d]; ok {
		return nil
	}
	return c.blobs.Verify(ctx, d)
}

// explain says what to do about errors of the file system.
func explain(err error) error {
	return oci.ExplainWriting(err, "write to another disk, or write a directory with smaller files (-o oci:DIR)")
}

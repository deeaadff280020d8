package lock

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// ImageRole says what an image is used for.
type ImageRole string

// The roles, in the order in which a bundle has their images.
const (
	// RoleAgent is the image of the agent.
	RoleAgent ImageRole = "agent"
	// RoleWatcher is the image of cfg-watcher, the second container of charts v1.0.0 to v1.4.1.
	RoleWatcher ImageRole = "watcher"
)

var imageRoles = []ImageRole{RoleAgent, RoleWatcher}

// What returns the name of the image for messages.
func (r ImageRole) What() string { return "the " + string(r) + " image" }

// PinnedImage is an image of a lock, with its role.
type PinnedImage struct {
	Role ImageRole
	*Image
}

// Images returns the images that the lock pins, in the order of their roles.
func (l *Lock) Images() []PinnedImage {
	var all []PinnedImage
	for _, role := range imageRoles {
		if im := l.Image(role); im != nil {
			all = append(all, PinnedImage{role, im})
		}
	}
	return all
}

// Image returns the image with a role, or nil.
func (l *Lock) Image(role ImageRole) *Image { return *l.image(role) }

// SetImage sets the image with a role. nil removes it.
func (l *Lock) SetImage(role ImageRole, im *Image) { *l.image(role) = im }

func (l *Lock) image(role ImageRole) **Image {
	if role == RoleWatcher {
		return &l.WatcherImage
	}
	return &l.AgentImage
}

// forPlatforms returns the image for some of its platforms only, or nil if it has none of them.
func (im *Image) forPlatforms(platforms []agent.Platform) *Image {
	part := *im
	part.Manifests = slices.DeleteFunc(slices.Clone(im.Manifests), func(m ImageManifest) bool { return !slices.Contains(platforms, m.Platform) })
	if len(part.Manifests) == 0 {
		return nil
	}
	if len(part.Manifests) < len(im.Manifests) {
		part.Index = nil
	}
	return &part
}

// All returns the manifests for the platforms of the lock, and the other manifests of the index.
func (im *Image) All() []ImageManifest {
	if im.Index == nil {
		return im.Manifests
	}
	return slices.Concat(im.Manifests, im.Index.Others)
}

// digest returns the digest of the index, or "" if ix is nil.
func (ix *ImageIndex) digest() string {
	if ix == nil {
		return ""
	}
	return ix.SHA256.OCI()
}

func (im *Image) platforms() []agent.Platform {
	var all []agent.Platform
	for _, m := range im.Manifests {
		all = append(all, m.Platform)
	}
	slices.SortFunc(all, agent.ComparePlatforms)
	return all
}

// manifestTypes are the media types of manifests of an image for one platform.
var manifestTypes = []string{
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json",
}

// ForOthers reports whether the index has images for platforms that the mirror does not have.
func (ix *ImageIndex) ForOthers() bool {
	var document struct {
		Manifests []struct {
			Digest   string `json:"digest"`
			Platform struct {
				OS string `json:"os"`
			} `json:"platform"`
		} `json:"manifests"`
	}
	_ = json.Unmarshal(ix.Data, &document) // [Lock.Check] has read it
	for _, d := range document.Manifests {
		other := slices.ContainsFunc(ix.Others, func(m ImageManifest) bool { return m.SHA256.OCI() == d.Digest })
		if other && d.Platform.OS != "" && d.Platform.OS != "unknown" {
			return true
		}
	}
	return false
}

// MaxImageIndex is the largest image index in a lock, in bytes. MaxIndexed is how many manifests it
// may list. An index for ten platforms with attestations has about ten kilobytes.
const (
	MaxImageIndex = 256 << 10
	MaxIndexed    = 200
)

var indexTypes = []string{
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
}

// IsIndex reports whether a media type is one of an image index.
func IsIndex(mediaType string) bool { return slices.Contains(indexTypes, mediaType) }

// IsManifest reports whether a media type is one of a manifest of an image for one platform.
func IsManifest(mediaType string) bool { return slices.Contains(manifestTypes, mediaType) }

// checkImages checks the images of the lock.
func (c *checking) checkImages(l *Lock) {
	before := len(c.problems)
	for _, im := range l.Images() {
		c.about = im.Role.What() + ": "
		c.checkImage(im)
	}
	c.about = ""
	if l.WatcherImage == nil || len(c.problems) > before {
		return
	}
	// Both run in the same pod.
	if l.AgentImage == nil || !slices.Equal(l.AgentImage.platforms(), l.WatcherImage.platforms()) {
		c.report("the watcher image and the agent image are for different platforms")
	}
}

func (c *checking) checkImage(im PinnedImage) {
	if im.Reference == "" || len(im.Manifests) == 0 {
		c.report("it has no reference or no manifests")
	}
	if len(im.Reference) > maxReference || strings.ContainsFunc(im.Reference, func(r rune) bool { return r <= ' ' || r > '~' }) {
		c.report("%.100q is not a reference", agent.Redact(im.Reference))
	}
	seen := map[agent.Platform]bool{}
	for _, m := range im.Manifests {
		if twice(seen, m.Platform) || !c.platforms[m.Platform] {
			c.report("platform %.100q is listed twice, or is not a platform of the lock", m.Platform)
		}
	}
	if im.Index != nil {
		c.note(im.checkIndex())
	}
	for _, m := range im.All() {
		if !IsManifest(m.MediaType) {
			c.report("%.100q is not the media type of an image manifest", m.MediaType)
		}
		for _, b := range append([]Blob{m.Blob}, m.Blobs...) {
			if b.Size <= 0 || b.Size > MaxBlob {
				c.report("the size of %s is not valid", b.SHA256.OCI())
			}
		}
	}
}

// checkIndex compares the index with its digest, and its list with the manifests of the lock.
func (im *Image) checkIndex() error {
	ix := im.Index
	switch {
	case IsManifest(ix.MediaType):
		if len(im.All()) != 1 || im.Manifests[0].SHA256 != ix.SHA256 || len(ix.Data) > 0 {
			return errors.New("it must have exactly the one manifest of its index")
		}
		return nil
	case !IsIndex(ix.MediaType):
		return fmt.Errorf("%.100q is not the media type of an image index", ix.MediaType)
	case len(ix.Data) > MaxImageIndex:
		return fmt.Errorf("its index has %d bytes; the limit is %d", len(ix.Data), MaxImageIndex)
	case Sum(ix.Data) != ix.SHA256:
		return fmt.Errorf("its index has the digest %s, not %s", Sum(ix.Data).OCI(), ix.SHA256.OCI())
	}
	var document struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
	}
	if err := json.Unmarshal(ix.Data, &document); err != nil {
		return fmt.Errorf("its index cannot be read: %w", textfile.JSONError(ix.Data, err))
	}
	all := im.All()
	if len(all) > MaxIndexed || len(document.Manifests) > MaxIndexed {
		return fmt.Errorf("its index has %d manifests; the limit is %d", max(len(all), len(document.Manifests)), MaxIndexed)
	}
	named, pinned := map[string]bool{}, map[string]bool{}
	for _, d := range document.Manifests {
		named[d.Digest] = true
	}
	for i, m := range all {
		if i >= len(im.Manifests) && (m.Platform != agent.Platform{} || pinned[m.SHA256.OCI()]) {
			return fmt.Errorf("in its index, the other manifest %s is listed twice or has the platform %q", m.SHA256.OCI(), m.Platform)
		}
		pinned[m.SHA256.OCI()] = true
	}
	if !maps.Equal(named, pinned) {
		return errors.New("its index and the lock have different manifests")
	}
	return nil
}

// Subject returns the subject of differences between two images with the role.
func (r ImageRole) Subject() Subject { return Subject(r + "Image") }

// ImageBlob is the configuration or a layer of an image.
type ImageBlob struct {
	Role ImageRole
	Blob
}

// ImageBlobs returns the configurations and layers of all images, each once.
func (l *Lock) ImageBlobs() []ImageBlob {
	var blobs []ImageBlob
	seen := map[SHA256]bool{}
	for _, im := range l.Images() {
		for _, m := range im.All() {
			for _, b := range m.Blobs {
				if !seen[b.SHA256] {
					blobs = append(blobs, ImageBlob{im.Role, b})
				}
				seen[b.SHA256] = true
			}
		}
	}
	return blobs
}

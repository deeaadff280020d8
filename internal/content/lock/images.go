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

// ImageRole is what an image is for.
type ImageRole string

// The roles, in the order in which a bundle has their images.
const (
	// RoleAgent is the agent itself.
	RoleAgent ImageRole = "agent"
	// RoleWatcher is the second container of charts v1.0.0 to v1.4.1, cfg-watcher.
	RoleWatcher ImageRole = "watcher"
)

var imageRoles = []ImageRole{RoleAgent, RoleWatcher}

// What names the image in messages.
func (r ImageRole) What() string { return "the " + string(r) + " image" }

// PinnedImage is an image of a lock.
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

// Image returns the image of a role, or nil.
func (l *Lock) Image(role ImageRole) *Image { return *l.image(role) }

// SetImage pins an image, or none.
func (l *Lock) SetImage(role ImageRole, im *Image) { *l.image(role) = im }

func (l *Lock) image(role ImageRole) **Image {
	if role == RoleWatcher {
		return &l.WatcherImage
	}
	return &l.AgentImage
}

// forPlatforms returns the part of an image that is for platforms; nil if there is none.
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

// All returns the manifests for platforms, and those that the index names beside them.
func (im *Image) All() []ImageManifest {
	if im.Index == nil {
		return im.Manifests
	}
	return slices.Concat(im.Manifests, im.Index.Others)
}

// digest returns that of the index, or "".
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

// ForOthers reports whether the index names images for platforms that the mirror does not have.
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

// MaxImageIndex bounds, in bytes, an index of an image that a lock holds. MaxIndexed bounds the
// manifests that it names. Those of images for ten platforms, with attestations, have ten
// kilobytes.
const (
	MaxImageIndex = 256 << 10
	MaxIndexed    = 200
)

var indexTypes = []string{
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
}

// IsIndex reports whether a media type is that of an index of images.
func IsIndex(mediaType string) bool { return slices.Contains(indexTypes, mediaType) }

// IsManifest reports whether a media type is that of an image for one platform.
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
	// They run in one pod.
	if l.AgentImage == nil || !slices.Equal(l.AgentImage.platforms(), l.WatcherImage.platforms()) {
		c.report("the watcher image is for other platforms than the agent image")
	}
}

func (c *checking) checkImage(im PinnedImage) {
	if im.Reference == "" || len(im.Manifests) == 0 {
		c.report("it has no reference or no manifest")
	}
	if len(im.Reference) > maxReference || strings.ContainsFunc(im.Reference, func(r rune) bool { return r <= ' ' || r > '~' }) {
		c.report("%.100q is not a reference", agent.Redact(im.Reference))
	}
	seen := map[agent.Platform]bool{}
	for _, m := range im.Manifests {
		if twice(seen, m.Platform) || !c.platforms[m.Platform] {
			c.report("platform %.100q stands twice or is not one of the lock's", m.Platform)
		}
	}
	if im.Index != nil {
		c.note(im.checkIndex())
	}
	for _, m := range im.All() {
		if !IsManifest(m.MediaType) {
			c.report("media type %.100q is not that of an image manifest", m.MediaType)
		}
		for _, b := range append([]Blob{m.Blob}, m.Blobs...) {
			if b.Size <= 0 || b.Size > MaxBlob {
				c.report("%s has no size that can be", b.SHA256.OCI())
			}
		}
	}
}

// checkIndex compares the index with its digest, and what it names with the manifests.
func (im *Image) checkIndex() error {
	ix := im.Index
	switch {
	case IsManifest(ix.MediaType):
		if len(im.All()) != 1 || im.Manifests[0].SHA256 != ix.SHA256 || len(ix.Data) > 0 {
			return errors.New("it has no index, but several manifests, or another one")
		}
		return nil
	case !IsIndex(ix.MediaType):
		return fmt.Errorf("media type %.100q is not that of an index", ix.MediaType)
	case len(ix.Data) > MaxImageIndex:
		return fmt.Errorf("its index has %d bytes; at most %d are read", len(ix.Data), MaxImageIndex)
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
		return fmt.Errorf("its index names %d manifests; at most %d are read", max(len(all), len(document.Manifests)), MaxIndexed)
	}
	named, pinned := map[string]bool{}, map[string]bool{}
	for _, d := range document.Manifests {
		named[d.Digest] = true
	}
	for i, m := range all {
		if i >= len(im.Manifests) && (m.Platform != agent.Platform{} || pinned[m.SHA256.OCI()]) {
			return fmt.Errorf("its index has %s beside the platforms, which stands twice or is for %s", m.SHA256.OCI(), m.Platform)
		}
		pinned[m.SHA256.OCI()] = true
	}
	if !maps.Equal(named, pinned) {
		return errors.New("its index names other manifests than the lock")
	}
	return nil
}

// Subject is what differences of an image are about.
func (r ImageRole) Subject() Subject { return Subject(r + "Image") }

// ImageBlob is a configuration or a layer of an image.
type ImageBlob struct {
	Role ImageRole
	Blob
}

// ImageBlobs lists what images consist of beside manifests, each once.
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

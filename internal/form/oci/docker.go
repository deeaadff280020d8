package oci

import (
	"encoding/json"
	"path"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// DockerName is the file that names images for programs that do not read layouts: docker load,
// crane push, and docker-archive: of skopeo and podman.
const DockerName = "manifest.json"

// DockerImage is an image for one platform as that file has it (moby, image/tarexport/tarexport.go,
// manifestItem). Paths are those of blobs in the layout.
type DockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// DockerImageOf describes the image of a manifest.
func DockerImageOf(m v1.Manifest) DockerImage {
	im := DockerImage{Config: hashPath(m.Config.Digest)}
	for _, l := range m.Layers {
		im.Layers = append(im.Layers, hashPath(l.Digest))
	}
	return im
}

func hashPath(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }

// Docker adds manifest.json, which names images.
func (a *Archive) Docker(images ...DockerImage) error {
	data, err := Encode(images)
	if err == nil {
		a.file(DockerName, data)
	}
	return err
}

// DockerImages reads manifest.json. If there is none, the error is an [fs.ErrNotExist].
func (l *Layout) DockerImages() ([]DockerImage, error) {
	data, err := l.Document(DockerName)
	if err != nil {
		return nil, err
	}
	var images []DockerImage
	// Its readers use encoding/json, too. So a key in another case, or a second one, counts here as
	// it does for them.
	if err := json.Unmarshal(data, &images); err != nil {
		return nil, fault.New(fault.Integrity, "%s cannot be read: %w", DockerName, textfile.JSONError(data, err))
	}
	return images, nil
}

package oci

import (
	"encoding/json"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Annotations that both bundles and images have.
const (
	// RefNameAnnotation is OCI's (image-spec, annotations.md): a tag, or the whole
	// reference in what crane, containerd and hauler write.
	RefNameAnnotation = "org.opencontainers.image.ref.name"
	// ImageNameAnnotation is what Docker, containerd and Podman name a loaded image by.
	ImageNameAnnotation = "io.containerd.image.name"
	TitleAnnotation     = "org.opencontainers.image.title"
	VersionAnnotation   = "org.opencontainers.image.version"
)

// BlobOf returns the size and the digest of data.
func BlobOf(data []byte) lock.Blob {
	return lock.Blob{Size: int64(len(data)), SHA256: lock.Sum(data)}
}

// HashOf writes a digest as descriptors have it.
func HashOf(d lock.SHA256) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: d.String()} }

// Describe returns the descriptor of a blob.
func Describe[T ~string](mediaType T, b lock.Blob) v1.Descriptor {
	return v1.Descriptor{MediaType: types.MediaType(mediaType), Size: b.Size, Digest: HashOf(b.SHA256)}
}

// Described returns what a descriptor is of, which has at most max bytes.
func Described(d v1.Descriptor, max int64) (lock.Blob, error) {
	return blobOf(d.Digest.String(), d.Size, max)
}

// blobOf returns the blob with a digest, sha256:…, and a size.
func blobOf(digest string, size, max int64) (lock.Blob, error) {
	sum, err := lock.ParseSHA256(strings.TrimPrefix(digest, "sha256:"))
	switch {
	case err != nil || sum.OCI() != digest:
		return lock.Blob{}, fault.New(fault.Integrity, "the digest %q is not a sha256 digest", Clip(digest))
	case size < 0 || size > max:
		return lock.Blob{}, fault.New(fault.Integrity, "the size %d of %s is not plausible: the maximum is %d bytes", size, digest, max)
	}
	return lock.Blob{Size: size, SHA256: sum}, nil
}

// Encode writes a document as compact JSON, in the order of its fields.
func Encode(document any) ([]byte, error) {
	data, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("writing a %T: %w", document, err)
	}
	return data, nil
}

// IndexJSON returns an index.json that names one document, an index, with annotations.
func IndexJSON(index lock.Blob, annotations map[string]string) ([]byte, error) {
	d := Describe(types.OCIImageIndex, index)
	d.Annotations = annotations
	return Encode(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{d}})
}

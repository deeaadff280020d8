// Package oci reads the files of an OCI image layout (image-spec,
// image-layout.md), in a directory or in a tar file where they lie, and believes
// nothing of it: a tar must be whole to the last byte, and no link is followed. It
// writes the tar files of layouts, for bundles and images alike.
package oci

// Names in a layout.
const (
	// FileName is the file that makes a directory a layout.
	FileName = "oci-layout"
	// IndexName is the file that names what is in it.
	IndexName = "index.json"
	// BlobsDir is the directory of blobs.
	BlobsDir = "blobs/sha256"
)

// BlockSize is that of a tar file, in bytes.
const BlockSize = 512

// Bounds on what is read.
const (
	// MaxDocument bounds, in bytes, a file that is no blob.
	MaxDocument = 4 << 20
	maxEntries  = 200_000
)

// Clip shortens what comes from outside for a message.
func Clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// padding is how many zeros follow an entry's content.
func padding(size int64) int64 { return -size & (BlockSize - 1) }

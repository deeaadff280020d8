// Package oci reads and writes OCI image layouts (image-spec, image-layout.md) in a directory or a
// tar file, for bundles and images. Reading verifies everything: a tar file must be complete to the
// last byte, and no link is followed.
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

// Clip shortens a text that is not from this program, for a message.
func Clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// padding is how many zeros follow an entry's content.
func padding(size int64) int64 { return -size & (BlockSize - 1) }

// Package oci reads the files of an OCI image layout (image-spec,
// image-layout.md), in a directory or in a tar file where they lie, and believes
// nothing of it: a tar must be whole to the last byte, and no link is followed.
package oci

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

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
	// MaxBlob bounds, in bytes, a blob.
	MaxBlob    = lock.MaxBlob
	maxEntries = 200_000
)

// Files are those of a layout. Errors of damage are of kind [fault.Integrity].
type Files interface {
	// Partial reports whether there is anything of a layout, as where copying
	// was stopped.
	Partial() bool
	// Empty reports whether there is nothing at all.
	Empty() bool
	// Small returns a file that is not a blob; an absent one is an [fs.ErrNotExist].
	Small(name string) ([]byte, error)
	// Size returns the size of a blob; an absent one is an [fs.ErrNotExist].
	Size(d lock.SHA256) (int64, error)
	Open(d lock.SHA256) (blob.File, error)
	Close() error
}

// Foreign is the error of a file that is something else than a layout in a tar.
type Foreign struct {
	// Reason says in words what it is; empty if it is no tar file at all.
	Reason string
	// Next is the next step for the user, if there is one.
	Next string
	// Start is the beginning of what is no tar file.
	Start []byte
}

func (e *Foreign) Error() string {
	if e.Reason == "" {
		return "it is not a tar file"
	}
	return e.Reason
}

func foreign(format string, args ...any) *Foreign {
	return &Foreign{Reason: fmt.Sprintf(format, args...)}
}

func (e *Foreign) hint(next string) *Foreign {
	e.Next = next
	return e
}

// Cause takes off an error of the file system what it was done with and to, which
// the message says itself.
func Cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// Clip shortens what comes from outside for a message.
func Clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// padding is how many zeros follow an entry's content.
func padding(size int64) int64 { return -size & (BlockSize - 1) }

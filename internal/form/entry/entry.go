// Package entry describes a tree of files as a plan: a list of entries, each with a path, a mode, a
// digest and a function that makes the file. From a plan, the package writes a tree, audits it,
// forecasts its size and prunes it.
package entry

import (
	"context"
	"io/fs"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// Entry is a file of a tree.
type Entry struct {
	// Path is relative to the tree, with slashes.
	Path string
	// Mode is what the file is written with, Needed what the tree's reader needs of it.
	Mode, Needed fs.FileMode
	// SHA256 is the digest that the file must have; nil if only making it tells.
	SHA256 *lock.SHA256
	// Size is that of the file in bytes; with Guess, about.
	Size  int64
	Guess bool
	// Most is the maximum number of bytes that are read from the file.
	Most int64
	// Make writes the file. What the sink received counts only if the error is nil.
	Make func(ctx context.Context, to blob.Sink) error

	// Content says in words what the file is.
	Content string
	// Basis says which document has the digest.
	Basis audit.Basis
	// Platforms and Sources are as in [audit.File].
	Platforms []agent.Platform
	Sources   []lock.Artifact
	// Document says that its content is kept when it is read.
	Document bool
}

// OfBlob is an entry with a known size and digest.
func OfBlob(p string, mode fs.FileMode, b lock.Blob) Entry {
	return Entry{Path: p, Mode: mode, Needed: mode, SHA256: &b.SHA256, Size: b.Size, Most: b.Size}
}

// OfData is an entry with a content that is in memory.
func OfData(p string, mode fs.FileMode, data []byte) Entry {
	e := OfBlob(p, mode, lock.Blob{Size: int64(len(data)), SHA256: lock.Sum(data)})
	e.Make = func(_ context.Context, to blob.Sink) error {
		_, err := to.Write(data)
		return err
	}
	return e
}

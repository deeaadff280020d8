package lock

import (
	"io/fs"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// DirArchive says which files of a directory are in the archive that was made of it.
type DirArchive string

// The kinds of archives.
const (
	// DirArchiveYAML has what exec reads of a source of templates.
	DirArchiveYAML DirArchive = "yaml"
	// DirArchiveAll has every regular file.
	DirArchiveAll DirArchive = "all"
)

func (t DirArchive) valid() bool { return t == "" || t == DirArchiveYAML || t == DirArchiveAll }

// DirArchiveFormat is the archive format of every DirArchive.
const DirArchiveFormat = agent.GitArchiveFormat

// Files names the files of the archive in messages.
func (t DirArchive) Files() string {
	if t == DirArchiveYAML {
		return agent.TemplateExt + " files"
	}
	return "files"
}

// Mode is the mode of all files in the archive: not every system knows which files may
// be run.
func (t DirArchive) Mode() fs.FileMode {
	if t == DirArchiveYAML {
		return agent.IndexMode
	}
	return agent.BinaryMode
}

// DirArchiveBounds bound the files of an archive.
type DirArchiveBounds struct {
	// Files is their number.
	Files int
	// File and Total are sizes in bytes.
	File, Total int64
}

// Bounds returns the bounds on the archive. The official templates are three files of
// some kilobytes.
func (t DirArchive) Bounds() DirArchiveBounds {
	if t == DirArchiveYAML {
		return DirArchiveBounds{Files: 1_000, File: 1 << 20, Total: 16 << 20}
	}
	return DirArchiveBounds{Files: 20_000, File: 4 << 30, Total: 4 << 30}
}

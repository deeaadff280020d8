package lock

import (
	"io/fs"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// ChecksumSource is where the checksum of an artifact comes from.
type ChecksumSource string

// The sources, strongest first.
const (
	// ByIndex means that the index gave the checksum.
	ByIndex ChecksumSource = "index"
	// ByFlag means that who made the lock gave it, with --dependency.
	ByFlag ChecksumSource = "flag"
	// ByPublisher means that a checksum file beside the artifact gave it.
	ByPublisher ChecksumSource = "publisher"
	// ByLock means that an earlier lock gave it. No lock has it: only results of a run
	// that enforces a lock do.
	ByLock ChecksumSource = "lock"
	// ByNone means that nothing did: the digest was pinned on first sight.
	ByNone ChecksumSource = "none"
)

// ChecksumSources are all sources, strongest first.
var ChecksumSources = []ChecksumSource{ByIndex, ByFlag, ByPublisher, ByLock, ByNone}

// What says in messages where the checksum comes from.
func (v ChecksumSource) What() string {
	switch v {
	case ByNone:
		return "unverified"
	case ByFlag:
		return "from --dependency"
	case ByLock:
		return "from an earlier lock"
	}
	return "from the " + string(v)
}

// Artifact is one upstream file.
type Artifact struct {
	// URL is the URL that is requested. For a build or a dependency, it is the URL without the
	// sub-directory and the parameters. For templates, it is the whole URL.
	URL string `json:"url"`
	// DirArchive is set if the artifact is a tar archive that botkube-mirror made from the
	// directory at the URL. It is empty for a file of the publisher.
	DirArchive DirArchive `json:"tree,omitempty"`
	Blob
	VerifiedBy ChecksumSource `json:"verifiedBy"`
	// VerifiedWith lists the publisher's checksum files that have the checksum.
	VerifiedWith []string `json:"verifiedWith,omitempty"`
}

// LostChecksums returns the artifacts that have a checksum from the index or the publisher in l,
// but have none in now. now may be a plan, which has no digests.
func (l *Lock) LostChecksums(now *Lock) (lost []Artifact) {
	after := now.byURL()
	for _, a := range l.Artifacts {
		b, there := after[a.URL]
		if there && b.VerifiedBy == ByNone && (a.VerifiedBy == ByIndex || a.VerifiedBy == ByPublisher) {
			lost = append(lost, a)
		}
	}
	return lost
}

// DirArchive says which files of a directory are in the archive that was made from it.
type DirArchive string

// The kinds of archives.
const (
	// DirArchiveYAML has the YAML files, which exec reads from a source of templates.
	DirArchiveYAML DirArchive = "yaml"
	// DirArchiveAll has every regular file.
	DirArchiveAll DirArchive = "all"
)

// DirArchiveFormat is the archive format of every DirArchive.
const DirArchiveFormat = agent.GitArchiveFormat

// Files returns the name of the archive's files for messages.
func (t DirArchive) Files() string {
	if t == DirArchiveYAML {
		return agent.TemplateExt + " files"
	}
	return "files"
}

// Mode returns the mode of all files in the archive. The files' own modes are not used, because not
// every system keeps them.
func (t DirArchive) Mode() fs.FileMode {
	if t == DirArchiveYAML {
		return agent.IndexMode
	}
	return agent.BinaryMode
}

// DirArchiveBounds are limits on the files of an archive.
type DirArchiveBounds struct {
	// Files is the number of files.
	Files int
	// File is the size of a file, and Total of all files together, in bytes.
	File, Total int64
}

// Bounds returns the limits on the archive. Botkube's own templates are three files of some
// kilobytes.
func (t DirArchive) Bounds() DirArchiveBounds {
	if t == DirArchiveYAML {
		return DirArchiveBounds{Files: 1_000, File: 1 << 20, Total: 16 << 20}
	}
	return DirArchiveBounds{Files: 20_000, File: 4 << 30, Total: 4 << 30}
}

package lock

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// File is one file of an agent's cache directory: a binary, or one of the
// templates that exec reads.
type File struct {
	// Path is relative to the directory, with slashes.
	Path string
	// Artifact is the file's upstream file.
	Artifact Artifact
	// Format is the archive format of the artifact, or "" where the artifact
	// is the file itself: see [agent.Location.Format].
	Format string
	// Member says which file of the archive it is.
	Member agent.Member
	// Plugin is the plugin that needs it.
	Plugin agent.PluginKey
	// Dependency is the dependency's name, or "" for the plugin's own binary.
	Dependency string
	// Replaces is as in [Dependency].
	Replaces string
	// Template is the source of templates that the file is of, or "".
	Template string
	// content is what a file of templates is.
	content Blob
}

// Made is the file of a cache directory that was made of an upstream file.
type Made struct {
	// Size is in bytes.
	Size int64 `json:"size"`
	// Name is its name in the archive; empty without an archive of several files.
	Name string `json:"name,omitempty"`
	// Program is what kind of program it is.
	Program agent.Program `json:"program"`
}

// Pinned returns the content that the lock pins for the file. It pins files that are not
// unpacked, and templates.
func (f File) Pinned() (Blob, bool) {
	switch {
	case f.Template != "":
		return f.content, true
	case f.Format == "":
		return f.Artifact.Blob, true
	}
	return Blob{}, false
}

// Mode is that of the file in a cache directory.
func (f File) Mode() fs.FileMode {
	if f.Template != "" {
		return agent.IndexMode
	}
	return agent.BinaryMode
}

// What names the file in messages.
func (f File) What() string {
	switch {
	case f.Template != "":
		return fmt.Sprintf("templates %s of plugin %s", f.Template, f.Plugin)
	case f.Dependency != "":
		return fmt.Sprintf("dependency %s of plugin %s", f.Dependency, f.Plugin)
	}
	return "plugin " + f.Plugin.String()
}

// Files returns the files of the cache directory for a platform, in the
// order of their paths. The lock must have passed [Lock.Check].
func (l *Lock) Files(platform agent.Platform) []File {
	artifacts := l.byURL()
	var files []File
	for _, p := range l.Plugins {
		for _, b := range p.Builds {
			if b.Platform != platform {
				continue
			}
			binary := p.Binary()
			location, _ := agent.ParseLocation(b.URL)
			files = append(files, File{
				Path: binary, Artifact: artifacts[location.URL], Format: location.Format,
				Member: location.PluginMember(binary), Plugin: p.Key(),
			})
			for _, d := range b.Dependencies {
				location, _ := agent.ParseLocation(d.URL)
				files = append(files, File{
					Path: agent.DependencyPath(binary, d.Name), Artifact: artifacts[location.URL], Format: location.Format,
					Member: location.DependencyMember(d.Name), Plugin: p.Key(), Dependency: d.Name, Replaces: d.Replaces,
				})
			}
			files = append(files, p.templateFiles(artifacts)...)
		}
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

func (l *Lock) byURL() map[string]Artifact {
	artifacts := make(map[string]Artifact, len(l.Artifacts))
	for _, a := range l.Artifacts {
		artifacts[a.URL] = a
	}
	return artifacts
}

// Blobs returns all content that the lock pins: indexes, schemas, artifacts, and
// what the other members of a bundle are made of. A blob may stand twice.
func (l *Lock) Blobs() []Blob {
	var blobs []Blob
	for _, r := range l.Repositories {
		blobs = append(blobs, r.Index)
		for _, s := range r.Schemas {
			blobs = append(blobs, s.Blob)
		}
	}
	for _, a := range l.Artifacts {
		blobs = append(blobs, a.Blob)
	}
	for _, im := range l.Images() {
		for _, m := range im.All() {
			blobs = append(append(blobs, m.Blob), m.Blobs...)
		}
	}
	if l.Chart != nil {
		blobs = append(blobs, l.Chart.Blob)
	}
	return blobs
}

// ArtifactBytes sums up the sizes of the upstream files, in bytes.
func (l *Lock) ArtifactBytes() (total int64) {
	for _, a := range l.Artifacts {
		total += a.Size
	}
	return total
}

// SizeOf returns the size of blobs in bytes, each once.
func SizeOf(blobs []Blob) int64 {
	var size int64
	seen := map[SHA256]bool{}
	for _, b := range blobs {
		if !seen[b.SHA256] {
			size += b.Size
		}
		seen[b.SHA256] = true
	}
	return size
}

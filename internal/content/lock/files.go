package lock

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// File is a file of a plugins directory: a binary, or a file with templates for exec.
type File struct {
	// Path is relative to the directory, with slashes.
	Path string
	// Artifact is the upstream file from which the file is made.
	Artifact Artifact
	// Format is the archive format of the artifact, or "" if the artifact is the file itself: see
	// [agent.Location.Format].
	Format string
	// Member identifies the file in the archive.
	Member agent.Member
	// Plugin is the plugin that needs the file.
	Plugin agent.PluginKey
	// Dependency is the name of the dependency, or "" for the plugin's own binary.
	Dependency string
	// Replaces is [Dependency.Replaces].
	Replaces string
	// Template is the source of templates that has the file, or "".
	Template string
	// content is the content of a file with templates.
	content Blob
}

// Made describes a file of a plugins directory that was made from an upstream file.
type Made struct {
	// Size is in bytes.
	Size int64 `json:"size"`
	// Name is its name in the archive. It is empty if the upstream file is not an archive of
	// several files.
	Name string `json:"name,omitempty"`
	// Program is the kind of program.
	Program agent.Program `json:"program"`
}

// Pinned returns the size and the digest of the file, if the lock has them. It has them for
// templates, and for files that are not unpacked from an archive.
func (f File) Pinned() (Blob, bool) {
	switch {
	case f.Template != "":
		return f.content, true
	case f.Format == "":
		return f.Artifact.Blob, true
	}
	return Blob{}, false
}

// Mode returns the mode of the file in a plugins directory.
func (f File) Mode() fs.FileMode {
	if f.Template != "" {
		return agent.IndexMode
	}
	return agent.BinaryMode
}

// What returns the name of the file for messages.
func (f File) What() string {
	switch {
	case f.Template != "":
		return fmt.Sprintf("templates %s of plugin %s", f.Template, f.Plugin)
	case f.Dependency != "":
		return fmt.Sprintf("dependency %s of plugin %s", f.Dependency, f.Plugin)
	}
	return "plugin " + f.Plugin.String()
}

// Files returns the files of the plugins directory for a platform, sorted by path. The lock must
// have passed [Lock.Check].
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

// Blobs returns everything that the lock pins: indexes, schemas, artifacts, and the blobs of images
// and the chart. It may return a blob twice.
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

// ArtifactBytes returns the size of all upstream files together, in bytes.
func (l *Lock) ArtifactBytes() (total int64) {
	for _, a := range l.Artifacts {
		total += a.Size
	}
	return total
}

// SizeOf returns the size of all blobs together, in bytes. It counts each digest once.
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

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
	// Template is the source of templates that the file is of, or "".
	Template string
	// content is what a file of templates is.
	content Blob
}

// Made is what was made of an upstream file.
type Made struct {
	Blob
	// Name is what the file is called in the archive; empty if it is none of several.
	Name string `json:"name,omitempty"`
	// Program is what the file is to the system that shall run it.
	Program agent.Program `json:"program"`
}

// Pinned returns what the file must be, if the lock says that: it does of what
// is not unpacked, and of templates.
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
					Member: location.DependencyMember(d.Name), Plugin: p.Key(), Dependency: d.Name,
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

// PluginsOnly returns the lock without the other members of a bundle.
func (l *Lock) PluginsOnly() *Lock {
	part := *l
	part.AgentImage, part.WatcherImage, part.Chart = nil, nil, nil
	return &part
}

// ForPlatform returns the part of the lock that one platform's directory
// needs. Entries without a build for the platform are not in it.
func (l *Lock) ForPlatform(platform agent.Platform) *Lock {
	return l.PluginsOnly().Subset([]agent.Platform{platform}, func(Plugin) bool { return true })
}

// Subset returns the part of the lock that is for some of its platforms and
// plugins. Its repositories stay as they are.
func (l *Lock) Subset(platforms []agent.Platform, keep func(Plugin) bool) *Lock {
	part := *l
	part.Platforms = slices.Clone(platforms)
	part.Repositories = slices.Clone(l.Repositories)
	part.Plugins, part.Artifacts = nil, nil
	used := map[string]bool{}
	for _, p := range l.Plugins {
		if !keep(p) {
			continue
		}
		p.Builds = slices.Clone(p.Builds)
		p.Builds = slices.DeleteFunc(p.Builds, func(b Build) bool { return !slices.Contains(platforms, b.Platform) })
		if len(p.Builds) == 0 {
			continue
		}
		part.Plugins = append(part.Plugins, p)
		for _, b := range p.Builds {
			for _, raw := range b.urls() {
				location, _ := agent.ParseLocation(raw)
				used[location.URL] = true
			}
		}
		for _, t := range p.Templates {
			used[t.URL] = true
		}
	}
	for _, a := range l.Artifacts {
		if used[a.URL] {
			part.Artifacts = append(part.Artifacts, a)
		}
	}
	for _, im := range l.Images() {
		part.SetImage(im.Role, im.forPlatforms(platforms))
	}
	part.Sort()
	return &part
}

// urls returns the URLs of the build and its dependencies.
func (b Build) urls() []string {
	urls := []string{b.URL}
	for _, d := range b.Dependencies {
		urls = append(urls, d.URL)
	}
	return urls
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
		for _, m := range im.Manifests {
			blobs = append(append(blobs, m.Blob), m.Blobs...)
		}
	}
	if l.Chart != nil {
		blobs = append(blobs, l.Chart.Blob)
	}
	return blobs
}

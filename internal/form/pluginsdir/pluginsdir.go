// Package pluginsdir defines the content of an agent's plugin cache directory: its files, and how
// each file is made. Packages dir and image write these files to a directory or to the layers of an
// image.
package pluginsdir

import (
	"context"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
)

// Paths of the files in a directory that the agent does not read.
const (
	// MetaDir is the directory of everything else here.
	MetaDir = atomicdir.MetaDir
	// LockPath is what the directory was made of.
	LockPath = MetaDir + "/lock.json"
	// SumsPath has the digest of every file, for sha256sum -c.
	SumsPath = MetaDir + "/SHA256SUMS"
)

// Reader is the user that must be able to read a cache directory: the agent of the Helm chart.
var Reader = disk.Reader{User: agent.User, Group: agent.Group}

// Source is what the files of a directory are made of: upstream files, or
// another cache directory. Its methods may be called concurrently.
type Source interface {
	// Known returns what a file must be, if that can be told without making it.
	Known(p agent.Platform, f lock.File) (lock.Blob, bool)
	// Expected returns the size of a file in bytes, as it was recorded earlier. The record may be
	// wrong: use it only for forecasts, never to verify a file.
	Expected(p agent.Platform, f lock.File) (size int64, known bool)
	// Make writes a file. What the sink received counts only if the error is nil.
	Make(ctx context.Context, p agent.Platform, f lock.File, to blob.Sink) error
	Indexes
}

// Indexes has the indexes of repositories, which may be the same for all platforms.
type Indexes interface {
	Index(p agent.Platform, r lock.Repository) (Index, error)
}

// Index is the index of a repository before it is rewritten.
type Index struct {
	Data []byte
	// Schemas are the JSON schemas that the index refers to, by their
	// absolute URLs.
	Schemas map[string]string
}

// Document is a small file of a directory.
type Document struct {
	// Path is relative to the directory, with slashes.
	Path string
	Data []byte
}

// Paths returns the paths of all that the agent reads for a platform, sorted.
func Paths(l *lock.Lock, p agent.Platform) []string {
	var paths []string
	for _, r := range l.Repositories {
		paths = append(paths, agent.IndexPath(r.Name))
	}
	for _, f := range l.Files(p) {
		paths = append(paths, f.Path)
	}
	slices.Sort(paths)
	return paths
}

// CheckMount returns an error if a path cannot be the agent's cache directory.
func CheckMount(mount string) error {
	if !path.IsAbs(mount) || path.Clean(mount) != mount || mount == "/" {
		return fault.New(fault.Usage, "%q cannot be the agent's plugins.cacheDir: it must be an absolute path without . or .., for example /plugins", mount)
	}
	// PATH_MAX of Linux. A name with control characters could only deceive its readers.
	if len(mount) > 4095 || strings.ContainsFunc(mount, unicode.IsControl) {
		return fault.New(fault.Usage, "%.100q cannot be the agent's plugins.cacheDir: it is too long or has control characters", mount)
	}
	return nil
}

// Documents returns all files but the binaries, in the order in which they
// must be written: whatever comes last is what an agent, a later run or a person
// takes as the sign that the rest is there. Made says what the binaries are, by
// path. Mount is where the agent will see the directory.
func Documents(l *lock.Lock, p agent.Platform, mount string, made map[string]lock.Blob, src Source) ([]Document, error) {
	l = l.ForPlatform(p)
	builds := func(plugin lock.Plugin) (map[agent.Platform]agent.Build, error) {
		return map[agent.Platform]agent.Build{p: localBuild(plugin, p, mount, made)}, nil
	}
	indexes, err := Rewrite(l, p, src, agent.IndexPath, builds)
	if err != nil {
		return nil, err
	}
	lockData, err := l.Marshal()
	if err != nil {
		return nil, err
	}
	digests := entry.Sums{LockPath: lock.Sum(lockData)}
	for _, f := range l.Files(p) {
		digests[f.Path] = made[f.Path].SHA256
	}
	for _, d := range indexes {
		digests[d.Path] = lock.Sum(d.Data)
	}
	return append([]Document{{SumsPath, digests.Marshal()}, {LockPath, lockData}}, indexes...), nil
}

// localBuild is a build whose URLs are files of the directory.
func localBuild(plugin lock.Plugin, p agent.Platform, mount string, made map[string]lock.Blob) agent.Build {
	binary := plugin.Binary()
	local := agent.Build{URL: fileURL(mount, binary), Checksum: made[binary].SHA256.String(), Dependencies: map[string]string{}}
	for _, build := range plugin.Builds {
		if build.Platform != p {
			continue
		}
		for _, d := range build.Dependencies {
			at := agent.DependencyPath(binary, d.Name)
			local.Dependencies[d.Name] = fileURL(mount, at) + "?checksum=sha256:" + made[at].SHA256.String()
		}
	}
	return local
}

// fileURL is where the agent sees a file of the directory.
func fileURL(mount, p string) string {
	return (&url.URL{Scheme: "file", Path: path.Join(mount, p)}).String()
}

// Placement is a file of the directory of a platform.
type Placement struct {
	Platform agent.Platform
	File     lock.File
}

// Placements returns the files of all directories for a lock, by the URL of what
// they are made of.
func Placements(l *lock.Lock) map[string][]Placement {
	files := map[string][]Placement{}
	for _, p := range l.Platforms {
		for _, f := range l.Files(p) {
			files[f.Artifact.URL] = append(files[f.Artifact.URL], Placement{p, f})
		}
	}
	return files
}

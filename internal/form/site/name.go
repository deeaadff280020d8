package site

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// filesDir is the directory of upstream files.
const filesDir = "files"

// maxName bounds the name of a file, in bytes.
const maxName = 150

// FilePath returns the path of an artifact in a site, relative to its root, with slashes. The name
// at its end is for people, and for go-getter, which unpacks by it.
func FilePath(a lock.Artifact) string {
	name := fileName(a.URL)
	if a.DirArchive == lock.DirArchiveYAML {
		name += "." + lock.DirArchiveFormat
	}
	return path.Join(contentDir(a.SHA256), name)
}

// File is an upstream file of a version.
type File struct {
	// Path is relative to the root of the site, with slashes.
	Path string
	lock.Blob
}

// Files returns the upstream files of a version, each once, in the order of their paths.
func Files(l *lock.Lock) []File {
	var files []File
	for _, a := range l.Artifacts {
		files = append(files, File{Path: FilePath(a), Blob: a.Blob})
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return slices.Compact(files)
}

// contentDir is the directory of all files with a content.
func contentDir(d lock.SHA256) string {
	return path.Join(filesDir, d.String()[:2], d.String())
}

// fileName makes a name of a URL's last part that every system can write, every
// server serves, and no URL has to escape. It has the extension of an archive
// where the agent would go by that of the URL: so not behind a forced getter,
// where the agent sees none.
func fileName(raw string) string {
	name := sanitise(lastSegment(raw))
	l, err := agent.ParseLocation(raw)
	if err != nil || !detects(l) {
		for formatOf(name) != "" {
			i := strings.LastIndexByte(name, '.')
			name = name[:i] + "_" + name[i+1:]
		}
	}
	return name
}

// lastSegment returns the last part of a URL's path, unescaped.
func lastSegment(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	if inner, forced := strings.CutPrefix(u.Opaque, ":"); forced {
		if u, err = url.Parse(inner); err != nil {
			return ""
		}
	}
	trimmed := strings.TrimRight(u.Path, "/")
	return trimmed[strings.LastIndexByte(trimmed, '/')+1:]
}

// detects reports whether the agent goes by the extension of a URL.
func detects(l agent.Location) bool { return l.PluginMember("r/x").Name == "" }

// formatOf returns the archive format that a name has by its extension.
func formatOf(name string) string {
	l, err := agent.ParseLocation("https://host/" + name)
	if err != nil {
		return ""
	}
	return l.Format
}

func sanitise(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '.', r == '_':
			return r
		}
		return '_'
	}, s)
	if strings.HasSuffix(s, ".") {
		s = s[:len(s)-1] + "_" // Windows drops it
	}
	if s == "" || s[0] == '.' {
		s = "file" + s // servers hide dotted ones
	}
	if stem, rest, dotted := strings.Cut(s, "."); reserved(stem) {
		s = stem + "_"
		if dotted {
			s += "." + rest
		}
	}
	if len(s) > maxName {
		ext := formatOf(s)
		if ext != "" {
			ext = "." + ext
		}
		s = s[:maxName-len(ext)-1] + "_" + ext
	}
	return s
}

// reserved reports whether a name means a device on Windows, whatever its extension.
func reserved(stem string) bool {
	switch stem = strings.ToUpper(stem); stem {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "COM" || stem[:3] == "LPT") && stem[3] >= '0' && stem[3] <= '9'
}

package lock

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// Template is a source of templates that exec reads.
type Template struct {
	// Ref is the source as it is configured, without secrets.
	Ref string `json:"ref"`
	// Directory is where exec looks for it: see [agent.TemplateDirectory]. It
	// follows from the source as it is configured, secrets included.
	Directory string `json:"directory"`
	// URL is that of the artifact.
	URL string `json:"url"`
	// Files are those of the source, by path.
	Files []TemplateFile `json:"files"`
}

// TemplateFile is a file of a source of templates.
type TemplateFile struct {
	// Path is relative to the source's directory, with slashes.
	Path string `json:"path"`
	Blob
}

// CheckTemplatePath reports why a path cannot be that of a file of a source of
// templates.
func CheckTemplatePath(p string) error {
	if len(p) > 1000 || path.Ext(p) != agent.TemplateExt || !fs.ValidPath(p) {
		return fmt.Errorf("%.100q is not the relative path of a %s file", p, agent.TemplateExt)
	}
	for part := range strings.SplitSeq(p, "/") {
		if err := agent.CheckName("file", part); err != nil {
			return err
		}
	}
	return nil
}

// checkTemplates checks the sources of templates of a plugin.
func (c *checking) checkTemplates(p Plugin) {
	if len(p.Templates) > 0 && p.Type != agent.Executor {
		c.report("it has templates, but is no executor")
	}
	seen := map[string]bool{}
	about := c.about
	for i, t := range p.Templates {
		c.about = fmt.Sprintf("%stemplates[%d]: ", about, i)
		if twice(seen, t.Directory) || !agent.IsTemplateDirectory(t.Directory) {
			c.report("the directory %.100q stands twice or is none", t.Directory)
		}
		for _, raw := range []string{t.Ref, t.URL} {
			if raw == "" || checkText(raw) != nil {
				c.report("a source or its URL is empty, too long, or holds a control character")
			}
		}
		if c.artifacts[t.URL] != DirArchiveYAML {
			c.report("no directory of templates is pinned for %s", shown(t.URL))
		}
		if c.complete && len(t.Files) == 0 {
			c.report("%s have no files", shown(t.Ref))
		}
		c.checkTemplateFiles(t.Files)
	}
}

func (c *checking) checkTemplateFiles(files []TemplateFile) {
	bounds := DirArchiveYAML.Bounds()
	if len(files) > bounds.Files {
		c.report("it has %d files; at most %d are read", len(files), bounds.Files)
		return
	}
	for _, f := range files {
		c.note(CheckTemplatePath(f.Path))
		if f.Size < 0 || f.Size > bounds.File {
			c.report("%.100q has no size that can be", f.Path)
		}
	}
}

// templateFiles returns the files of a plugin's templates in a cache directory.
func (p Plugin) templateFiles(artifacts map[string]Artifact) []File {
	var files []File
	for _, t := range p.Templates {
		for _, f := range t.Files {
			files = append(files, File{
				Path: agent.TemplatePath(p.Binary(), t.Directory, f.Path), Artifact: artifacts[t.URL], Format: DirArchiveFormat,
				Member: agent.Member{Dir: EscapePattern(path.Dir(f.Path)), Name: path.Base(f.Path)},
				Plugin: p.Key(), Template: t.Ref, content: f.Blob,
			})
		}
	}
	return files
}

// EscapePattern makes a pattern of [path.Match] that only a directory itself matches.
func EscapePattern(dir string) string {
	if dir == "." {
		return ""
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

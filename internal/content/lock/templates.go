package lock

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// Template is a source of templates for the plugin exec.
type Template struct {
	// Ref is the configured source without secrets.
	Ref string `json:"ref"`
	// Directory is where exec looks for it: see [agent.TemplateDirectory]. Its name depends on the
	// configured source, including secrets.
	Directory string `json:"directory"`
	// URL is the URL of the artifact.
	URL string `json:"url"`
	// Files are the files of the source, sorted by path.
	Files []TemplateFile `json:"files"`
}

// TemplateFile is a file of a source of templates.
type TemplateFile struct {
	// Path is relative to the source's directory, with slashes.
	Path string `json:"path"`
	Blob
}

// CheckTemplatePath returns an error if a path cannot be the path of a file with templates.
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
		c.report("it has templates, but is not an executor")
	}
	seen := map[string]bool{}
	about := c.about
	for i, t := range p.Templates {
		c.about = fmt.Sprintf("%stemplates[%d]: ", about, i)
		if twice(seen, t.Directory) || !agent.IsTemplateDirectory(t.Directory) {
			c.report("the directory %.100q is listed twice, or is not a valid name", t.Directory)
		}
		for _, raw := range []string{t.Ref, t.URL} {
			if raw == "" || checkText(raw) != nil {
				c.report("a source or its URL is empty, too long, or contains a control character")
			}
		}
		if c.artifacts[t.URL] != DirArchiveYAML {
			c.report("the lock has no artifact with templates for %s", shown(t.URL))
		}
		if c.complete && len(t.Files) == 0 {
			c.report("%s has no files", shown(t.Ref))
		}
		c.checkTemplateFiles(t.Files)
	}
}

func (c *checking) checkTemplateFiles(files []TemplateFile) {
	bounds := DirArchiveYAML.Bounds()
	if len(files) > bounds.Files {
		c.report("it has %d files; the limit is %d", len(files), bounds.Files)
		return
	}
	for _, f := range files {
		c.note(CheckTemplatePath(f.Path))
		if f.Size < 0 || f.Size > bounds.File {
			c.report("the size of %.100q is not valid", f.Path)
		}
	}
}

// templateFiles returns the files of a plugin's templates in a plugins directory.
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

// EscapePattern returns a pattern for [path.Match] that matches only the given directory.
func EscapePattern(dir string) string {
	if dir == "." {
		return ""
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

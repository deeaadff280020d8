package lock

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
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

// checkTemplates reports what is wrong with the sources of templates of a plugin.
func (p Plugin) checkTemplates(artifacts map[string]DirArchive) []error {
	var problems []error
	if len(p.Templates) > 0 && p.Type != agent.Executor {
		problems = append(problems, errors.New("it has templates, but is no executor"))
	}
	seen := map[string]bool{}
	for i, t := range p.Templates {
		report := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("templates[%d]: "+format, append([]any{i}, args...)...))
		}
		if seen[t.Directory] || !agent.IsTemplateDirectory(t.Directory) {
			report("the directory %.100q stands twice or is none", t.Directory)
		}
		seen[t.Directory] = true
		for _, raw := range []string{t.Ref, t.URL} {
			if raw == "" || checkText(raw) != nil {
				report("a source or its URL is empty, too long, or holds a control character")
			}
		}
		if artifacts[t.URL] != DirArchiveYAML {
			report("no directory of templates is pinned for %s", shown(t.URL))
		}
		for _, err := range checkTemplateFiles(t.Files) {
			report("%w", err)
		}
	}
	return problems
}

func checkTemplateFiles(files []TemplateFile) []error {
	var problems []error
	bounds := DirArchiveYAML.Bounds()
	if len(files) > bounds.Files {
		return []error{fmt.Errorf("it has %d files; at most %d are read", len(files), bounds.Files)}
	}
	for _, f := range files {
		if err := CheckTemplatePath(f.Path); err != nil {
			problems = append(problems, err)
		}
		if f.Size < 0 || f.Size > bounds.File {
			problems = append(problems, fmt.Errorf("%.100q has no size that can be", f.Path))
		}
	}
	return problems
}

// sortTemplates brings sources of templates into their one order.
func (p Plugin) sortTemplates() {
	slices.SortFunc(p.Templates, func(a, b Template) int { return strings.Compare(a.Directory, b.Directory) })
	for _, t := range p.Templates {
		slices.SortFunc(t.Files, func(a, b TemplateFile) int { return strings.Compare(a.Path, b.Path) })
	}
}

// templateFiles returns the files of a plugin's templates in a cache directory.
func (p Plugin) templateFiles(artifacts map[string]Artifact) []File {
	var files []File
	for _, t := range p.Templates {
		for _, f := range t.Files {
			files = append(files, File{
				Path: agent.TemplatePath(p.Binary(), t.Directory, f.Path), Artifact: artifacts[t.URL], Format: DirArchiveFormat,
				Member: agent.Member{Dir: escapePattern(path.Dir(f.Path)), Name: path.Base(f.Path)},
				Plugin: p.Key(), Template: t.Ref, content: f.Blob,
			})
		}
	}
	return files
}

// escapePattern makes a pattern of [path.Match] that only a directory itself matches.
func escapePattern(dir string) string {
	if dir == "." {
		return ""
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

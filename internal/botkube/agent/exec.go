package agent

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"path"
	"slices"
	"strings"
)

// TemplateExt ends the files that exec reads (botkube-plugins,
// internal/executor/x/getter/load.go, Load).
const TemplateExt = ".yaml"

// TemplateDirectory returns the name of the directory, among exec's dependencies, for a source
// of templates, exactly as configured. Exec downloads nothing that it has a directory for
// (botkube-plugins, internal/executor/x/getter/download.go, EnsureDownloaded).
func TemplateDirectory(ref string) string {
	sum := sha256.Sum256([]byte(ref))
	return base64.URLEncoding.EncodeToString(sum[:])
}

// IsTemplateDirectory reports whether [TemplateDirectory] can have returned a name.
func IsTemplateDirectory(name string) bool {
	sum, err := base64.URLEncoding.Strict().DecodeString(name)
	return err == nil && len(sum) == sha256.Size && !strings.ContainsAny(name, "\r\n")
}

// TemplatePath returns where exec reads a file of a source of templates. The binary is at a path
// that [BinaryPath] returned, and its dependencies beside it (pkg/plugin/tmp_dir.go,
// TmpDir.Get).
func TemplatePath(binary, directory, file string) string {
	return path.Join(DependencyDir(binary), directory, file)
}

// defaultTemplates returns the source that exec of a Botkube version uses if none is configured,
// or "" (cmd/executor/exec/main.go, getDefaultTemplateSource).
func defaultTemplates(version string) string {
	const source = "github.com/kubeshop/botkube//cmd/executor/exec/templates?ref="
	switch {
	case !Since(version, "v1.2.0"):
		return "" // there was no exec
	case Newer(version, "v1.8.0"):
		return source + "release-1.8"
	}
	return source + version
}

// IsExec reports whether an entry is the executor that downloads templates.
func (e *Entry) IsExec() bool { return e.Type == Executor && e.Name == execName }

// DefaultTemplates returns the source that exec uses if none is configured, or "" for other
// plugins. The JSON schema of its configuration has it in every official version.
func (e *Entry) DefaultTemplates(repository string) string {
	if !e.IsExec() {
		return ""
	}
	if ref := e.templatesInSchema(); ref != "" || !isDefault(repository, e.Version) {
		return ref
	}
	return defaultTemplates(e.Version)
}

func (e *Entry) templatesInSchema() string {
	var at any
	if json.Unmarshal([]byte(e.JSONSchema.Value), &at) != nil {
		return ""
	}
	for _, key := range []string{"properties", "templates", "items", "properties", "ref", "default"} {
		inner, _ := at.(map[string]any)
		at = inner[key]
	}
	ref, _ := at.(string)
	return ref
}

// execName is the plugin that downloads templates (botkube-plugins, cmd/executor/exec/main.go,
// pluginName).
const execName = "exec"

// TemplateSources are an executor's sources of templates as one group configures it.
type TemplateSources struct {
	// Key is the plugin's.
	Key   string
	Group string
	// Refs are the sources, exactly as configured; none means the plugin's default.
	Refs []string
	// Dir is where the plugin keeps them, or empty for its dependency directory.
	Dir string
}

// Templates returns the sources of the exec plugins that the agent starts. Each downloads its
// own with the first command (botkube-plugins, cmd/executor/exec/main.go, Execute).
func (c *Config) Templates(version string) ([]TemplateSources, error) {
	var all []TemplateSources
	for _, p := range c.Enabled(version).Executors {
		key, err := DecomposePluginKey(p.Key)
		if err != nil || key.Name != execName {
			continue
		}
		for _, group := range p.Groups {
			var own struct {
				Templates []struct{ Ref string }
				TmpDir    string
			}
			if err := decode(c.Executors[group].Plugins[p.Key].Config, &own); err != nil {
				return nil, shortened(err)
			}
			s := TemplateSources{Key: p.Key, Group: group, Dir: own.TmpDir}
			for _, t := range own.Templates {
				if t.Ref != "" && !slices.Contains(s.Refs, t.Ref) {
					s.Refs = append(s.Refs, t.Ref)
				}
			}
			all = append(all, s)
		}
	}
	return all, nil
}

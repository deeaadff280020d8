package agent

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"path"
	"slices"
	"strings"
)

// TemplateExt is the extension of the files that exec reads of a source of
// templates (botkube-plugins, internal/executor/x/getter/load.go, Load).
const TemplateExt = ".yaml"

// TemplateDirectory returns the name of the directory, among the dependencies of
// exec, that has the content of a source of templates. Exec downloads nothing
// that it has a directory for (botkube-plugins,
// internal/executor/x/getter/download.go, EnsureDownloaded). The source counts as
// it is configured, to the letter.
func TemplateDirectory(ref string) string {
	sum := sha256.Sum256([]byte(ref))
	return base64.URLEncoding.EncodeToString(sum[:])
}

// IsTemplateDirectory reports whether [TemplateDirectory] can have returned a name.
func IsTemplateDirectory(name string) bool {
	sum, err := base64.URLEncoding.Strict().DecodeString(name)
	return err == nil && len(sum) == sha256.Size && !strings.ContainsAny(name, "\r\n")
}

// TemplatePath returns where exec, whose binary is at a path that [BinaryPath]
// returned, reads a file of a source of templates. It looks into its own
// directory of dependencies (pkg/plugin/tmp_dir.go, TmpDir.Get).
func TemplatePath(binary, directory, file string) string {
	return path.Join(DependencyDir(binary), directory, file)
}

// defaultTemplates returns the source of templates that exec of a Botkube version
// uses where none is configured (cmd/executor/exec/main.go,
// getDefaultTemplateSource), or "" for a version that has none.
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

// DefaultTemplates returns the source of templates that exec uses where none is
// configured: by the JSON schema of its configuration, which has it in every
// official version, or by the rule for those. It returns "" for every other plugin.
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
	var schema struct {
		Properties struct {
			Templates struct {
				Items struct {
					Properties struct {
						Ref struct {
							Default string `json:"default"`
						} `json:"ref"`
					} `json:"properties"`
				} `json:"items"`
			} `json:"templates"`
		} `json:"properties"`
	}
	if json.Unmarshal([]byte(e.JSONSchema.Value), &schema) != nil {
		return ""
	}
	return schema.Properties.Templates.Items.Properties.Ref.Default
}

// execName is the name of the plugin that downloads templates itself
// (botkube-plugins, cmd/executor/exec/main.go, pluginName).
const execName = "exec"

// TemplateSources are where an executor's templates come from, as one group
// configures it.
type TemplateSources struct {
	// Key is the plugin's.
	Key   string
	Group string
	// Refs are the sources, exactly as configured; none means the plugin's default.
	Refs []string
	// Dir is where the plugin keeps them, or empty for its dependency directory.
	Dir string
}

// Templates returns the template sources of the exec plugins that the agent
// starts: each downloads its own with the first command (botkube-plugins,
// cmd/executor/exec/main.go, Execute). The version is as in [Config.Enabled].
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

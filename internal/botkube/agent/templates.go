package agent

import (
	"maps"
	"slices"
)

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
		key, err := splitKey(p.Key)
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

// RepositoryNames returns the names of the configured repositories, sorted.
func (c *Config) RepositoryNames() []string {
	return slices.Sorted(maps.Keys(c.Plugins.Repositories))
}

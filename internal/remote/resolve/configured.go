package resolve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// applyValues selects the plugins, and their repositories, that an agent with the given values starts.
// Without values files, it returns nil.
func (sel *Selection) applyValues(ctx context.Context) (*configured.Agent, error) {
	if len(sel.Values) == 0 {
		return nil, nil
	}
	if sel.locked != nil && sel.locked.BotkubeVersion == "" {
		return nil, fault.New(fault.Usage, "--values: the lock %s has no Botkube version, which reading the values needs", sel.Lock).
			WithHint("name plugins with --plugin instead; or write a new lock: botkube-mirror lock --version v1.14.0")
	}
	files, err := configured.Files(ctx, sel.Values)
	if err != nil {
		return nil, err
	}
	c, err := configured.Read(sel.Version, files, sel.AllEnabled)
	if errors.Is(err, chart.ErrNoPlatforms) {
		return nil, fault.New(fault.Usage, "%w", err).WithHint("%s\nor name plugins instead of --values: --plugin REPOSITORY/NAME", fault.HintOf(err))
	}
	if err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	sel.Version = c.ChartVersion
	sel.applyImages(c)
	if len(c.Executors)+len(c.Sources)+len(sel.Plugins) == 0 {
		return nil, fault.New(fault.Usage, "an agent with these values starts no plugin%s", reasons(c)).
			WithHint("%s", strings.Join(append(slices.Clone(c.Notes), "enable a plugin, and bind its group to a channel of an enabled platform; or name plugins with --plugin"), "\n"))
	}
	if sel.Executors, err = pluginKeys(agent.Executor, c.Executors); err != nil {
		return nil, err
	}
	if sel.Sources, err = pluginKeys(agent.Source, c.Sources); err != nil {
		return nil, err
	}
	noteExcluded(c, slices.Concat(sel.Executors, sel.Sources), sel.Exclude)
	if sel.Templates.Configured, err = c.Templates(sel.Version); err != nil {
		return nil, err
	}
	if found := c.Egress(sel.Version, nil); len(found.NeedCloud) > 0 {
		c.Notes = append(c.Notes, configured.CloudedNote(found.NeedCloud))
	}
	return c, sel.applyRepositories(c)
}

func noteExcluded(c *configured.Agent, started, excluded []agent.PluginKey) {
	for _, key := range started {
		for _, out := range excluded {
			if out.Covers(key) {
				c.Notes = append(c.Notes, fmt.Sprintf("--exclude leaves out %s, which the values enable: disable it in the values, too, or the agent does not start from the mirror alone", key))
			}
		}
	}
}

// applyImages takes the tag of the agent's image from the values, but not its repository.
func (sel *Selection) applyImages(c *configured.Agent) {
	if sel.Members.AgentImage == "" {
		return
	}
	for _, p := range c.Values.Pulls {
		if p.Setting == "image" && sel.Members.AgentImage == Default && !IsAgentImage(p.Image) {
			c.Notes = append(c.Notes, fmt.Sprintf("the values name the agent's image %s, but Botkube's own image is mirrored; to mirror the one in the values: --with-agent-image=%s", p.Image, p.Image))
		}
	}
	sel.Members.AgentTag = c.Values.ImageTag
}

func reasons(c *configured.Agent) string {
	var out strings.Builder
	for _, l := range c.LeftOut {
		fmt.Fprintf(&out, "\n  %s %s in group %s: %s", l.Type, l.Key, l.Group, l.Reason)
	}
	if out.Len() == 0 {
		return ""
	}
	return ":" + out.String()
}

func pluginKeys(t agent.PluginType, enabled []agent.EnabledPlugin) ([]agent.PluginKey, error) {
	var keys []agent.PluginKey
	for _, p := range enabled {
		key, err := agent.DecomposePluginKey(p.Key)
		if err != nil {
			return nil, fault.New(fault.Usage, "the %s in group %s: %w", t, strings.Join(p.Groups, ", "), err).
				WithHint("correct the key in the values: the agent refuses it")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// applyRepositories takes the repositories that are needed from the values, unless a flag or the lock
// has them. Header fields and credentials of the values are used only with the URL that the values
// have.
func (sel *Selection) applyRepositories(c *configured.Agent) error {
	configured := c.Values.Config.Plugins.Repositories
	for _, key := range slices.Concat(sel.Executors, sel.Sources, sel.Plugins) {
		name := key.Repository
		if name == "" {
			continue // this becomes an error when the indexes are read
		}
		r, found := configured[name]
		if i := slices.IndexFunc(sel.Repositories, func(r agent.Repository) bool { return r.Name == name }); i >= 0 {
			have := &sel.Repositories[i]
			if found && agent.Redact(have.URL) == agent.Redact(r.URL) {
				have.Headers = r.Headers
				if have.URL == agent.Redact(have.URL) {
					have.URL = r.URL
				}
			}
			continue
		}
		if !found || r.URL == "" {
			return fault.New(fault.Usage, "plugin %s: %w", key, index.UnknownName("", "repository", name, slices.Collect(maps.Keys(configured)))).
				WithHint("%s", strings.Join(append(slices.Clone(c.PassedOver), fmt.Sprintf("set plugins.repositories.%s.url in the values, or add %s", name, sel.upstreamFlag(name))), "\n"))
		}
		if strings.HasPrefix(r.URL, agent.Nowhere+"/") {
			return fault.New(fault.Usage, "plugin %s: the values are those of a mirror: its repository has the URL %s, which leads nowhere", key, r.URL).
				WithHint("leave out the file that botkube-mirror values printed\nor say where upstream has the indexes: %s", sel.upstreamFlags(configured))
		}
		sel.Repositories = append(sel.Repositories, agent.Repository{Name: name, URL: r.URL, Headers: r.Headers})
	}
	return nil
}

// upstreamFlags has a flag for each needed repository for which the values have the URL of a mirror.
func (sel *Selection) upstreamFlags(configured map[string]agent.Repository) string {
	var flags []string
	for _, key := range slices.Concat(sel.Executors, sel.Sources, sel.Plugins) {
		if strings.HasPrefix(configured[key.Repository].URL, agent.Nowhere+"/") {
			flags = append(flags, sel.upstreamFlag(key.Repository))
		}
	}
	slices.Sort(flags)
	return strings.Join(slices.Compact(flags), " ")
}

func (sel *Selection) upstreamFlag(name string) string {
	for _, r := range agent.DefaultRepositories(sel.Version) {
		if r.Name == name {
			return "--repository " + name + "=" + r.URL
		}
	}
	return "--repository " + name + "=URL"
}

package values

import (
	"maps"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// templates says which templates an agent would download from elsewhere at the
// first command of exec.
func (c *checking) templates(g audit.StartState) {
	sources, err := c.result.Templates(c.result.Version)
	if err != nil {
		c.fail(audit.KindSetting, "executors", "%v", err)
		return
	}
	c.templateDirectories()
	for _, key := range slices.SortedFunc(maps.Keys(sources), func(a, b agent.PluginKey) int { return strings.Compare(a.String(), b.String()) }) {
		plugin, byDefault := execOf(g, key)
		if plugin == nil {
			continue // that it is not there was reported
		}
		refs := slices.Clone(sources[key])
		slices.Sort(refs)
		for _, ref := range slices.Compact(refs) {
			if ref == "" {
				ref = byDefault
			}
			c.template(plugin, ref)
		}
	}
}

// templateDirectories wants exec to look for templates where a mirror has them. Of a
// site it downloads them, whatever the directory.
func (c *checking) templateDirectories() {
	sources, err := c.result.TemplateSources(c.result.Version)
	if err != nil || c.isSite() {
		return // an error was reported
	}
	for _, s := range sources {
		if s.Dir != "" && (len(s.Refs) == 0 || slices.ContainsFunc(s.Refs, downloads)) {
			c.fail(audit.KindSetting, "executors."+s.Group+"."+s.Key+".config.tmpDir", "it is %q, where exec would download its templates to at its first command: leave it out", s.Dir)
		}
	}
}

// execOf returns the plugin of a mirror that an agent takes a key for, and its
// default source of templates.
func execOf(g audit.StartState, key agent.PluginKey) (plugin *lock.Plugin, byDefault string) {
	data := g.Indexes[key.Repository]
	if data == nil {
		data = g.Upstream[key.Repository]
	}
	ix, err := agent.ReadIndex(data)
	if err != nil {
		return nil, ""
	}
	for _, e := range ix.Versions(agent.Executor, key.Name) {
		if key.Version != "" && key.Version != e.Version {
			continue
		}
		i := slices.IndexFunc(g.Lock.Plugins, func(p lock.Plugin) bool { return p.Matches(key.Repository, e) })
		if i < 0 {
			return nil, ""
		}
		return &g.Lock.Plugins[i], e.DefaultTemplates(key.Repository)
	}
	return nil, ""
}

// template wants a source of templates of a plugin to be in the mirror. Of a site, it must be
// one of the site's: an agent with an empty cache directory downloads what is configured.
func (c *checking) template(p *lock.Plugin, ref string) {
	if ref == "" || !downloads(ref) {
		return
	}
	at := ref
	if c.isSite() || c.base != "" {
		served, err := site.Templates(c.base, c.Lock)
		if err != nil {
			return // without a base URL, the indexes are damaged, which was reported
		}
		at = servedAt(served, c.base, p, ref)
	} else if mirroredTemplate(p, ref) < 0 {
		at = ""
	}
	switch at {
	case ref:
	case "":
		c.fail(audit.KindMissing, "", "the templates %s of %s are not in the mirror: exec would download them at its first command", agent.Redact(ref), p.Key())
	default:
		c.fail(audit.KindSetting, "executors.*."+p.Repository+"/"+p.Name+".config.templates", "exec would download %s at its first command: configure the ref %s in its place", agent.Redact(ref), at)
	}
}

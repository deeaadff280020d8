// Package values makes Helm values for a mirror ([Deploy]), and checks whether an agent with given
// values starts offline from a mirror ([Check]).
package values

import (
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// plugins has a lock's plugins by name.
type plugins map[pluginName][]*lock.Plugin

type pluginName struct {
	kind             agent.PluginType
	repository, name string
}

// pluginsOf returns the plugins of a lock, which may be nil.
func pluginsOf(l *lock.Lock) plugins {
	all := plugins{}
	if l != nil {
		for i := range l.Plugins {
			p := &l.Plugins[i]
			name := pluginName{p.Type, p.Repository, p.Name}
			all[name] = append(all[name], p)
		}
	}
	return all
}

func (all plugins) newest(t agent.PluginType, key agent.PluginKey) (newest *lock.Plugin) {
	for _, p := range all[pluginName{t, key.Repository, key.Name}] {
		if key.Covers(p.Key()) && (newest == nil || agent.Newer(p.Version, newest.Version)) {
			newest = p
		}
	}
	return newest
}

func (all plugins) lacks(t agent.PluginType, key agent.PluginKey, on agent.Platform) string {
	var versions []string
	var platforms []agent.Platform
	for _, p := range all[pluginName{t, key.Repository, key.Name}] {
		versions = append(versions, p.Version)
		for _, b := range p.Builds {
			if key.Covers(p.Key()) {
				platforms = append(platforms, b.Platform)
			}
		}
	}
	switch {
	case len(versions) == 0:
		return "not in the mirror"
	case len(platforms) == 0:
		return "the mirror has only " + strings.Join(versions, " and ")
	case !slices.Contains(platforms, on):
		return fmt.Sprintf("the mirror has it for %s, not for %s", agent.JoinPlatforms(platforms), on)
	}
	return ""
}

// similar returns the plugin that is most likely meant by one that is not mirrored, or "".
func (all plugins) similar(t agent.PluginType, key agent.PluginKey) string {
	if len(all[pluginName{t, key.Repository, key.Name}]) > 0 {
		return "" // another version or platform of it is mirrored
	}
	var keys []string
	for name := range all {
		if name.kind == t && (name.repository == key.Repository) != (name.name == key.Name) {
			keys = append(keys, name.repository+"/"+name.name)
		}
	}
	slices.Sort(keys)
	return spelling.Slip(key.Repository+"/"+key.Name, keys)
}

// mirrored says what a lock, which may be nil, has of plugins.
func mirrored(l *lock.Lock) func(agent.PluginType, agent.PluginKey) (version, indexURL string) {
	if l == nil {
		return nil
	}
	all, urls := pluginsOf(l), map[string]string{}
	for _, r := range l.Repositories {
		urls[r.Name] = r.URL
	}
	return func(t agent.PluginType, key agent.PluginKey) (version, indexURL string) {
		if p := all.newest(t, key); p != nil {
			version = p.Version
		}
		return version, urls[key.Repository]
	}
}

// downloads reports whether exec downloads a source of templates. Others are in its container.
func downloads(ref string) bool {
	_, local, _ := fetch.Locate(ref)
	return !local
}

// mirroredTemplate returns the index of a source among a plugin's mirrored templates, or -1.
func mirroredTemplate(p *lock.Plugin, ref string) int {
	return slices.IndexFunc(p.Templates, func(t lock.Template) bool { return t.Directory == agent.TemplateDirectory(ref) })
}

// servedAt returns where a site has a source of a plugin's templates, or "". The source may be a
// URL of the site at another place: the path has the digest.
func servedAt(served []form.Template, base string, p *lock.Plugin, ref string) string {
	i := mirroredTemplate(p, ref)
	at := ""
	for _, s := range served {
		switch {
		case s.Plugin != p.Key():
		case s.URL == ref:
			return ref
		case at == "" && (i >= 0 && s.Ref == p.Templates[i].Ref || strings.HasSuffix(ref, strings.TrimPrefix(s.URL, base))):
			at = s.URL
		}
	}
	return at
}

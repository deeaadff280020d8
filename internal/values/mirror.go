// Package values holds Helm values and mirrors against each other: with which values an
// agent starts from a mirror ([Deploy]), and whether it does with given ones ([Check]).
package values

import (
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// newest returns the plugin of a lock that an agent takes a key for, or nil.
func newest(l *lock.Lock, t agent.PluginType, key agent.PluginKey) (newest *lock.Plugin) {
	for i, p := range l.Plugins {
		if p.Type == t && key.Covers(p.Key()) && (newest == nil || agent.Newer(p.Version, newest.Version)) {
			newest = &l.Plugins[i]
		}
	}
	return newest
}

// mirrored says what a lock, which may be nil, has of plugins.
func mirrored(l *lock.Lock) configured.Mirrored {
	if l == nil {
		return nil
	}
	return func(t agent.PluginType, key agent.PluginKey) (version, indexURL string) {
		if p := newest(l, t, key); p != nil {
			version = p.Version
		}
		if i := slices.IndexFunc(l.Repositories, func(r lock.Repository) bool { return r.Name == key.Repository }); i >= 0 {
			indexURL = l.Repositories[i].URL
		}
		return version, indexURL
	}
}

// lacks says what of a plugin a lock does not have, or nothing.
func lacks(l *lock.Lock, t agent.PluginType, key agent.PluginKey, p agent.Platform) string {
	var versions []string
	var platforms []agent.Platform
	for _, plugin := range l.Plugins {
		if plugin.Repository != key.Repository || plugin.Type != t || plugin.Name != key.Name {
			continue
		}
		versions = append(versions, plugin.Version)
		if key.Version != "" && plugin.Version != key.Version {
			continue
		}
		for _, b := range plugin.Builds {
			platforms = append(platforms, b.Platform)
		}
	}
	switch {
	case len(versions) == 0:
		return "it is not in the mirror"
	case len(platforms) == 0:
		return "the mirror has it as " + strings.Join(versions, " and ")
	case !slices.Contains(platforms, p):
		return fmt.Sprintf("the mirror does not have it for %s, but for %s", p, agent.JoinPlatforms(platforms))
	}
	return ""
}

// downloads reports whether exec downloads a source of templates, or tries to. Others are in
// its own container.
func downloads(ref string) bool {
	_, local, _ := fetch.Locate(ref)
	return !local
}

// mirroredTemplate returns the index of a source of templates among those that are mirrored
// of a plugin, or -1.
func mirroredTemplate(p *lock.Plugin, ref string) int {
	return slices.IndexFunc(p.Templates, func(t lock.Template) bool { return t.Directory == agent.TemplateDirectory(ref) })
}

// servedAt returns where a site has a source of templates of a plugin, or "". The source may
// be a URL of the same site at another place: the path has the digest.
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

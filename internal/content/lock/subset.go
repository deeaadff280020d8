package lock

import (
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// PluginsOnly returns the lock without the images and the chart.
func (l *Lock) PluginsOnly() *Lock {
	part := *l
	part.AgentImage, part.WatcherImage, part.Chart = nil, nil, nil
	return &part
}

// ForPlatform returns the lock for the plugins directory of one platform. It has only plugins with
// a build for that platform.
func (l *Lock) ForPlatform(platform agent.Platform) *Lock {
	return l.PluginsOnly().Subset([]agent.Platform{platform}, func(Plugin) bool { return true })
}

// Subset returns the lock for some of its platforms and plugins. It keeps all repositories.
func (l *Lock) Subset(platforms []agent.Platform, keep func(Plugin) bool) *Lock {
	part := *l
	part.Platforms = slices.Clone(platforms)
	part.Repositories = slices.Clone(l.Repositories)
	part.Plugins, part.Artifacts = nil, nil
	for _, p := range l.Plugins {
		kept := keep(p)
		p.Builds = slices.DeleteFunc(slices.Clone(p.Builds), func(b Build) bool { return !slices.Contains(platforms, b.Platform) })
		if kept && len(p.Builds) > 0 {
			part.Plugins = append(part.Plugins, p)
		}
	}
	used := artifactsOf(part.Plugins)
	for _, a := range l.Artifacts {
		if used[a.URL] {
			part.Artifacts = append(part.Artifacts, a)
		}
	}
	for _, im := range l.Images() {
		part.SetImage(im.Role, im.forPlatforms(platforms))
	}
	part.Sort()
	return &part
}

// artifactsOf returns the URLs of the artifacts that plugins need.
func artifactsOf(plugins []Plugin) map[string]bool {
	urls := map[string]bool{}
	add := func(raw string) {
		if location, err := agent.ParseLocation(raw); err == nil {
			urls[location.URL] = true
		}
	}
	for _, p := range plugins {
		for _, b := range p.Builds {
			add(b.URL)
			for _, d := range b.Dependencies {
				add(d.URL)
			}
		}
		for _, t := range p.Templates {
			urls[t.URL] = true
		}
	}
	return urls
}

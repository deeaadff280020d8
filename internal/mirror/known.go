package mirror

import (
	"context"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// KnownPlugin is a version of a plugin, for shell completion.
type KnownPlugin struct {
	agent.PluginKey
	Type         agent.PluginType
	Platforms    []agent.Platform
	Dependencies []string
}

// Known returns the plugins of a mirror or lock.
func (s *Session) Known(ctx context.Context, target string) ([]KnownPlugin, error) {
	m, err := s.open(ctx, target)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	var all []KnownPlugin
	for _, p := range m.Lock.Plugins {
		known := KnownPlugin{PluginKey: p.Key(), Type: p.Type}
		for _, b := range p.Builds {
			known.Platforms = append(known.Platforms, b.Platform)
			for _, d := range b.Dependencies {
				known.Dependencies = append(known.Dependencies, d.Name)
			}
		}
		slices.Sort(known.Dependencies)
		known.Dependencies = slices.Compact(known.Dependencies)
		all = append(all, known)
	}
	return all, nil
}

// KnownOfficial returns Botkube's own plugins, without what only an index knows.
func KnownOfficial(version string) (all []KnownPlugin) {
	for key, kind := range agent.OfficialPlugins(version) {
		all = append(all, KnownPlugin{PluginKey: key, Type: kind})
	}
	return all
}

// KnownUpstream returns the plugins of the indexes that a store remembers, and their Botkube
// versions. dir is the store's. It asks no server, and writes nothing. An index at the URL of a
// wanted repository goes before others of its name. Without wanted ones, all names count.
func KnownUpstream(dir string, wanted []agent.Repository) (plugins []KnownPlugin, versions []string) {
	remembered, err := store.RememberedIndexes(dir)
	if err != nil {
		return nil, nil
	}
	defer remembered.Close()
	for _, ix := range remembered.All {
		if v := releaseOf(ix); v != "" && !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
	}
	for _, ix := range choose(remembered.All, wanted) {
		data, ok := remembered.Read(ix, index.MaxSize)
		if !ok {
			continue
		}
		read, err := index.Parse(data)
		if err != nil {
			continue
		}
		for _, e := range read.Entries {
			plugins = append(plugins, KnownPlugin{
				PluginKey: agent.PluginKey{Repository: ix.Repository, Name: e.Name, Version: e.Version}, Type: e.Type,
				Platforms: e.Platforms(), Dependencies: e.DependencyNames(),
			})
		}
	}
	return plugins, versions
}

// choose returns one index for each name, of those that are sorted by when they were read.
func choose(all []store.Index, wanted []agent.Repository) (chosen []store.Index) {
	at := func(ix store.Index) bool {
		return slices.ContainsFunc(wanted, func(r agent.Repository) bool { return r.Name == ix.Repository && agent.Redact(r.URL) == ix.URL })
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b store.Index) int {
		switch {
		case at(a) == at(b):
			return 0
		case at(a):
			return -1
		}
		return 1
	})
	for _, ix := range all {
		named := func(name string) bool { return name == ix.Repository }
		if len(wanted) > 0 && !slices.ContainsFunc(wanted, func(r agent.Repository) bool { return named(r.Name) }) ||
			slices.ContainsFunc(chosen, func(c store.Index) bool { return named(c.Repository) }) {
			continue
		}
		chosen = append(chosen, ix)
	}
	return chosen
}

// releaseOf returns the Botkube version whose default repository an index is, or "".
func releaseOf(ix store.Index) string {
	parts := strings.Split(ix.URL, "/")
	if len(parts) < 2 {
		return ""
	}
	version := parts[len(parts)-2]
	if !lock.IsTag(version) || !slices.ContainsFunc(agent.DefaultRepositories(version), func(r agent.Repository) bool { return r.URL == ix.URL }) {
		return ""
	}
	return version
}

// Tags returns tags of a repository in a registry, HOST[:PORT]/PATH.
func (s *Session) Tags(ctx context.Context, repository string) ([]string, error) {
	name, err := registry.ParseRepository(repository)
	if err != nil {
		return nil, err
	}
	repo, err := s.Registry.Repository(ctx, name, false)
	if err != nil {
		return nil, err
	}
	return repo.Tags(ctx)
}

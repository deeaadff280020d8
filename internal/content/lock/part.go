package lock

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// Selection selects a part of a lock. A key without a version selects all versions.
type Selection struct {
	// Platforms are the selected platforms. If it is empty, all are selected.
	Platforms []agent.Platform
	// Plugins are executors or sources. If Plugins, Executors and Sources are all empty, every
	// plugin is selected.
	Plugins, Executors, Sources []agent.PluginKey
	// Exclude are plugins to leave out.
	Exclude []agent.PluginKey
}

// Part returns the selected part of a lock, or the lock itself if the selection is empty. name is
// the name of the lock for messages. If the lock does not have a platform, the error is of kind
// [fault.Incomplete]. If it does not have a plugin, the error is of kind [fault.Usage].
func (l *Lock) Part(name string, s Selection) (*Lock, error) {
	named := len(s.Plugins)+len(s.Executors)+len(s.Sources) > 0
	if !named && len(s.Platforms)+len(s.Exclude) == 0 {
		return l, nil
	}
	for _, p := range s.Platforms {
		if !slices.Contains(l.Platforms, p) {
			return nil, fault.New(fault.Incomplete, "%s is for %[3]s, not for %[2]s", name, p, agent.JoinPlatforms(l.Platforms))
		}
	}
	excluded := func(k agent.PluginKey) bool { return covered(k, s.Exclude) }
	if err := errors.Join(
		l.lacks(name, "plugin", without(s.Plugins, excluded)),
		l.lacks(name, agent.Executor, without(s.Executors, excluded)),
		l.lacks(name, agent.Source, without(s.Sources, excluded)),
		l.lacks(name, "plugin", without(s.Exclude, func(k agent.PluginKey) bool { return k.Repository != "" })),
	); err != nil {
		return nil, fault.New(fault.Usage, "%w", err)
	}
	platforms := s.Platforms
	if len(platforms) == 0 {
		platforms = l.Platforms
	}
	ofType := map[agent.PluginType][]agent.PluginKey{agent.Executor: s.Executors, agent.Source: s.Sources}
	var problems []error
	part := l.Subset(platforms, func(p Plugin) bool {
		key := p.Key()
		if named && !covered(key, s.Plugins) && !covered(key, ofType[p.Type]) || excluded(key) {
			return false
		}
		for _, wanted := range s.Platforms {
			if !slices.ContainsFunc(p.Builds, func(b Build) bool { return b.Platform == wanted }) {
				problems = append(problems, fmt.Errorf("%s has no build of %s for %s", name, key, wanted))
			}
		}
		return true
	})
	if len(problems) > 0 {
		return nil, fault.New(fault.Incomplete, "%w", errors.Join(problems...))
	}
	// Leave out repositories without a selected plugin, as pull does.
	part.Repositories = slices.DeleteFunc(part.Repositories, func(r Repository) bool {
		return !slices.ContainsFunc(part.Plugins, func(p Plugin) bool { return p.Repository == r.Name })
	})
	if len(part.Plugins) == 0 {
		var out []string
		for _, key := range slices.Concat(s.Plugins, s.Executors, s.Sources) {
			if excluded(key) {
				out = append(out, key.String())
			}
		}
		if len(out) > 0 {
			return nil, fault.New(fault.Usage, "no plugin of %s is selected: --exclude leaves out %s", name, strings.Join(out, ", "))
		}
		return nil, fault.New(fault.Usage, "no plugin of %s is selected", name)
	}
	return part, nil
}

// Lacks returns an error that lists the plugins that the lock does not have. name is the name of
// the lock.
func (l *Lock) Lacks(name string, keys []agent.PluginKey) error { return l.lacks(name, "plugin", keys) }

func (l *Lock) lacks(name string, what agent.PluginType, keys []agent.PluginKey) error {
	const most = 50 // problems in an error, because finding similar names takes time
	var problems []error
	for _, key := range keys {
		if slices.ContainsFunc(l.Plugins, func(p Plugin) bool { return key.Covers(p.Key()) && (what == "plugin" || p.Type == what) }) {
			continue
		}
		var names, bare, versions, elsewhere []string
		for _, p := range l.Plugins {
			if what != "plugin" && p.Type != what {
				continue
			}
			if key.Repository == "" {
				names = append(names, p.Name)
			} else {
				names = append(names, p.Key().String())
			}
			if key.Repository == "" || key.Repository == p.Repository {
				bare = append(bare, p.Name)
			}
			if p.Name == key.Name {
				elsewhere = append(elsewhere, p.Key().String())
			}
			if p.Repository == key.Repository && p.Name == key.Name {
				versions = append(versions, p.Version)
			}
		}
		switch {
		case len(problems) == most:
			return errors.Join(append(problems, errors.New("further names were not checked"))...)
		case len(versions) > 0:
			problems = append(problems, index.UnknownName(fmt.Sprintf("%s/%s in %s", key.Repository, key.Name, name), "version", key.Version, versions))
		case len(elsewhere) > 0:
			problems = append(problems, index.UnknownName(name, string(what), key.String(), elsewhere))
		default:
			problem := index.UnknownName(name, string(what), key.String(), names)
			if near := spelling.Nearest(key.Name, bare); near != "" {
				problem = fmt.Errorf("%w; did you mean %s?", problem, agent.PluginKey{Repository: key.Repository, Name: near})
			}
			problems = append(problems, problem)
		}
	}
	return errors.Join(problems...)
}

func covered(key agent.PluginKey, by []agent.PluginKey) bool {
	return slices.ContainsFunc(by, func(k agent.PluginKey) bool { return k.Covers(key) })
}

// Narrow adjusts a part of a lock by the indexes. It removes JSON schemas that no plugin of the
// part needs. It gives each plugin the dependencies of the version that the agent regards as the
// newest. read returns the index of a repository.
func (l *Lock) Narrow(read func(Repository) (*index.Index, error)) error {
	for i, r := range l.Repositories {
		ix, err := read(r)
		byEntry := map[entryID]Plugin{}
		for _, p := range l.Plugins {
			if p.Repository == r.Name {
				byEntry[entryID{p.Type, p.Name, p.Version}] = p
			}
		}
		var used map[string]bool
		if err == nil {
			used, err = ix.Schemas(r.URL, func(e *agent.Entry) bool {
				_, is := byEntry[entryID{e.Type, e.Name, e.Version}]
				return is
			})
		}
		if err != nil {
			return fmt.Errorf("index of repository %q: %w", r.Name, err)
		}
		l.Repositories[i].Schemas = without(r.Schemas, func(s Schema) bool { return !used[s.URL] })
		newest := map[entryID]newestVersions{}
		for id, p := range byEntry {
			name := entryID{p.Type, p.Name, ""}
			if _, known := newest[name]; !known {
				newest[name] = findNewest(ix.Versions(id.Type, id.Name), byEntry)
			}
			p.setNewestDependencies(newest[name])
		}
	}
	used := artifactsOf(l.Plugins)
	l.Artifacts = without(l.Artifacts, func(a Artifact) bool { return !used[a.URL] })
	return nil
}

// entryID identifies an entry of an index.
type entryID struct {
	Type          agent.PluginType
	Name, Version string
}

// newestVersions are the newest versions of a plugin, as the agent sees them.
type newestVersions struct {
	// mirrored is the newest version in the mirror's index.
	mirrored Plugin
	// upstream has the names of the dependencies of the newest version in the upstream index.
	upstream []string
}

// findNewest finds the newest versions. versions are all versions of a plugin, the newest first.
func findNewest(versions []*agent.Entry, byEntry map[entryID]Plugin) (n newestVersions) {
	for i, e := range versions {
		if i == 0 {
			n.upstream = e.DependencyNames()
		}
		if p, is := byEntry[entryID{e.Type, e.Name, e.Version}]; is {
			n.mirrored = p
			break
		}
	}
	return n
}

// setNewestDependencies adds the dependencies of the newest versions to those of the plugin.
func (p Plugin) setNewestDependencies(newest newestVersions) {
	for i, b := range p.Builds {
		var listed []Dependency
		for _, other := range newest.mirrored.Builds {
			if other.Platform == b.Platform && newest.mirrored.Version != p.Version {
				listed = without(other.Dependencies, func(d Dependency) bool { return d.FromNewest })
			}
		}
		named := func(all []Dependency, d Dependency) bool {
			return slices.ContainsFunc(all, func(other Dependency) bool { return other.Name == d.Name })
		}
		all := without(b.Dependencies, func(d Dependency) bool {
			return d.FromNewest && (named(listed, d) || !slices.Contains(newest.upstream, d.Name))
		})
		for _, d := range listed {
			if d.FromNewest = true; !named(all, d) {
				all = append(all, d)
			}
		}
		slices.SortFunc(all, func(a, b Dependency) int { return strings.Compare(a.Name, b.Name) })
		p.Builds[i].Dependencies = all
	}
}

// without returns the elements for which drop returns false, or nil if there are none.
func without[E any](all []E, drop func(E) bool) (left []E) {
	for _, e := range all {
		if !drop(e) {
			left = append(left, e)
		}
	}
	return left
}

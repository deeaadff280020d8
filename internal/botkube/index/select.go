package index

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// Selection says what of the indexes is mirrored.
type Selection struct {
	// Plugins are the wanted plugins, whatever their type.
	Plugins []agent.PluginKey
	// Executors and Sources are wanted plugins of these types. If no plugin is named, all are
	// wanted, in their newest version.
	Executors []agent.PluginKey
	Sources   []agent.PluginKey
	// Exclude are plugins to leave out, in all versions unless the key has one.
	Exclude []agent.PluginKey
	// Platforms are the wanted platforms. Ignored if AllPlatforms is set.
	Platforms []agent.Platform
	// AllPlatforms wants each platform that a selected plugin is offered for.
	AllPlatforms bool
	// WhereStartable takes each plugin for those platforms that it can start on. Without it, it
	// must start on all.
	WhereStartable bool
	// Replacements are dependencies that are taken from elsewhere. If several are for the same
	// dependency, the first counts.
	Replacements []Replacement
}

// Selected is an entry that is mirrored.
type Selected struct {
	Repository string
	*agent.Entry
	// Newest is the newest entry of the plugin, whose dependencies the agent looks for too.
	Newest *agent.Entry
	// newestSelected is what is the newest to an agent that reads the mirror's index.
	newestSelected *agent.Entry
	// MirroredFor are the platforms that it is mirrored for.
	MirroredFor []agent.Platform
	// replacements are those of the selection that are for it.
	replacements []Replacement
	// given are all of the selection.
	given []Replacement
}

// newer returns the other entries whose dependencies the agent may look for.
func (s Selected) newer() []*agent.Entry { return []*agent.Entry{s.Newest, s.newestSelected} }

// Key returns the key that pins the entry.
func (s Selected) Key() agent.PluginKey {
	return agent.PluginKey{Repository: s.Repository, Name: s.Name, Version: s.Version}
}

// Select applies a selection to the indexes of repositories. The entries are in the order of
// repository, type, name and version. The error joins every name that the indexes lack, and
// every entry that could not start.
func Select(indexes map[string]*Index, s Selection) ([]Selected, []agent.Platform, error) {
	selected, err := selectEntries(indexes, s)
	if err != nil {
		return nil, nil, err
	}
	platforms, err := selectPlatforms(selected, s)
	if err != nil {
		return nil, nil, err
	}
	var problems []error
	for i := range selected {
		selected[i].replacements, selected[i].given = s.replacementsFor(selected[i].Key()), s.Replacements
		for _, p := range platforms {
			if err := startable(selected[i], p); err != nil {
				problems = append(problems, err)
				continue
			}
			selected[i].MirroredFor = append(selected[i].MirroredFor, p)
		}
	}
	if s.WhereStartable {
		selected = slices.DeleteFunc(selected, func(e Selected) bool { return len(e.MirroredFor) == 0 })
		platforms = slices.DeleteFunc(slices.Clone(platforms), func(p agent.Platform) bool {
			return !slices.ContainsFunc(selected, func(e Selected) bool { return slices.Contains(e.MirroredFor, p) })
		})
		if len(selected) > 0 {
			return selected, platforms, nil
		}
	}
	return selected, platforms, errors.Join(problems...)
}

func selectEntries(indexes map[string]*Index, s Selection) ([]Selected, error) {
	const most = 50 // problems in an error: finding similar names for each takes time
	var problems []error
	var selected []Selected
	for _, wanted := range []struct {
		keys  []agent.PluginKey
		types []agent.PluginType
		drop  bool
	}{{s.Plugins, anyType, false}, {s.Executors, anyType[:1], false}, {s.Sources, anyType[1:], false}, {s.Exclude, anyType, true}} {
		for _, key := range wanted.keys {
			found, err := find(indexes, key, wanted.types)
			if err != nil {
				problems = append(problems, err)
			}
			if len(problems) == most {
				return nil, errors.Join(append(problems, errors.New("the names after these were not checked"))...)
			}
			if !wanted.drop {
				selected = append(selected, found...)
			}
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if len(s.Plugins)+len(s.Executors)+len(s.Sources) == 0 {
		selected = newest(indexes)
	}
	excluded := map[agent.PluginKey]bool{}
	for _, key := range s.Exclude {
		excluded[key] = true
	}
	selected = slices.DeleteFunc(selected, func(e Selected) bool {
		key := e.Key()
		return excluded[key] || excluded[agent.PluginKey{Repository: key.Repository, Name: key.Name}]
	})
	slices.SortFunc(selected, func(a, b Selected) int {
		return cmp.Or(strings.Compare(a.Repository, b.Repository), strings.Compare(string(a.Type), string(b.Type)),
			strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	selected = slices.CompactFunc(selected, func(a, b Selected) bool { return a.Entry == b.Entry })
	if len(selected) == 0 {
		return nil, errors.New("no plugin is selected")
	}
	findNewest(indexes, selected)
	return selected, nil
}

// findNewest sets newestSelected. The versions of a plugin must be next to each other.
func findNewest(indexes map[string]*Index, selected []Selected) {
	is := map[*agent.Entry]bool{}
	for _, s := range selected {
		is[s.Entry] = true
	}
	for i := range selected {
		s := &selected[i]
		if i > 0 && selected[i-1].Newest == s.Newest {
			s.newestSelected = selected[i-1].newestSelected
			continue
		}
		versions := indexes[s.Repository].Versions(s.Type, s.Name)
		s.newestSelected = versions[slices.IndexFunc(versions, func(e *agent.Entry) bool { return is[e] })]
	}
}

func newest(indexes map[string]*Index) []Selected {
	var selected []Selected
	for repository, ix := range indexes {
		for i := range ix.Entries {
			e := &ix.Entries[i]
			if e == ix.Versions(e.Type, e.Name)[0] {
				selected = append(selected, Selected{Repository: repository, Entry: e, Newest: e})
			}
		}
	}
	return selected
}

var anyType = []agent.PluginType{agent.Executor, agent.Source}

// find returns the entries that a key names: an executor and a source may have the same name.
func find(indexes map[string]*Index, key agent.PluginKey, types []agent.PluginType) ([]Selected, error) {
	ix, found := indexes[key.Repository]
	if !found {
		return nil, unknownRepository(indexes, key, types)
	}
	var selected []Selected
	var versions []string
	for _, t := range types {
		candidates := ix.Versions(t, key.Name)
		for i, e := range candidates {
			versions = append(versions, e.Version)
			if e.Version == key.Version || key.Version == "" && i == 0 {
				selected = append(selected, Selected{Repository: key.Repository, Entry: e, Newest: candidates[0]})
			}
		}
	}
	switch {
	case len(selected) > 0:
		return selected, nil
	case len(versions) > 0:
		return nil, UnknownName(key.Repository+"/"+key.Name, "version", key.Version, versions)
	}
	what := "plugin"
	if len(types) == 1 {
		what = string(types[0])
	}
	if elsewhere := repositoriesOf(indexes, key.Name, types); len(elsewhere) > 0 {
		return nil, fmt.Errorf("repository %s has no %s %q; did you mean %s?", key.Repository, what, key.Name, strings.Join(elsewhere, ", "))
	}
	var names []string
	for _, e := range ix.Entries {
		if slices.Contains(types, e.Type) {
			names = append(names, e.Name)
		}
	}
	err := UnknownName("repository "+key.Repository, what, key.Name, names)
	if near := spelling.Nearest(key.Name, names); near != "" {
		return nil, fmt.Errorf("%w; did you mean %s/%s?", err, key.Repository, near)
	}
	return nil, err
}

// unknownRepository is the error of a key without a repository, or with one that is not there.
func unknownRepository(indexes map[string]*Index, key agent.PluginKey, types []agent.PluginType) error {
	there := repositoriesOf(indexes, key.Name, types)
	if key.Repository == "" && len(there) > 0 {
		return fmt.Errorf("plugin %q must be REPOSITORY/NAME: did you mean %s?", key, strings.Join(there, ", "))
	}
	if key.Repository == "" {
		var names []string
		for _, ix := range indexes {
			for _, e := range ix.Entries {
				names = append(names, e.Name)
			}
		}
		return fmt.Errorf("plugin %q must be REPOSITORY/NAME, and %w", key, UnknownName("", "plugin", key.Name, names))
	}
	err := UnknownName("", "repository", key.Repository, slices.Collect(maps.Keys(indexes)))
	if len(there) > 0 {
		return fmt.Errorf("%w; did you mean %s?", err, strings.Join(there, " or "))
	}
	return err
}

// repositoriesOf returns REPOSITORY/NAME for each repository that has a plugin of a name.
func repositoriesOf(indexes map[string]*Index, name string, types []agent.PluginType) (keys []string) {
	for _, repository := range slices.Sorted(maps.Keys(indexes)) {
		if slices.ContainsFunc(types, func(t agent.PluginType) bool { return len(indexes[repository].Versions(t, name)) > 0 }) {
			keys = append(keys, agent.PluginKey{Repository: repository, Name: name}.String())
		}
	}
	return keys
}

// CheckNames reports the keys that name nothing of the indexes.
func CheckNames(indexes map[string]*Index, keys []agent.PluginKey) error {
	var problems []error
	for _, key := range keys {
		if _, err := find(indexes, key, anyType); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func selectPlatforms(selected []Selected, s Selection) ([]agent.Platform, error) {
	offered := OfferedPlatforms(selected)
	if s.AllPlatforms {
		return offered, nil
	}
	var names []string
	for _, p := range offered {
		names = append(names, p.String())
	}
	platforms := slices.Clone(s.Platforms)
	slices.SortFunc(platforms, agent.ComparePlatforms)
	platforms = slices.Compact(platforms)
	var problems []error
	for _, p := range platforms {
		if !slices.Contains(offered, p) {
			problems = append(problems, UnknownName("", "platform", p.String(), names))
		}
	}
	return platforms, errors.Join(problems...)
}

// OfferedPlatforms returns the platforms that an entry has a URL for, sorted.
func OfferedPlatforms(selected []Selected) []agent.Platform {
	var offered []agent.Platform
	for _, e := range selected {
		offered = append(offered, e.Platforms()...)
	}
	slices.SortFunc(offered, agent.ComparePlatforms)
	return slices.Compact(offered)
}

// startable reports why the agent could not start an entry, even online: there is no URL, or a
// dependency is for other platforms only (pkg/plugin/manager.go, ensurePluginDownloaded).
func startable(e Selected, p agent.Platform) error {
	build, found := e.Build(p)
	if !found || build.URL == "" {
		return fmt.Errorf("%s (%s) cannot start on %s: the index has it only for %s; leave the plugin out: --exclude %s/%s",
			e.Key(), e.Type, p, agent.JoinPlatforms(e.Platforms()), e.Repository, e.Name)
	}
	listed := e.Dependencies(p)
	for _, by := range append(e.newer(), e.Entry) {
		for _, name := range by.DependencyNames() {
			if _, is := listed[name]; !is {
				return fmt.Errorf("%s (%s) cannot start on %s: the index has its dependency %q only for %s; leave the plugin out: --exclude %s/%s, or supply the dependency: --dependency %s=URL",
					e.Key(), e.Type, p, name, agent.JoinPlatforms(by.PlatformsOf(name)), e.Repository, e.Name, Replacement{Plugin: e.Key(), Dependency: name, Platform: p}.Beside(e.given))
			}
		}
	}
	return nil
}

// SelectedDependency is a dependency of a selected entry.
type SelectedDependency struct {
	URL string
	// FromNewest says that only a newer entry lists it.
	FromNewest bool
	// Replacement, if not nil, says where the URL is from. Replaced is what the index has, or "" if
	// it has none for the platform.
	Replacement *Replacement
	Replaced    string
}

// Dependencies returns what the entry's dependency directory needs on a platform, by name. These are
// its own, those that only a newer entry lists, and the replacements of either.
func (s Selected) Dependencies(p agent.Platform) map[string]SelectedDependency {
	all := map[string]SelectedDependency{}
	for _, newer := range s.newer() {
		build, _ := newer.Build(p)
		for name, url := range build.Dependencies {
			all[name] = SelectedDependency{URL: url, FromNewest: true}
		}
	}
	own, _ := s.Build(p)
	for name, url := range own.Dependencies {
		all[name] = SelectedDependency{URL: url}
	}
	for i, r := range s.replacements {
		if d := all[r.Dependency]; d.Replacement == nil && r.suits(p) && s.lists(r.Dependency) {
			own := slices.Contains(s.DependencyNames(), r.Dependency)
			all[r.Dependency] = SelectedDependency{URL: r.At(p), FromNewest: !own, Replacement: &s.replacements[i], Replaced: d.URL}
		}
	}
	return all
}

// UnknownName returns the error that the owner does not have something of a name. It lists what the
// owner has, the most similar first.
func UnknownName(owner, what, name string, known []string) error {
	const most = 50
	distance := map[string]int{}
	for _, k := range known {
		distance[k] = spelling.Distance(k, name)
	}
	known = slices.SortedFunc(maps.Keys(distance), func(a, b string) int {
		return cmp.Or(distance[a]-distance[b], strings.Compare(a, b))
	})
	none, some := "there is no", "there is"
	if owner != "" {
		none, some = owner+" has no", "it has"
	}
	if len(known) == 0 {
		return fmt.Errorf("%s %s %q: there are none", none, what, name)
	}
	shown, more := known[:min(len(known), most)], ""
	if len(known) > most {
		more = fmt.Sprintf(" and %d more", len(known)-most)
	}
	return fmt.Errorf("%s %s %q; %s: %s%s", none, what, name, some, strings.Join(shown, ", "), more)
}

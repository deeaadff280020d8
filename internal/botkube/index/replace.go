package index

import (
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// Replacement is where a dependency is taken from, whatever the index has. It also supplies a
// platform for which the index lists the plugin, but not the dependency.
type Replacement struct {
	// Plugin has all versions unless the key has one.
	Plugin     agent.PluginKey
	Dependency string
	// URL may hold {os} and {arch}, which stand for those of the platform.
	URL string
	// Platform, if not zero, is the only platform that the replacement is for.
	Platform agent.Platform
	// Pinned says that the replacement comes from a lock.
	Pinned bool
}

// String returns what names the replacement: REPOSITORY/PLUGIN:DEPENDENCY[@PLATFORM].
func (r Replacement) String() string {
	name := r.Plugin.String() + ":" + r.Dependency
	if r.Platform != (agent.Platform{}) {
		name += "@" + r.Platform.String()
	}
	return name
}

// Overlaps reports whether two replacements are for the same dependency.
func (r Replacement) Overlaps(other Replacement) bool {
	return r.Dependency == other.Dependency && (r.Plugin.Covers(other.Plugin) || other.Plugin.Covers(r.Plugin)) &&
		(r.suits(other.Platform) || other.suits(r.Platform))
}

// Beside widens a replacement for one platform of one version to as many platforms and versions as
// it can have without overlapping the given ones.
func (r Replacement) Beside(given []Replacement) Replacement {
	all := agent.PluginKey{Repository: r.Plugin.Repository, Name: r.Plugin.Name}
	for _, wider := range []Replacement{{Plugin: all}, {Plugin: all, Platform: r.Platform}, {Plugin: r.Plugin}} {
		wider.Dependency = r.Dependency
		if !slices.ContainsFunc(given, wider.Overlaps) {
			return wider
		}
	}
	return r
}

// UnknownPlaceholder returns the first {…} in the URL that is neither {os} nor {arch}, or "".
func (r Replacement) UnknownPlaceholder() string {
	_, after, found := strings.Cut(r.At(agent.Platform{}), "{")
	name, _, closed := strings.Cut(after, "}")
	if !found || !closed {
		return ""
	}
	return "{" + name + "}"
}

// At returns the URL for a platform.
func (r Replacement) At(p agent.Platform) string {
	return strings.NewReplacer("{os}", p.OS, "{arch}", p.Arch).Replace(r.URL)
}

func (r Replacement) suits(p agent.Platform) bool {
	return r.Platform == agent.Platform{} || r.Platform == p
}

func (s Selection) replacementsFor(key agent.PluginKey) (all []Replacement) {
	for _, r := range s.Replacements {
		if r.Plugin.Covers(key) {
			all = append(all, r)
		}
	}
	return all
}

// lists reports whether the agent looks for a dependency of the entry, on whatever platform.
func (s Selected) lists(dependency string) bool {
	return slices.ContainsFunc(append(s.newer(), s.Entry), func(e *agent.Entry) bool { return slices.Contains(e.DependencyNames(), dependency) })
}

// Takes reports whether something of the entry is replaced.
func (s Selected) Takes(r Replacement) bool {
	return r.Plugin.Covers(s.Key()) && s.lists(r.Dependency) && slices.ContainsFunc(s.MirroredFor, r.suits)
}

// CheckReplacement reports a replacement of what the indexes do not have, with what they have.
func CheckReplacement(indexes map[string]*Index, r Replacement) error {
	if _, err := find(indexes, r.Plugin, anyType); err != nil {
		return err
	}
	var names []string
	for _, t := range anyType {
		for _, e := range indexes[r.Plugin.Repository].Versions(t, r.Plugin.Name) {
			// The agent looks for those of the newest that it knows, whichever version it starts.
			names = append(names, e.DependencyNames()...)
			if e.Version == r.Plugin.Version {
				break
			}
		}
	}
	if !slices.Contains(names, r.Dependency) {
		return UnknownName(r.Plugin.String(), "dependency", r.Dependency, names)
	}
	return nil
}

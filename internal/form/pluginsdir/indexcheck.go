package pluginsdir

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// IndexProblems compares a rewritten index with the lock. The index must have exactly the lock's
// plugins of the repository, each with the given builds, and nothing else to download. If the agent
// refuses the index, err says why.
func IndexProblems(ix *agent.Index, err error, l *lock.Lock, r lock.Repository, builds func(lock.Plugin) (map[agent.Platform]agent.Build, error)) []string {
	if err != nil {
		return []string{"the agent refuses the index: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	var problems []string
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	plugins, seen := pluginsOf(l, r.Name), map[entryKey]bool{}
	for i := range ix.Entries {
		e := &ix.Entries[i]
		p, named := plugins[keyOf(e)]
		if !named {
			report("the index lists %s, which is not in the lock", e.Label())
			continue
		}
		seen[keyOf(e)] = true
		for _, ref := range e.RefURLs() {
			report("%s refers to a JSON schema at %s", e.Label(), agent.Redact(ref))
		}
		want, err := builds(p)
		if err != nil {
			report("%s: %v", e.Label(), err)
			continue
		}
		problems = append(problems, buildProblems(e, ownDependencies(p, want))...)
	}
	for _, p := range l.Plugins {
		if p.Repository == r.Name && !seen[entryKey{p.Type, p.Name, p.Version}] {
			report("the index lacks %s %s, which is in the lock", p.Type, p.Key())
		}
	}
	return problems
}

// ownDependencies drops what only a newer version of a plugin lists: it is
// mirrored, but rewriting an entry does not add it.
func ownDependencies(p lock.Plugin, builds map[agent.Platform]agent.Build) map[agent.Platform]agent.Build {
	for _, b := range p.Builds {
		for _, d := range b.Dependencies {
			if d.FromNewest {
				delete(builds[b.Platform].Dependencies, d.Name)
			}
		}
	}
	return builds
}

// buildProblems compares the builds of an entry.
func buildProblems(e *agent.Entry, want map[agent.Platform]agent.Build) []string {
	var problems []string
	for _, u := range e.URLs {
		if _, wanted := want[agent.Platform(u.Platform)]; !wanted {
			problems = append(problems, fmt.Sprintf("%s has a build for %.40s/%.40s, which is not in the lock", e.Label(), u.Platform.OS, u.Platform.Arch))
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(want), agent.ComparePlatforms) {
		have, offered := e.Build(p)
		w := want[p]
		switch {
		case !offered:
			problems = append(problems, fmt.Sprintf("%s has no build for %s", e.Label(), p))
		case have.URL != w.URL:
			problems = append(problems, fmt.Sprintf("%s for %s has the URL %.300q, but should have %s", e.Label(), p, agent.Redact(have.URL), w.URL))
		case have.Checksum != w.Checksum:
			problems = append(problems, fmt.Sprintf("%s for %s has the checksum %.80q, but should have %s", e.Label(), p, have.Checksum, w.Checksum))
		case !reflect.DeepEqual(have.Dependencies, w.Dependencies):
			problems = append(problems, dependencyProblems(e, p, have.Dependencies, w.Dependencies)...)
		}
	}
	return problems
}

func dependencyProblems(e *agent.Entry, p agent.Platform, have, want map[string]string) []string {
	var problems []string
	names := slices.Concat(slices.Collect(maps.Keys(have)), slices.Collect(maps.Keys(want)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		h, listed := have[name]
		w, wanted := want[name]
		switch {
		case h == w:
		case !listed:
			problems = append(problems, fmt.Sprintf("%s for %s lacks the dependency %s", e.Label(), p, name))
		case !wanted:
			problems = append(problems, fmt.Sprintf("%s for %s has the dependency %.80q, which is not in the lock", e.Label(), p, name))
		default:
			problems = append(problems, fmt.Sprintf("the dependency %s of %s for %s has the URL %.300q, but should have %s", name, e.Label(), p, agent.Redact(h), w))
		}
	}
	return problems
}

// MountIn returns where the agent must see a directory, by one of its indexes, which the
// agent takes if err is nil; empty if that cannot be told.
func MountIn(ix *agent.Index, err error, repository string, p agent.Platform) string {
	if err != nil {
		return ""
	}
	for i := range ix.Entries {
		e := &ix.Entries[i]
		build, _ := e.Build(p)
		u, err := url.Parse(build.URL)
		if err != nil {
			continue
		}
		if mount, ok := strings.CutSuffix(u.Path, "/"+agent.BinaryPath(repository, e.Type, e.Version, e.Name)); ok {
			return "/" + strings.TrimPrefix(mount, "/")
		}
	}
	return ""
}

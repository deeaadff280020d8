package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// StartState is what an agent finds when it starts.
type StartState struct {
	agent.Startup
	// Version is as in [Prediction].
	Version string
	// Lock has the plugins that can be enabled.
	Lock *lock.Lock
	// Within reports whether a URL is in the mirror.
	Within func(url string) bool
	// OnDisk means that the mirror is the cache directory itself, so that nothing can be downloaded
	// from it.
	OnDisk bool
}

// Predict says what the agent would do with each plugin of the lock. It tries them one by one, because
// the agent gives up at the first plugin that it does not find.
func (g StartState) Predict() Prediction {
	o := Prediction{Platform: g.Platform, Version: g.Version, External: []Call{}}
	calls := map[agent.Call]bool{}
	for _, k := range keys(g.Lock, g.Platform) {
		o.Plugins++
		made, err := g.Startup.Predict(k)
		for _, c := range made {
			call := Call{Kind: c.Kind, Plugin: k.Key, Dependency: c.Dependency, URL: agent.Redact(c.URL), Because: g.because(c, k.Key)}
			// The index of a repository is downloaded once, whoever needs it.
			id := agent.Call{Kind: c.Kind, Dependency: c.Dependency, URL: c.URL}
			if calls[id] {
				continue
			}
			calls[id] = true
			switch {
			case !g.Within(c.URL):
				o.External = append(o.External, call)
			case g.OnDisk:
				o.Failures = append(o.Failures, fmt.Sprintf("%s %s: %s", k.Type, k.Key, call.Because))
			default:
				o.FromMirror++
			}
		}
		if err != nil {
			o.Failures = append(o.Failures, fmt.Sprintf("%s %s: %v", k.Type, k.Key, err))
		}
	}
	slices.SortFunc(o.External, func(a, b Call) int {
		return cmp.Or(strings.Compare(a.Plugin, b.Plugin), strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Dependency, b.Dependency), strings.Compare(a.URL, b.URL))
	})
	return o
}

// PredictOne returns the downloads from outside the mirror, and why a plugin would not start.
func (g *StartState) PredictOne(p agent.EnabledPlugin) (external []Call, err error) {
	made, err := g.Startup.Predict(p)
	for _, c := range made {
		if !g.Within(c.URL) {
			external = append(external, Call{Kind: c.Kind, Plugin: p.Key, Dependency: c.Dependency, URL: agent.Redact(c.URL), Because: g.because(c, p.Key)})
		}
	}
	return external, err
}

// because says why the agent makes a call.
func (g StartState) because(c agent.Call, key string) string {
	switch c.Kind {
	case agent.CallIndex:
		if _, there := g.Indexes[c.Repository]; there {
			return fmt.Sprintf("the index of the mirror does not have %s, so the agent asks upstream", key)
		}
		return agent.IndexPath(c.Repository) + " is missing"
	case agent.CallDependency:
		return fmt.Sprintf("dependency %s is missing", c.Dependency)
	}
	return "its binary is missing"
}

// keys returns the plugins for a platform: by name and, if there are several versions, by each.
func keys(l *lock.Lock, p agent.Platform) []agent.EnabledPlugin {
	type name struct {
		kind agent.PluginType
		key  string
	}
	versions := map[name][]string{}
	var names []name
	for _, plugin := range l.Plugins {
		if !slices.ContainsFunc(plugin.Builds, func(b lock.Build) bool { return b.Platform == p }) {
			continue
		}
		n := name{plugin.Type, plugin.Repository + "/" + plugin.Name}
		if versions[n] == nil {
			names = append(names, n)
		}
		versions[n] = append(versions[n], plugin.Version)
	}
	var all []agent.EnabledPlugin
	for _, n := range names {
		all = append(all, agent.EnabledPlugin{Type: n.kind, Key: n.key})
		if len(versions[n]) > 1 {
			for _, v := range versions[n] {
				all = append(all, agent.EnabledPlugin{Type: n.kind, Key: n.key + "@" + v})
			}
		}
	}
	return all
}

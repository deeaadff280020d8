package pluginsdir

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Rewrite returns the index of a repository with exactly the plugins of a lock,
// each with the builds that it is given.
func Rewrite(l *lock.Lock, r lock.Repository, upstream Index, builds func(lock.Plugin) (map[agent.Platform]agent.Build, error)) ([]byte, error) {
	ix, err := index.Parse(upstream.Data)
	if err != nil {
		return nil, fault.New(fault.Integrity, "reading the index of %q: %w", r.Name, err)
	}
	base, err := url.Parse(r.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the URL of %q: %w", r.Name, err)
	}
	var problem error
	rewritten, err := ix.Rewrite(func(e *agent.Entry) (index.Replacement, bool) {
		i := slices.IndexFunc(l.Plugins, func(p lock.Plugin) bool { return p.Matches(r.Name, e) })
		if i < 0 || problem != nil {
			return index.Replacement{}, false
		}
		made, err := builds(l.Plugins[i])
		if err != nil {
			problem = fmt.Errorf("plugin %s: %w", l.Plugins[i].Key(), err)
		}
		return index.Replacement{Builds: made, Schemas: upstream.schemasOf(e, base)}, true
	})
	if problem != nil {
		return nil, fmt.Errorf("rewriting the index of %q: %w", r.Name, problem)
	}
	if err != nil {
		return nil, fault.New(fault.Integrity, "rewriting the index of %q: %w", r.Name, err)
	}
	return rewritten, nil
}

// schemasOf returns the schemas by the URLs that an entry has.
func (ix Index) schemasOf(e *agent.Entry, base *url.URL) map[string]string {
	byRef := map[string]string{}
	for _, ref := range e.RefURLs() {
		abs, err := agent.ResolveLocation(base, ref)
		if text, found := ix.Schemas[agent.Redact(abs)]; err == nil && found {
			byRef[ref] = text
		}
	}
	return byRef
}

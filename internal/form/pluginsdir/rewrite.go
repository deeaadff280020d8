package pluginsdir

import (
	"fmt"
	"net/url"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Rewrite returns the indexes of a lock's repositories as documents at paths, with exactly
// the plugins of the lock, each with the builds that it is given.
func Rewrite(l *lock.Lock, p agent.Platform, from Indexes, at func(repository string) string, builds func(lock.Plugin) (map[agent.Platform]agent.Build, error)) ([]Document, error) {
	var indexes []Document
	for _, r := range l.Repositories {
		upstream, err := from.Index(p, r)
		if err != nil {
			return nil, fmt.Errorf("index of repository %q: %w", r.Name, err)
		}
		rewritten, err := rewrite(l, r, upstream, builds)
		if err != nil {
			return nil, err
		}
		indexes = append(indexes, Document{at(r.Name), rewritten})
	}
	return indexes, nil
}

func rewrite(l *lock.Lock, r lock.Repository, upstream Index, builds func(lock.Plugin) (map[agent.Platform]agent.Build, error)) ([]byte, error) {
	ix, err := index.Parse(upstream.Data)
	if err != nil {
		return nil, fault.New(fault.Integrity, "index of repository %q: %w", r.Name, err)
	}
	base, err := url.Parse(r.URL)
	if err != nil {
		return nil, fmt.Errorf("URL of repository %q: %w", r.Name, err)
	}
	var problem error
	plugins := pluginsOf(l, r.Name)
	rewritten, err := ix.Rewrite(func(e *agent.Entry) (index.Rewritten, bool) {
		p, named := plugins[keyOf(e)]
		if !named || problem != nil {
			return index.Rewritten{}, false
		}
		made, err := builds(p)
		if err != nil {
			problem = fmt.Errorf("plugin %s: %w", p.Key(), err)
		}
		return index.Rewritten{Builds: ownDependencies(p, made), Schemas: upstream.schemasOf(e, base)}, true
	})
	if problem != nil {
		return nil, fmt.Errorf("rewriting the index of repository %q: %w", r.Name, problem)
	}
	if err != nil {
		return nil, fault.New(fault.Integrity, "rewriting the index of repository %q: %w", r.Name, err)
	}
	return rewritten, nil
}

// entryKey tells the entries of an index from each other.
type entryKey struct {
	kind          agent.PluginType
	name, version string
}

func keyOf(e *agent.Entry) entryKey { return entryKey{e.Type, e.Name, e.Version} }

// pluginsOf returns the plugins of a repository by the entries of its index.
func pluginsOf(l *lock.Lock, repository string) map[entryKey]lock.Plugin {
	plugins := map[entryKey]lock.Plugin{}
	for _, p := range l.Plugins {
		if p.Repository == repository {
			plugins[entryKey{p.Type, p.Name, p.Version}] = p
		}
	}
	return plugins
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

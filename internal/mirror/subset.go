package mirror

import (
	"fmt"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// SubsetOptions say which part of a mirror is taken. Empty means all of it.
type SubsetOptions struct {
	Platforms []agent.Platform
	Plugins   []agent.PluginKey
	Exclude   []agent.PluginKey
}

// subset returns the part of a lock that is wanted, as a pull of it would have written it.
func (src *source) subset(o SubsetOptions) (*lock.Lock, error) {
	if len(o.Platforms)+len(o.Plugins)+len(o.Exclude) == 0 {
		return src.Lock, nil
	}
	for _, p := range o.Platforms {
		if !slices.Contains(src.Lock.Platforms, p) {
			return nil, fault.New(fault.Incomplete, "%s is not for %s, but for %s", src.Mirror, p, agent.JoinPlatforms(src.Lock.Platforms)).
				WithHint("pull it for that platform too, where there is internet: --platform %s", p)
		}
	}
	for _, key := range slices.Concat(o.Plugins, o.Exclude) {
		var names []string
		for _, p := range src.Lock.Plugins {
			names = append(names, p.Key().String())
		}
		if !slices.ContainsFunc(src.Lock.Plugins, func(p lock.Plugin) bool { return key.Covers(p.Key()) }) {
			return nil, fault.New(fault.Usage, "%w", index.UnknownName("plugin", key.String(), names)).
				WithHint("see what %s holds: botkube-mirror list %s", src.Mirror, src.Mirror)
		}
	}
	platforms := o.Platforms
	if len(platforms) == 0 {
		platforms = src.Lock.Platforms
	}
	part := src.Lock.Subset(platforms, func(p lock.Plugin) bool {
		named := func(keys []agent.PluginKey) bool {
			return slices.ContainsFunc(keys, func(k agent.PluginKey) bool { return k.Covers(p.Key()) })
		}
		return (len(o.Plugins) == 0 || named(o.Plugins)) && !named(o.Exclude)
	})
	// A pull leaves out repositories of which nothing is wanted, too.
	part.Repositories = slices.DeleteFunc(part.Repositories, func(r lock.Repository) bool {
		return !slices.ContainsFunc(part.Plugins, func(p lock.Plugin) bool { return p.Repository == r.Name })
	})
	if len(part.Plugins) == 0 {
		return nil, fault.New(fault.Usage, "%s holds nothing of what is selected", src.Mirror).
			WithHint("see what it holds: botkube-mirror list %s", src.Mirror)
	}
	return part, src.dropSchemas(part)
}

// dropSchemas takes JSON schemas out of a lock that only plugins refer to that are not in it.
func (src *source) dropSchemas(l *lock.Lock) error {
	for i, r := range l.Repositories {
		if len(r.Schemas) == 0 || src.Blobs == nil {
			continue
		}
		var ix *index.Index
		data, err := src.Blobs.ReadAll(r.Index.SHA256, index.MaxSize)
		if err == nil {
			ix, err = index.Parse(data)
		}
		var used map[string]bool
		if err == nil {
			used, err = ix.Schemas(r.URL, func(e *agent.Entry) bool {
				return slices.ContainsFunc(l.Plugins, func(p lock.Plugin) bool { return p.Matches(r.Name, e) })
			})
		}
		if err != nil {
			return fmt.Errorf("reading the index of %q: %w", r.Name, err)
		}
		l.Repositories[i].Schemas = slices.DeleteFunc(slices.Clone(r.Schemas), func(s lock.Schema) bool { return !used[s.URL] })
	}
	return nil
}

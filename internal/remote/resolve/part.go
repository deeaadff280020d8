package resolve

import (
	"cmp"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// readLock reads the lock, if there is one. The version and the repositories come from the lock unless
// flags give them. So the flags with which the lock was made select all of it.
func (sel *Selection) readLock() error {
	if sel.Lock == "" {
		return nil
	}
	l, err := lock.ReadFile(sel.Lock)
	if err != nil {
		return err
	}
	sel.locked = l
	sel.Version = cmp.Or(sel.Version, l.BotkubeVersion)
	if len(sel.Repositories) > 0 {
		if err := sel.restrict(); err != nil || len(sel.Values) == 0 {
			return err
		}
	}
	// A flag may name a default repository, as --header does, although the lock has none of its
	// plugins.
	var known []agent.Repository
	for _, r := range l.Repositories {
		known = append(known, agent.Repository{Name: r.Name, URL: r.URL})
	}
	if l.BotkubeVersion != "" {
		known = append(known, agent.DefaultRepositories(l.BotkubeVersion)...)
	}
	for _, r := range known {
		if !names(sel.Repositories, r.Name) {
			sel.Repositories = append(sel.Repositories, r)
		}
	}
	return nil
}

func names(repositories []agent.Repository, name string) bool {
	return slices.ContainsFunc(repositories, func(r agent.Repository) bool { return r.Name == name })
}

// restrict selects the lock's plugins of the given repositories: without a lock, --repository selects
// its plugins, too. With values, it selects nothing.
func (sel *Selection) restrict() error {
	if len(sel.Values) > 0 {
		return nil
	}
	var given []string
	for _, r := range sel.Repositories {
		given = append(given, r.Name)
	}
	for _, key := range sel.Plugins {
		if key.Repository != "" && !slices.Contains(given, key.Repository) {
			return fault.New(fault.Usage, "plugin %s: %w", key, index.UnknownName("", "repository", key.Repository, given)).
				WithHint("leave out --repository: the lock has the URLs; or add --repository %s=URL", key.Repository)
		}
	}
	if len(sel.Plugins)+len(sel.Executors)+len(sel.Sources) > 0 {
		return nil
	}
	for _, p := range sel.locked.Plugins {
		if slices.Contains(given, p.Repository) {
			sel.Plugins = append(sel.Plugins, p.Key())
		}
	}
	for _, name := range given {
		of := func(key agent.PluginKey) bool { return key.Repository == name }
		if !slices.ContainsFunc(sel.Plugins, of) && !slices.ContainsFunc(sel.Exclude, of) {
			var locked, flags []string
			for _, r := range sel.locked.Repositories {
				locked, flags = append(locked, r.Name), append(flags, "--repository "+r.Name+"="+r.URL)
			}
			return sel.lacking(index.UnknownName("the lock "+sel.Lock, "repository", name, locked), append(flags, "--repository "+name+"=URL")...)
		}
	}
	return nil
}

// lacking returns the error for something that a lock does not have. Its hint names the flags with
// which a new lock has it.
func (sel *Selection) lacking(err error, flags ...string) error {
	hint := "see what the lock has: botkube-mirror list " + fault.Quote(sel.Lock)
	if len(flags) > 0 {
		hint += "\nto add it, write a new lock: run botkube-mirror lock with the same flags as before, but with " + strings.Join(flags, " ")
	}
	return fault.New(fault.Usage, "%w", err).WithHint("%s", hint)
}

// extended returns the flags that select what the lock has and what it lacks.
func (sel *Selection) extended() (flags []string) {
	var platforms, plugins []string
	for _, p := range sel.Platforms {
		if !slices.Contains(sel.locked.Platforms, p) {
			platforms = append(platforms, p.String())
		}
	}
	for _, key := range slices.Concat(sel.Plugins, sel.Executors, sel.Sources) {
		excluded := slices.ContainsFunc(sel.Exclude, func(k agent.PluginKey) bool { return k.Covers(key) })
		if !excluded && key.Repository != "" && sel.locked.Lacks("", []agent.PluginKey{key}) != nil && !slices.Contains(plugins, key.String()) {
			plugins = append(plugins, key.String())
		}
	}
	if len(platforms) > 0 {
		flags = append(flags, "--platform "+strings.ReplaceAll(agent.JoinPlatforms(sel.locked.Platforms), " ", "")+","+strings.Join(platforms, ","))
	}
	const most = 20 // plugins in a hint
	switch {
	case len(plugins) > most || len(plugins) > 0 && len(sel.locked.Plugins) > most:
		flags = append(flags, "a --plugin for each plugin, old and new")
	case len(plugins) > 0:
		var keys []string
		for _, p := range sel.locked.Plugins {
			keys = append(keys, p.Key().String())
		}
		slices.Sort(keys)
		flags = append(flags, "--plugin "+strings.Join(append(slices.Compact(keys), plugins...), ","))
	}
	return flags
}

// applyLock takes the selected part of the lock, and narrows the selection to it.
func (sel *Selection) applyLock() error {
	whole, name := sel.locked, "the lock "+sel.Lock
	if sel.Version != whole.BotkubeVersion {
		if whole.BotkubeVersion == "" {
			return fault.New(fault.Integrity, "%s has no Botkube version, but --version is %q", name, sel.Version).
				WithHint("leave out --version; or write a new lock: botkube-mirror lock --version %s", fault.Quote(sel.Version))
		}
		return fault.New(fault.Integrity, "%s is for Botkube version %q, not %q", name, whole.BotkubeVersion, sel.Version).
			WithHint("leave out --version: the lock has one; or write a new lock with botkube-mirror lock")
	}
	for _, r := range whole.Repositories {
		for _, given := range sel.Repositories {
			if given.Name == r.Name && agent.Redact(given.URL) != r.URL {
				return fault.New(fault.Integrity, "repository %s is at %s, but %s has %s", r.Name, agent.Redact(given.URL), name, r.URL).
					WithHint("leave out --repository: the lock has its URL; or write a new lock with botkube-mirror lock")
			}
		}
	}
	if sel.AllPlatforms {
		sel.AllPlatforms, sel.Platforms = false, nil
	}
	part, err := whole.Part(name, lock.Selection{
		Platforms: sel.Platforms, Plugins: sel.Plugins, Executors: sel.Executors, Sources: sel.Sources, Exclude: sel.Exclude,
	})
	if err != nil {
		return sel.lacking(err, sel.extended()...)
	}
	sel.pinned, sel.Platforms = part, part.Platforms
	if err := sel.applyExclusions(); err != nil {
		return err
	}
	sel.Plugins, sel.Executors, sel.Sources = nil, nil, nil
	for _, p := range part.Plugins {
		if p.Type == agent.Source {
			sel.Sources = append(sel.Sources, p.Key())
		} else {
			sel.Executors = append(sel.Executors, p.Key())
		}
	}
	sel.Repositories = slices.DeleteFunc(sel.Repositories, func(r agent.Repository) bool {
		return !slices.ContainsFunc(part.Repositories, func(p lock.Repository) bool { return p.Name == r.Name })
	})
	return sel.applyMembers()
}

// applyExclusions keeps the exclusions of plugins that the lock does not have. The index must have
// these plugins. So flags that left plugins out of the lock can be given again.
func (sel *Selection) applyExclusions() error {
	var known []string
	for _, r := range sel.Repositories {
		known = append(known, r.Name)
	}
	for _, r := range sel.locked.Repositories {
		known = append(known, r.Name)
	}
	for _, key := range sel.Exclude {
		if !slices.Contains(known, key.Repository) {
			return fault.New(fault.Usage, "--exclude %s: %w", key, index.UnknownName("", "repository", key.Repository, known))
		}
	}
	sel.Exclude = slices.DeleteFunc(slices.Clone(sel.Exclude), func(k agent.PluginKey) bool {
		return sel.locked.Lacks("", []agent.PluginKey{k}) == nil ||
			!slices.ContainsFunc(sel.pinned.Repositories, func(r lock.Repository) bool { return r.Name == k.Repository })
	})
	return nil
}

// applyMembers selects the lock's images and chart. It returns an error for one that the lock lacks.
func (sel *Selection) applyMembers() error {
	lacks := func(what, flag string) error {
		return sel.lacking(fault.New(fault.Usage, "the lock %s has no %s", sel.Lock, what), flag)
	}
	m := &sel.Members
	switch {
	case m.AgentImage != "" && sel.locked.AgentImage == nil:
		return lacks("agent image", "--with-agent-image")
	case m.Chart != "" && sel.locked.Chart == nil:
		return lacks("chart", "--with-chart")
	case sel.PluginsOnly:
		return nil
	}
	if im := sel.pinned.AgentImage; im != nil {
		m.AgentImage = cmp.Or(m.AgentImage, im.Reference)
	}
	if c := sel.pinned.Chart; c != nil {
		m.Chart = cmp.Or(m.Chart, c.URL)
	}
	return nil
}

// narrow removes the schemas and dependencies that only other plugins of the lock need. Only the index
// tells which they are.
func (sel *Selection) narrow(indexes map[string]*index.Index) error {
	if err := index.CheckNames(indexes, sel.Exclude); err != nil {
		return fault.New(fault.Usage, "--exclude: %w", err)
	}
	return sel.pinned.Narrow(func(r lock.Repository) (*index.Index, error) { return indexes[r.Name], nil })
}

// narrowTemplates keeps only the wanted templates in the pinned part.
func (sel *Selection) narrowTemplates(wanted []lock.Plugin) error {
	narrowed := *sel.pinned
	narrowed.Plugins = slices.Clone(narrowed.Plugins)
	for i, p := range narrowed.Plugins {
		j := slices.IndexFunc(wanted, func(w lock.Plugin) bool { return w.Key() == p.Key() && w.Type == p.Type })
		if j < 0 {
			continue
		}
		at := func(templates []lock.Template, t lock.Template) bool {
			return slices.ContainsFunc(templates, func(other lock.Template) bool { return other.Directory == t.Directory })
		}
		for _, t := range wanted[j].Templates {
			if !at(p.Templates, t) {
				var known, flags []string
				for _, t := range p.Templates {
					known, flags = append(known, t.Ref), append(flags, "--exec-template "+t.Ref)
				}
				return sel.lacking(index.UnknownName("the lock "+sel.Lock, "source of templates of "+p.Key().String(), t.Ref, known), append(flags, "--exec-template "+t.Ref)...)
			}
		}
		narrowed.Plugins[i].Templates = nil
		for _, t := range p.Templates {
			if at(wanted[j].Templates, t) {
				narrowed.Plugins[i].Templates = append(narrowed.Plugins[i].Templates, t)
			}
		}
	}
	if slices.EqualFunc(narrowed.Plugins, sel.pinned.Plugins, func(a, b lock.Plugin) bool { return len(a.Templates) == len(b.Templates) }) {
		return nil
	}
	sel.pinned = narrowed.Subset(narrowed.Platforms, func(lock.Plugin) bool { return true })
	return nil
}

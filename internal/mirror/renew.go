package mirror

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// next says how the mirror is brought up to date.
func (o *outdating) next() {
	f, name := o.found, "new"
	if !f.Outdated {
		return
	}
	if strings.Contains(filepath.Base(f.Target), name) {
		name = "next" // the target must not be written over
	}
	f.Next = append(f.Next, strings.Join(append(o.lockCommand(), name+".lock.json"), " "))
	if f.Target != form.StandardStream {
		f.Next = append(f.Next, fmt.Sprintf("botkube-mirror diff %s %s.lock.json", fault.Quote(f.Target), name))
	}
	f.Next = append(f.Next, fmt.Sprintf("botkube-mirror pull --lock %s.lock.json -o %[1]s.tar", name))
}

// lockCommand returns the command that pins what the lock has in the newest versions.
func (o *outdating) lockCommand() []string {
	command := []string{"botkube-mirror lock"}
	// A flag is added once: plugins have several versions, and an executor the name of a source.
	add := func(words ...string) {
		for i, word := range words {
			words[i] = fault.Quote(word)
		}
		if flag := strings.Join(words, " "); !slices.Contains(command, flag) {
			command = append(command, flag)
		}
	}
	tag := o.pinned.BotkubeVersion
	if r := o.found.Release; r != nil && r.Newer {
		tag = r.Version
	}
	if tag != "" {
		add("--version", tag)
	}
	o.addRepositories(tag, add)
	for _, p := range o.pinned.Platforms {
		add("--platform", p.String())
	}
	if !o.hasAll() {
		o.addPlugins(add)
	}
	o.addDependencies(add)
	o.addTemplates(add)
	o.addImages(tag, add)
	if c := o.pinned.Chart; c != nil {
		if resolve.IsChart(c.URL) {
			add("--with-chart")
		} else {
			add("--with-chart=" + strings.TrimSuffix(c.URL, path.Base(c.URL)))
		}
	}
	return command
}

// addImages names the images of the lock. That of the agent is of the new release.
func (o *outdating) addImages(tag string, add func(words ...string)) {
	im := o.pinned.AgentImage
	if im == nil {
		return
	}
	reference := strings.Replace(im.Reference, ":"+o.pinned.BotkubeVersion, ":"+tag, 1)
	if reference != im.Reference {
		reference, _, _ = strings.Cut(reference, "@") // the digest is of the image before
	}
	if resolve.IsAgentImage(im.Reference) {
		add("--with-agent-image")
	} else {
		add("--with-agent-image=" + reference)
	}
	if im.Index != nil && im.Index.ForOthers() {
		add("--whole-image")
	}
	switch watcher := o.pinned.WatcherImage; {
	case !chart.HasWatcher(cmp.Or(tag, chart.ImageVersion(reference))):
	case watcher == nil:
		add("--watcher-image", "none")
	case !resolve.IsAgentImage(im.Reference) || !chart.IsWatcherImage(watcher.Reference):
		add("--watcher-image", watcher.Reference)
	}
}

// addRepositories names the repositories unless they are those of the release.
func (o *outdating) addRepositories(tag string, add func(words ...string)) {
	if !slices.ContainsFunc(o.pinned.Repositories, func(r lock.Repository) bool { return !o.isDefault(r) }) {
		return
	}
	for _, r := range o.pinned.Repositories {
		for _, d := range agent.DefaultRepositories(tag) {
			if d.Name == r.Name && o.isDefault(r) {
				r.URL = d.URL
			}
		}
		add("--repository", r.Name+"="+r.URL)
	}
}

// successor returns the plugin that takes the place of one of the lock, and its newest entry. The
// entry is nil if the index was not read. It reports false if no plugin takes its place.
func (o *outdating) successor(repository string, t agent.PluginType, name string) (agent.PluginKey, *agent.Entry, bool) {
	key := agent.PluginKey{Repository: repository, Name: name}
	for _, n := range o.found.Plugins {
		if n.Repository != repository || n.Type != t || n.Name != name || n.Newest != "" {
			continue
		}
		if len(n.Elsewhere) == 0 {
			return key, nil, false
		}
		key.Repository = n.Elsewhere[len(n.Elsewhere)-1].Repository
	}
	for _, ix := range []*index.Index{o.released[key.Repository], o.current.Indexes[key.Repository]} {
		if ix != nil && len(ix.Versions(t, name)) > 0 {
			return key, ix.Versions(t, name)[0], true
		}
	}
	return key, nil, true
}

// addPlugins names the plugins of the lock. If one moved, it names the one in the new repository.
func (o *outdating) addPlugins(add func(words ...string)) {
	for _, p := range o.pinned.Plugins {
		if key, _, there := o.successor(p.Repository, p.Type, p.Name); there {
			add("--plugin", key.String())
		}
	}
}

// addDependencies names the replaced dependencies, and notes those that the new lock cannot have.
func (o *outdating) addDependencies(add func(words ...string)) {
	var done []string
	all := lock.ReplacedIn(o.pinned.Plugins)
	for _, d := range all {
		what := fmt.Sprintf("%s %s/%s:%s", d.Type, d.Plugin.Repository, d.Plugin.Name, d.Dependency)
		key, entry, there := o.successor(d.Plugin.Repository, d.Type, d.Plugin.Name)
		if slices.Contains(done, what) || !there {
			continue
		}
		done = append(done, what)
		newest := o.newestPinned(d)
		urls := map[agent.Platform]string{}
		for _, other := range all {
			if other.Plugin == newest && other.Type == d.Type && other.Dependency == d.Dependency {
				urls[other.Platform] = other.URL
			}
		}
		switch {
		case entry != nil && !slices.Contains(entry.DependencyNames(), d.Dependency):
			o.leaveOut("%s of %s: %s@%s does not need this dependency", d.Dependency, d.Plugin, key, entry.Version)
			continue
		case len(urls) == 0:
			o.leaveOut("%s of %s: the mirror's newer version %s does not replace it", d.Dependency, d.Plugin, newest.Version)
			continue
		}
		for _, value := range replacementFlags(key.String()+":"+d.Dependency, urls, o.pinned.Platforms) {
			add("--dependency", value)
		}
	}
}

func (o *outdating) leaveOut(format string, args ...any) {
	o.found.NextLeavesOut = append(o.found.NextLeavesOut, fmt.Sprintf(format, args...))
}

// newestPinned returns the plugin of a replaced dependency in the newest version that the lock has.
func (o *outdating) newestPinned(d lock.Replaced) agent.PluginKey {
	newest := d.Plugin
	for _, p := range o.pinned.Plugins {
		if p.Repository == newest.Repository && p.Type == d.Type && p.Name == newest.Name && agent.Newer(p.Version, newest.Version) {
			newest = p.Key()
		}
	}
	return newest
}

// replacementFlags returns the values of --dependency that give a dependency its URLs: one for all
// platforms if there is one, or one for each.
func replacementFlags(name string, urls map[agent.Platform]string, platforms []agent.Platform) (values []string) {
	if len(platforms) > 0 && len(urls) == len(platforms) {
		first := platforms[0]
		pattern := strings.NewReplacer(first.OS, "{os}", first.Arch, "{arch}").Replace(urls[first])
		for _, raw := range []string{urls[first], pattern} {
			if !slices.ContainsFunc(platforms, func(p agent.Platform) bool { return index.Replacement{URL: raw}.At(p) != urls[p] }) {
				return []string{name + "=" + raw}
			}
		}
	}
	for _, p := range platforms {
		if url, has := urls[p]; has {
			values = append(values, name+"@"+p.String()+"="+url)
		}
	}
	return values
}

// addTemplates names the templates that exec does not read by default.
func (o *outdating) addTemplates(add func(words ...string)) {
	for _, p := range o.pinned.Plugins {
		ix := o.current.Indexes[p.Repository]
		if ix == nil {
			continue
		}
		for _, e := range ix.Versions(p.Type, p.Name) {
			if e.Version != p.Version || !e.IsExec() {
				continue
			}
			if len(p.Templates) == 0 && e.DefaultTemplates(p.Repository) != "" {
				add("--no-exec-templates")
			}
			for _, t := range p.Templates {
				if t.Ref != e.DefaultTemplates(p.Repository) {
					add("--exec-template", t.Ref)
				}
			}
		}
	}
}

// hasAll reports whether the lock has every plugin of its repositories.
func (o *outdating) hasAll() bool {
	if len(o.current.Indexes) < len(o.pinned.Repositories) {
		return false
	}
	if o.pinned.BotkubeVersion != "" && slices.ContainsFunc(o.pinned.Repositories, o.isDefault) && len(o.pinned.Repositories) < len(agent.DefaultRepositories(o.pinned.BotkubeVersion)) {
		return false
	}
	for name, ix := range o.current.Indexes {
		for _, e := range ix.Entries {
			if !slices.ContainsFunc(o.pinned.Plugins, func(p lock.Plugin) bool { return p.Repository == name && p.Type == e.Type && p.Name == e.Name }) {
				return false
			}
		}
	}
	return true
}

package mirror

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// next says how the mirror is brought up to date.
func (o *outdating) next() {
	f, name := o.found, "new"
	if !f.Outdated {
		return
	}
	if strings.HasPrefix(f.Target, name) {
		name = "newer" // nothing is written over
	}
	f.Next = append(f.Next, strings.Join(append(o.lockCommand(), name+".lock.json"), " "))
	if f.Target != form.StandardStream {
		f.Next = append(f.Next, fmt.Sprintf("botkube-mirror diff %s %s.lock.json", quote(f.Target), name))
	}
	f.Next = append(f.Next, fmt.Sprintf("botkube-mirror pull --lock %s.lock.json -o %[1]s.tar", name))
}

// lockCommand returns the command that pins what the lock has in the newest versions.
func (o *outdating) lockCommand() []string {
	command := []string{"botkube-mirror", "lock"}
	add := func(flag, value string) { command = append(command, flag, quote(value)) }
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
	o.addTemplates(&command)
	if im := o.pinned.AgentImage; im != nil {
		if resolve.IsAgentImage(im.Reference) {
			command = append(command, "--with-agent-image")
		} else {
			command = append(command, "--with-agent-image="+quote(strings.Replace(im.Reference, ":"+o.pinned.BotkubeVersion, ":"+tag, 1)))
		}
	}
	if c := o.pinned.Chart; c != nil {
		if resolve.IsChart(c.URL) {
			command = append(command, "--with-chart")
		} else {
			command = append(command, "--with-chart="+quote(strings.TrimSuffix(c.URL, path.Base(c.URL))))
		}
	}
	return command
}

// addRepositories names the repositories unless they are those of the release.
func (o *outdating) addRepositories(tag string, add func(flag, value string)) {
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

// addPlugins names the plugins of the lock, and in the place of one that moved the one where it is.
func (o *outdating) addPlugins(add func(flag, value string)) {
	var names []string
	for _, p := range o.pinned.Plugins {
		key := p.Repository + "/" + p.Name
		for _, n := range o.found.Plugins {
			if n.Repository != p.Repository || n.Type != p.Type || n.Name != p.Name || n.Newest != "" {
				continue
			}
			key = ""
			for _, at := range n.Elsewhere {
				key = at.Repository + "/" + at.Name
			}
		}
		if key != "" && !slices.Contains(names, key) {
			names = append(names, key)
			add("--plugin", key)
		}
	}
}

// addDependencies names the dependencies that are not those of the indexes, each with one URL for all
// platforms.
func (o *outdating) addDependencies(add func(flag, value string)) {
	var named []string
	all := lock.ReplacedIn(o.pinned.Plugins)
	for _, d := range all {
		name := agent.PluginKey{Repository: d.Plugin.Repository, Name: d.Plugin.Name}.String() + ":" + d.Dependency
		pattern := strings.NewReplacer(d.Platform.OS, "{os}", d.Platform.Arch, "{arch}").Replace(d.URL)
		for _, raw := range []string{d.URL, pattern} {
			fits := !slices.ContainsFunc(all, func(other lock.Replaced) bool {
				return other.Plugin == d.Plugin && other.Dependency == d.Dependency && index.Replacement{URL: raw}.At(other.Platform) != other.URL
			})
			if fits && !slices.Contains(named, name) {
				named = append(named, name)
				add("--dependency", name+"="+raw)
			}
		}
	}
}

// addTemplates names the templates that exec does not read by default.
func (o *outdating) addTemplates(command *[]string) {
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
				*command = append(*command, "--no-exec-templates")
			}
			for _, t := range p.Templates {
				if t.Ref != e.DefaultTemplates(p.Repository) {
					*command = append(*command, "--exec-template", quote(t.Ref))
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

// quote returns a word of a command for a shell.
func quote(word string) string {
	if strings.ContainsFunc(word, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("@%+=:,./_-", r)
	}) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

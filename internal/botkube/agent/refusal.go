package agent

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Refusal is a reason for which the agent does not take its configuration.
type Refusal struct {
	// Setting is what is wrong.
	Setting string
	// Reason says in words why.
	Reason string
	// Variable is one of the environment with an unknown value that may change this; empty if it
	// is certain.
	Variable string

	of []string
}

func (r Refusal) String() string { return r.Setting + ": " + r.Reason }

// Refusals returns each reason for which an agent of a version would refuse the configuration,
// sorted. Withheld are variables of its environment with unknown values. The rules are those of
// pkg/config/validator.go and plugin.go, and of the fields' tags in config.go, at the tags
// v1.0.0 to v1.14.0. Warnings of the agent are not refusals. Tokens and keys are not checked,
// such as Slack's, which begin with xoxb- and xapp-, and PagerDuty's integrationKey: they often
// come by helm --set, by variables, or by tools that alter objects on their way to the cluster.
func (c *Config) Refusals(version string, withheld []string) []Refusal {
	r := &refusing{Config: c, version: version}
	for _, setting := range c.wrongKinds {
		if readKind(version, setting) {
			r.add(setting, nil, "the value has the wrong type")
		}
	}
	r.groups("sources", c.Sources)
	r.groups("executors", c.Executors)
	r.aliases()
	r.actions()
	r.platforms()
	slices.SortFunc(r.found, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(a.Setting, b.Setting), cmp.Compare(a.Reason, b.Reason))
	})
	for i := range r.found {
		r.found[i].Variable = r.found[i].decidedBy(withheld)
	}
	return r.found
}

// decidedBy returns which variable may change this, or "". The agent's keys match in any case.
func (r Refusal) decidedBy(withheld []string) string {
	for _, name := range slices.Sorted(slices.Values(withheld)) {
		key, ok := EnvironmentKey(name)
		key = strings.ToLower(key) + "."
		partOf := func(s string) bool {
			s = strings.ToLower(s) + "."
			return strings.HasPrefix(s, key) || strings.HasPrefix(key, s)
		}
		if ok && slices.ContainsFunc(append(r.of, r.Setting), partOf) {
			return name
		}
	}
	return ""
}

type refusing struct {
	*Config
	version string
	found   []Refusal
}

func (r *refusing) add(setting string, of []string, format string, args ...any) {
	r.found = append(r.found, Refusal{Setting: setting, Reason: fmt.Sprintf(format, args...), of: of})
}

// groups judges groups by themselves, bound or not (plugin.go, validatePlugins).
func (r *refusing) groups(section string, groups map[string]pluginGroup) {
	for name, g := range groups {
		at := section + "." + name
		for key, p := range g.Plugins {
			if _, err := DecomposePluginKey(key); p.Enabled && err != nil {
				r.add(at+"."+key, nil, "the key of an enabled plugin must be REPOSITORY/NAME or REPOSITORY/NAME@VERSION")
			}
		}
		for _, several := range conflicts(groups, []string{name}) {
			r.add(at, nil, "it enables several plugins of one name: %s", several)
		}
		if section == "executors" && g.DisplayName != "" && !Since(r.version, withDisplayName) {
			r.add(at+".displayName", nil, "before %s, the agent reads it as a plugin", withDisplayName)
		}
	}
}

// withDisplayName is the first version in which groups of executors have a display name
// (config.go, Executors).
const withDisplayName = "v1.8.0"

// ownCommands are those of the agent itself (pkg/execute/command/verb.go, AllVerbs).
var ownCommands = []string{"ping", "help", "version", "feedback", "list", "enable", "disable", "edit", "status", "show"}

// aliases wants each to be of a command that there is, enabled or not (aliasesStructValidator).
func (r *refusing) aliases() {
	executors := map[string]bool{}
	for _, g := range r.Executors {
		for key := range g.Plugins { // plugin.go, ExecutorNameForKey
			repository, name, found := strings.Cut(key, "/")
			if !found {
				name = repository
			} else {
				name, _, _ = strings.Cut(name, "@")
			}
			executors[name] = true
		}
	}
	for name, a := range r.Aliases {
		command, _, _ := strings.Cut(a.Command, " ")
		at := "aliases." + name + ".command"
		switch {
		case a.Command == "":
			r.add(at, nil, "it is empty")
		case !executors[command] && !slices.Contains(ownCommands, command):
			r.add(at, []string{"executors"}, "no executor is called %q, enabled or not", clip(command))
		}
	}
}

// withActionRights is the first version that judges rights in actions (validateActionExecutors).
const withActionRights = "v1.1.0"

func (r *refusing) actions() {
	for name, a := range r.Actions {
		at := "actions." + name
		if a.Enabled && a.Command == "" {
			r.add(at+".command", []string{at + ".enabled"}, "it is empty, but the action is enabled")
		}
		r.bindings(at+".bindings", a.Bindings)
		if !Since(r.version, withActionRights) {
			continue
		}
		for _, group := range unique(a.Bindings.Executors) {
			for key, p := range r.Executors[group].Plugins {
				if rights := p.Context.RBAC; p.Enabled && rights != nil && rights.Group.Type == "ChannelName" {
					r.add(at+".bindings.executors", []string{"executors." + group}, "%s in group %s needs the rights of a channel (context.rbac.group.type: ChannelName), and actions have none", key, group)
				}
			}
		}
	}
}

// platforms judges the chat platforms and what they bind, enabled or not.
func (r *refusing) platforms() {
	if len(r.Communications) == 0 {
		r.add("communications", nil, "it must have at least one group of chat platforms")
	}
	for _, p := range r.Config.platforms(r.version) {
		for _, b := range p.bindings {
			r.bindings(b.setting, b.bindings)
		}
	}
	for name, g := range r.Communications {
		at := "communications." + name + "."
		r.channels(at+"socketSlack", g.SocketSlack, "name")
		r.channels(at+"mattermost", g.Mattermost, "name")
		r.channels(at+"discord", g.Discord, "id")
		if hasPlatform(r.version, "cloudSlack") {
			r.channels(at+"cloudSlack", g.CloudSlack, "name")
		}
		r.parts(at+"elasticsearch", "indices", g.Elasticsearch.Enabled && g.Elasticsearch.Indices == nil)
		r.parts(at+"cloudTeams", "teams", g.CloudTeams.Enabled && g.CloudTeams.Teams == nil && hasPlatform(r.version, "cloudTeams"))
		r.parts(at+"slack", "channels", g.Slack.Enabled && g.Slack.Channels == nil && hasPlatform(r.version, "slack"))
	}
}

// parts says that an enabled platform lacks its parts (the tags required_if in config.go, for
// which an empty mapping is enough).
func (r *refusing) parts(at, what string, lacks bool) {
	if lacks {
		r.add(at+"."+what, []string{at + ".enabled"}, "it is empty, but %s is enabled", at[strings.LastIndex(at, ".")+1:])
	}
}

// withChannels is the first version that looks at channels (validateChannels).
const withChannels = "v1.2.0"

func (r *refusing) channels(at string, p chatPlatform, identifier string) {
	looks := Since(r.version, withChannels)
	r.parts(at, "channels", p.Enabled && (p.Channels == nil || looks && len(p.Channels) == 0))
	if !p.Enabled || !looks {
		return
	}
	for name, channel := range p.Channels {
		known := channel.Name
		if identifier == "id" {
			known = channel.ID
		}
		if known == nil || known == "" {
			r.add(at+".channels."+name+"."+identifier, []string{at + ".enabled"}, "it is empty, but %s is enabled", at[strings.LastIndex(at, ".")+1:])
		}
	}
}

func (r *refusing) bindings(at string, b bindings) {
	r.bound(at+".executors", "executors", r.Executors, b.Executors)
	r.bound(at+".sources", "sources", r.Sources, b.Sources)
}

// bound judges groups that are bound together (validateSourceBindings,
// validateExecutorBindings).
func (r *refusing) bound(at, section string, groups map[string]pluginGroup, names []string) {
	names = unique(names)
	var of, absent, absentOf []string
	for _, name := range names {
		of = append(of, section+"."+name)
		if _, there := groups[name]; !there {
			absent, absentOf = append(absent, clip(name)), append(absentOf, section+"."+name)
		}
	}
	if len(absent) > 0 {
		r.add(at, absentOf, "it names groups of %s that do not exist: %s", section, some(absent))
	}
	if len(names) < 2 {
		return // conflicts within a group are said of it
	}
	for _, several := range conflicts(groups, names) {
		r.add(at, of, "it binds several plugins of one name: %s", several)
	}
	r.rights(at, of, groups, names)
}

// rights wants a plugin to have the same in all groups bound together (validatePluginRBAC).
func (r *refusing) rights(at string, of []string, groups map[string]pluginGroup, names []string) {
	first := map[string]string{}
	for _, name := range names {
		for key, p := range groups[name].Plugins {
			if !p.Enabled {
				continue
			}
			other, before := first[key]
			if !before {
				first[key] = name
				continue
			}
			if !reflect.DeepEqual(groups[other].Plugins[key].Context.RBAC, p.Context.RBAC) {
				r.add(at, of, "it binds %s of groups %s and %s, which give it different rights (context.rbac)", key, other, name)
			}
		}
	}
}

// conflicts says which of the enabled plugins of groups cannot be bound together: of
// each name, the agent takes one repository and one version (plugin.go,
// validateBoundPlugins). Of several groups, conflicts within one are left out.
func conflicts(groups map[string]pluginGroup, names []string) []string {
	type enabled struct {
		PluginKey
		shown, group string
	}
	byName := map[string][]enabled{}
	for _, group := range names {
		for _, key := range slices.Sorted(maps.Keys(groups[group].Plugins)) {
			if k, err := DecomposePluginKey(key); err == nil && groups[group].Plugins[key].Enabled {
				byName[k.Name] = append(byName[k.Name], enabled{k, key, group})
			}
		}
	}
	var found []string
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		of := byName[name]
		several := slices.ContainsFunc(of, func(e enabled) bool { return e.group != of[0].group })
		differ := slices.ContainsFunc(of, func(e enabled) bool { return e.PluginKey != of[0].PluginKey })
		if !differ || !several && len(names) > 1 {
			continue
		}
		var all []string
		for _, e := range of {
			if several {
				e.shown += " of group " + e.group
			}
			all = append(all, e.shown)
		}
		found = append(found, some(all)+"; they must come from one repository, in one version")
	}
	return found
}

func unique(names []string) []string {
	var once []string
	seen := map[string]bool{}
	for _, n := range names {
		if !seen[n] {
			once = append(once, n)
		}
		seen[n] = true
	}
	return once
}

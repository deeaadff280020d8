package agent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Enablement is which of the configured plugins the agent starts.
type Enablement struct {
	Executors []EnabledPlugin `json:"executors"`
	Sources   []EnabledPlugin `json:"sources"`
	LeftOut   []LeftOut       `json:"leftOut"`
}

// All returns all that the agent starts, executors first.
func (e Enablement) All() []EnabledPlugin { return slices.Concat(e.Executors, e.Sources) }

// EnabledPlugin is a plugin that the agent starts.
type EnabledPlugin struct {
	Type PluginType `json:"-"`
	// Key is as the configuration has it.
	Key string `json:"key"`
	// Groups are those that enable it and are bound, sorted.
	Groups []string `json:"groups"`
}

// LeftOut is a configured plugin that the agent does not start for a group.
type LeftOut struct {
	Type   PluginType `json:"type"`
	Key    string     `json:"key"`
	Group  string     `json:"group"`
	Reason string     `json:"reason"`
}

// Enabled says which plugins the agent starts: those enabled in a group that an enabled action
// binds, or a channel of an enabled platform (pkg/plugin/collector.go,
// GetAllEnabledAndUsedPlugins). The version is the agent's, or empty for the newest.
func (c *Config) Enabled(version string) Enablement {
	boundExecutors, boundSources := c.bound(version)
	executors, leftOut := enabledIn(Executor, c.Executors, boundExecutors)
	sources, more := enabledIn(Source, c.Sources, boundSources)
	return Enablement{Executors: executors, Sources: sources, LeftOut: append(leftOut, more...)}
}

// BindAll returns the configuration with every group bound, so that all that is enabled starts.
func (c *Config) BindAll() *Config {
	bound := *c
	bound.everyGroup = true
	return &bound
}

// PlatformNames returns the platforms that agents of a version have, sorted.
func PlatformNames(version string) []string {
	var names []string
	for _, p := range (communications{}).all() {
		if hasPlatform(version, p.setting) {
			names = append(names, p.setting)
		}
	}
	slices.Sort(names)
	return names
}

func enabledIn(t PluginType, groups map[string]pluginGroup, bound map[string]*binding) ([]EnabledPlugin, []LeftOut) {
	by := map[string][]string{}
	out := []LeftOut{}
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		for _, key := range slices.Sorted(maps.Keys(groups[group].Plugins)) {
			if why := bound[group].whyNot(groups[group].Plugins[key]); why != "" {
				out = append(out, LeftOut{Type: t, Key: key, Group: group, Reason: why})
				continue
			}
			by[key] = append(by[key], group)
		}
	}
	enabled := []EnabledPlugin{}
	for _, key := range slices.Sorted(maps.Keys(by)) {
		enabled = append(enabled, EnabledPlugin{Type: t, Key: key, Groups: by[key]})
	}
	// What another group enables is not left out.
	out = slices.DeleteFunc(out, func(l LeftOut) bool { return by[l.Key] != nil })
	slices.SortStableFunc(out, func(a, b LeftOut) int { return cmp.Compare(a.Key, b.Key) })
	return enabled, out
}

// binding says whether anything enabled binds a group.
type binding struct {
	enabled bool
	// disabled are the settings that bind it without being enabled.
	disabled []string
}

func (b *binding) whyNot(p configuredPlugin) string {
	switch {
	case !p.Enabled:
		return "not enabled"
	case b == nil:
		return "no channel, sink or action uses its group"
	case !b.enabled:
		return "its group is used only by what is not enabled: " + some(b.disabled)
	}
	return ""
}

func some(settings []string) string {
	const most = 2
	if len(settings) <= most+1 {
		return strings.Join(settings, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(settings[:most], ", "), len(settings)-most)
}

func (c *Config) bound(version string) (executors, sources map[string]*binding) {
	executors, sources = map[string]*binding{}, map[string]*binding{}
	bindTo := func(to map[string]*binding, groups []string, enabled bool, setting string) {
		for _, g := range groups {
			if to[g] == nil {
				to[g] = &binding{}
			}
			to[g].enabled = to[g].enabled || enabled
			// What is bound several times in one setting comes in a row.
			if d := to[g].disabled; !enabled && (len(d) == 0 || d[len(d)-1] != setting) {
				to[g].disabled = append(d, setting)
			}
		}
	}
	bind := func(b bindings, enabled bool, setting string) {
		bindTo(executors, b.Executors, enabled, setting)
		bindTo(sources, b.Sources, enabled, setting)
	}
	for _, p := range c.platforms(version) {
		for _, b := range p.bindings {
			bind(b.bindings, p.enabled, p.setting)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Actions)) {
		bind(c.Actions[name].Bindings, c.Actions[name].Enabled, "actions."+name)
	}
	if c.everyGroup {
		bind(bindings{slices.Collect(maps.Keys(c.Sources)), slices.Collect(maps.Keys(c.Executors))}, true, "")
	}
	return executors, sources
}

// platform is a chat platform or a sink of a configuration.
type platform struct {
	setting     string
	enabled     bool
	bindings    []placedBindings
	purpose     string
	destination string
}

type placedBindings struct {
	setting string
	bindings
}

// span has the first version of agents that have something, and the first that has it no more.
// An empty version is no limit.
type span struct{ since, until string }

func (s span) has(version string) bool {
	return Since(version, s.since) && (s.until == "" || !Since(version, s.until))
}

// platformVersions are the platforms that not all agents have (pkg/config/config.go,
// Communications, at the tags).
var platformVersions = map[string]span{
	"cloudSlack": {since: "v1.1.0"}, "cloudTeams": {since: "v1.6.0"}, "pagerDuty": {since: "v1.12.0"},
	"slack": {until: "v1.9.0"}, "teams": {until: "v1.9.0"},
}

// hasPlatform reports whether agents of a version have a platform. Others ignore it.
func hasPlatform(version, name string) bool { return platformVersions[name].has(version) }

// platforms returns the chat platforms and sinks that agents of the version have, in order.
func (c *Config) platforms(version string) []platform {
	var all []platform
	for _, name := range slices.Sorted(maps.Keys(c.Communications)) {
		for _, p := range c.Communications[name].all() {
			if !hasPlatform(version, p.setting) {
				continue
			}
			p.setting = "communications." + name + "." + p.setting
			for i := range p.bindings {
				p.bindings[i].setting = p.setting + "." + p.bindings[i].setting
			}
			all = append(all, p)
		}
	}
	return all
}

// Where platforms are that have no address to configure (pkg/bot, pkg/sink, and the libraries of
// these).
const (
	slackDestination     = "https://slack.com and wss://*.slack.com"
	discordDestination   = "https://discord.com and wss://gateway.discord.gg"
	pagerDutyDestination = "https://events.pagerduty.com"
	teamsDestination     = "https://*.botframework.com"
)

func (g communications) all() []platform {
	var teams, indices []placedBindings
	for i, t := range g.CloudTeams.Teams {
		teams = append(teams, channelBindings(fmt.Sprintf("teams.%d.channels", i), t.Channels)...)
	}
	for _, name := range slices.Sorted(maps.Keys(g.Elasticsearch.Indices)) {
		indices = append(indices, sinkBindings("indices."+name+".bindings", g.Elasticsearch.Indices[name].Bindings)...)
	}
	return []platform{
		{"socketSlack", g.SocketSlack.Enabled, channelBindings("channels", g.SocketSlack.Channels), "Slack", slackDestination},
		{"cloudSlack", g.CloudSlack.Enabled, channelBindings("channels", g.CloudSlack.Channels), "Slack through Botkube Cloud", Origin(g.CloudSlack.Server.URL)},
		{"mattermost", g.Mattermost.Enabled, channelBindings("channels", g.Mattermost.Channels), "Mattermost", Origin(g.Mattermost.URL)},
		{"cloudTeams", g.CloudTeams.Enabled, teams, "Microsoft Teams through Botkube Cloud", Origin(g.CloudTeams.Server.URL)},
		{"discord", g.Discord.Enabled, channelBindings("channels", g.Discord.Channels), "Discord", discordDestination},
		{"webhook", g.Webhook.Enabled, sinkBindings("bindings", g.Webhook.Bindings), "webhook", Origin(g.Webhook.URL)},
		{"elasticsearch", g.Elasticsearch.Enabled, indices, "Elasticsearch", Origin(g.Elasticsearch.Server)},
		{"pagerDuty", g.PagerDuty.Enabled, sinkBindings("bindings", g.PagerDuty.Bindings), "PagerDuty", cmp.Or(Origin(g.PagerDuty.V2EventsAPIBasePath), pagerDutyDestination)},
		{"slack", g.Slack.Enabled, channelBindings("channels", g.Slack.Channels), "Slack", slackDestination},
		{"teams", g.Teams.Enabled, []placedBindings{{"bindings", g.Teams.Bindings}}, "Microsoft Teams", teamsDestination},
	}
}

func channelBindings(at string, channels map[string]channel) []placedBindings {
	var all []placedBindings
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		all = append(all, placedBindings{at + "." + name + ".bindings", channels[name].Bindings})
	}
	return all
}

// sinkBindings are those of a sink, which runs no commands.
func sinkBindings(at string, b bindings) []placedBindings {
	return []placedBindings{{at, bindings{Sources: b.Sources}}}
}

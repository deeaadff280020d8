package chart

import (
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// state returns the documents for what the agent changes by itself
// (helm/botkube/templates/persistent-config.yaml). The agent lays them over all others. At first
// they repeat the values, but a key that they leave empty replaces one of the values. The
// platforms are those of the Secret with the chat platforms, or nil without one.
func (v *Values) state(version string, platforms map[string]any) []map[string]any {
	given := mapping(v.Merged["communications"])
	if platforms == nil || !agent.Since(version, "v1.5.0") { // before, the chart did not look at the Secret
		platforms = given
	}
	actions := map[string]any{}
	for name, a := range mapping(v.Merged["actions"]) {
		actions[name] = map[string]any{"enabled": mapping(a)["enabled"]}
	}
	notification := func(_ string, channel map[string]any) map[string]any {
		disabled := mapping(channel["notification"])["disabled"]
		if disabled == nil || disabled == "" {
			disabled = false
		}
		return map[string]any{"notification": map[string]any{"disabled": disabled}}
	}
	return []map[string]any{
		{"actions": orNothing(actions), "communications": repeated(version, platforms, v.sources)},
		{"communications": repeated(version, given, notification)},
	}
}

// repeated returns the chat platforms with what the function of returns for each channel. A group
// without channels becomes null, which takes away its sinks, too.
func repeated(version string, platforms map[string]any, of func(at string, channel map[string]any) map[string]any) any {
	all := map[string]any{}
	for group, g := range platforms {
		repeated := map[string]any{}
		for platform, p := range mapping(g) {
			channels := map[string]any{}
			for name, c := range mapping(mapping(p)["channels"]) {
				channels[name] = of(fmt.Sprintf("communications.%s.%s.channels.%s", group, platform, name), mapping(c))
			}
			if len(channels) > 0 {
				repeated[platform] = map[string]any{"channels": channels}
			} else if platform == "teams" && !agent.Since(version, "v1.9.0") {
				repeated[platform] = map[string]any{}
			}
		}
		all[group] = orNothing(repeated)
	}
	return orNothing(all)
}

// sources repeats those of a channel, which the chart indents as a list.
func (v *Values) sources(at string, channel map[string]any) map[string]any {
	sources := mapping(channel["bindings"])["sources"]
	if text, ok := sources.(string); ok && text != "" {
		v.broken = append(v.broken, agent.Refusal{Setting: at + ".bindings.sources", Reason: "it is a text, and the chart needs a list: the agent could not read the result"})
	}
	if list, ok := sources.([]any); !ok || len(list) == 0 {
		sources = nil
	}
	return map[string]any{"bindings": map[string]any{"sources": sources}}
}

// orNothing returns what the agent reads if the chart writes nothing below a key.
func orNothing(m map[string]any) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

func mapping(value any) map[string]any {
	m, _ := value.(map[string]any)
	return m
}

// Refusals is [agent.Config.Refusals], and what the chart breaks. If Botkube Cloud has the
// configuration, there are none.
func (v *Values) Refusals(version string) []agent.Refusal {
	if v.Remote() {
		return nil
	}
	all := append(slices.Clone(v.broken), v.Config.Refusals(version, v.UnknownVariables)...)
	slices.SortStableFunc(all, func(a, b agent.Refusal) int { return strings.Compare(a.Setting, b.Setting) })
	return all
}

// UnknownPlatforms returns the settings of chat platforms that agents of a version ignore,
// sorted. What is not enabled may be a rest of the chart's own values.
func (v *Values) UnknownPlatforms(version string) []string {
	var all []string
	known := agent.PlatformNames(version)
	for group, g := range v.Communications {
		for name, platform := range mapping(g) {
			enabled := mapping(platform)["enabled"]
			off := enabled == nil || enabled == false || enabled == "false"
			if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) || off {
				continue
			}
			all = append(all, "communications."+group+"."+name)
		}
	}
	slices.Sort(all)
	return all
}

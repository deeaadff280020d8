package chart

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// state makes the documents that the chart has for what the agent changes by itself
// (helm/botkube/templates/persistent-config.yaml). They are laid over all others, with
// what they take from the values, and at first they have nothing else; but what they
// leave empty is then empty.
type state struct {
	version string
	values  map[string]any
	// platforms are those that the agent has: the values', or those of a Secret.
	platforms map[string]any
	// broken are values for which the chart renders a malformed document.
	broken []agent.Refusal
}

// withSecret is the first version of the chart that has a look at the Secret.
const withSecret = "v1.5.0"

// stateOf begins with what the agent has been given so far.
func stateOf(v string, values, secret map[string]any) *state {
	s := &state{version: v, values: values}
	s.platforms = mapping(values["communications"])
	if secret != nil && !before(v, withSecret) {
		s.platforms = mapping(secret["communications"])
	}
	return s
}

func (s *state) documents() []map[string]any {
	runtime := map[string]any{
		"actions":        s.actions(),
		"communications": s.communications(s.platforms, s.sources),
	}
	startup := map[string]any{
		"communications": s.communications(mapping(s.values["communications"]), func(_ string, channel map[string]any) map[string]any {
			disabled := mapping(channel["notification"])["disabled"]
			if disabled == nil || disabled == "" {
				disabled = false
			}
			return map[string]any{"notification": map[string]any{"disabled": disabled}}
		}),
	}
	return []map[string]any{runtime, startup}
}

func (s *state) actions() any {
	all := map[string]any{}
	for name, a := range mapping(s.values["actions"]) {
		all[name] = map[string]any{"enabled": mapping(a)["enabled"]}
	}
	return orNothing(all)
}

// communications repeats the channels of platforms. A group without any is nothing, and
// so takes away the sinks that it has.
func (s *state) communications(platforms map[string]any, of func(at string, channel map[string]any) map[string]any) any {
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
			} else if platform == "teams" && before(s.version, "v1.9.0") {
				repeated[platform] = map[string]any{}
			}
		}
		all[group] = orNothing(repeated)
	}
	return orNothing(all)
}

// sources repeats those of a channel. The chart indents them as it does with a list.
func (s *state) sources(at string, channel map[string]any) map[string]any {
	sources := mapping(channel["bindings"])["sources"]
	if text, ok := sources.(string); ok && text != "" {
		s.broken = append(s.broken, agent.Refusal{Setting: at + ".bindings.sources", Reason: "it is a text, of which the chart makes a file that the agent cannot read: write a list"})
	}
	if list, ok := sources.([]any); !ok || len(list) == 0 {
		sources = nil
	}
	return map[string]any{"bindings": map[string]any{"sources": sources}}
}

// orNothing returns what the agent reads where the chart writes nothing below a key.
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

// before reports whether a version is older than another one.
func before(v, first string) bool {
	a, errA := version.NewVersion(agent.WithoutPrerelease(v)) // a pre-release has what its release has
	b, errB := version.NewVersion(first)
	return errA == nil && errB == nil && a.LessThan(b)
}

// Refusals returns why an agent of a version would refuse its configuration, sorted: see
// [agent.Config.Refusals]. If Botkube Cloud has the configuration, there are none.
func (v *Values) Refusals(version string) []agent.Refusal {
	if v.Remote() {
		return nil
	}
	all := append(slices.Clone(v.broken), v.Config.Refusals(version, v.UnknownVariables)...)
	slices.SortStableFunc(all, func(a, b agent.Refusal) int { return strings.Compare(a.Setting, b.Setting) })
	return all
}

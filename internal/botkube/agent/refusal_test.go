package agent

import (
	"fmt"
	"strings"
	"testing"
)

// taken is a configuration that every agent takes.
const taken = `
executors:
  one: {r/tool: {enabled: true}}
  two: {r/tool: {enabled: true}, q/other: {enabled: true}}
sources:
  three: {r/events: {enabled: true}}
aliases: {t: {command: tool -v}, h: {command: help}}
actions: {a: {enabled: true, command: tool, bindings: {executors: [one], sources: [three]}}}
communications:
  c:
    mattermost: {enabled: true, channels: {m: {name: general, bindings: {executors: [one, two], sources: [three]}}}}
    elasticsearch: {enabled: true, indices: {i: {bindings: {sources: [three]}}}}
    webhook: {enabled: true, bindings: {sources: [three]}}
`

const (
	inChannel = "communications.c.mattermost.channels.m.bindings."
	inAction  = "actions.a.bindings."
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		over string
		want []string // beginnings
	}{
		"nothing wrong": {"{}", nil},
		"no platforms":  {"communications: null", []string{"communications: it must have at least one group of chat platforms"}},
		"no such group of executors": {"communications: {c: {mattermost: {channels: {m: {bindings: {executors: [one, gone, gone]}}}}}}",
			[]string{inChannel + "executors: it names groups of executors that do not exist: gone"}},
		"no such group of sources": {"communications: {c: {webhook: {bindings: {sources: [a, b, c, d]}}}}",
			[]string{"communications.c.webhook.bindings.sources: it names groups of sources that do not exist: a, b and 2 more"}},
		"in an index": {"communications: {c: {elasticsearch: {indices: {i: {bindings: {sources: [gone]}}}}}}",
			[]string{"communications.c.elasticsearch.indices.i.bindings.sources: it names groups of sources"}},
		"in a team": {"communications: {c: {cloudTeams: {teams: [{}, {channels: {x: {bindings: {executors: [gone]}}}}]}}}",
			[]string{"communications.c.cloudTeams.teams.1.channels.x.bindings.executors: it names groups of executors"}},
		"where nothing is enabled": {"communications: {c: {discord: {channels: {x: {bindings: {sources: [gone]}}}}}}\nactions: {off: {bindings: {executors: [gone]}}}",
			[]string{"actions.off.bindings.executors: it names groups", "communications.c.discord.channels.x.bindings.sources: it names groups"}},
		"a sink binds no executors": {"communications: {c: {webhook: {bindings: {executors: [gone]}}}}", nil},
		"a group that is nothing":   {"executors: {nothing: null}\nactions: {a: {bindings: {executors: [nothing]}}}", nil},

		"two repositories in a group": {"executors: {x: {r/tool: {enabled: true}, q/tool: {enabled: true}}}",
			[]string{"executors.x: it enables several plugins of one name: q/tool, r/tool; they must come from one repository, in one version"}},
		"two versions in a group": {"sources: {x: {r/events: {enabled: true}, r/events@v1.0.0: {enabled: true}}}",
			[]string{"sources.x: it enables several plugins of one name: r/events, r/events@v1.0.0;"}},
		"two repositories in a binding": {"executors: {two: {q/tool: {enabled: true}, r/tool: null}}",
			[]string{inChannel + "executors: it binds several plugins of one name: r/tool of group one, q/tool of group two;"}},
		"two versions in a binding": {"executors: {two: {r/tool: null, r/tool@v1: {enabled: true}}}",
			[]string{inChannel + "executors: it binds several plugins of one name: r/tool of group one, r/tool@v1 of group two;"}},
		"a conflict of a group is not told again": {"executors: {one: {q/tool: {enabled: true}, r/tool: {enabled: true}}, two: null}",
			[]string{"executors.one: it enables several plugins"}},
		"the empty version is none":          {"executors: {two: {r/tool: null, r/tool@: {enabled: true}}}", nil},
		"one of two is not enabled":          {"executors: {one: {q/tool: {enabled: false}}}", nil},
		"not bound together":                 {"executors: {x: {q/tool: {enabled: true}}}", nil},
		"an executor and a source":           {"sources: {three: {q/tool: {enabled: true}}}", nil},
		"a key without a repository":         {"executors: {x: {tool: {enabled: true}}}", []string{"executors.x.tool: the key of an enabled plugin must be"}},
		"a key with an empty one":            {"sources: {x: {/tool: {enabled: true}}}", []string{"sources.x./tool: the key"}},
		"a key without a name":               {"executors: {x: {r/@v1: {enabled: true}}}", []string{"executors.x.r/@v1: the key"}},
		"such keys where nothing is enabled": {"executors: {x: {tool: {enabled: false}, r/: null}}", nil},

		"other rights": {"executors: {two: {r/tool: {context: {rbac: {group: {type: Static}}}}}}",
			[]string{inChannel + "executors: it binds r/tool of groups one and two, which give it different rights (context.rbac)"}},
		"empty rights are not none": {"executors: {two: {r/tool: {context: {rbac: {}}}}}", []string{inChannel + "executors: it binds r/tool"}},
		"null rights are none":      {"executors: {two: {r/tool: {context: {rbac: null}}}}", nil},
		"an empty list is not none": {"executors: {one: {r/tool: {context: {rbac: {group: {static: {values: []}}}}}}, two: {r/tool: {context: {rbac: {group: {static: {}}}}}}}",
			[]string{inChannel + "executors: it binds r/tool"}},
		"a channel's rights in an action": {"executors: {one: {r/tool: {context: {rbac: {group: {type: ChannelName}}}}}, two: {r/tool: {enabled: false}}}",
			[]string{inAction + "executors: r/tool in group one needs the rights of a channel"}},

		"an action without a command":  {"actions: {a: {command: ''}, off: {enabled: false}}", []string{"actions.a.command: it is empty, but the action is enabled"}},
		"an alias without a command":   {"aliases: {t: {command: ''}}", []string{"aliases.t.command: it is empty"}},
		"an alias of nothing":          {"aliases: {t: {command: tools -v}}", []string{`aliases.t.command: no executor is called "tools"`}},
		"an alias of what is disabled": {"aliases: {t: {command: flux}}\nexecutors: {x: {r/flux@v1: {enabled: false}}}", nil},

		"no channels":      {"communications: {c: {mattermost: {channels: null}}}", []string{"communications.c.mattermost.channels: it is empty, but mattermost is enabled"}},
		"empty channels":   {"communications: {c: {mattermost: null, discord: {enabled: true, channels: {}}}}", []string{"communications.c.discord.channels: it is empty, but discord is enabled"}},
		"none are wanted":  {"communications: {c: {discord: {channels: {x: {}}}}}", nil},
		"no name":          {"communications: {c: {mattermost: {channels: {m: {name: '', id: x}}}}}", []string{"communications.c.mattermost.channels.m.name: it is empty, but mattermost is enabled"}},
		"no ID":            {"communications: {c: {discord: {enabled: true, channels: {x: {name: general}}}}}", []string{"communications.c.discord.channels.x.id: it is empty, but discord is enabled"}},
		"no name in cloud": {"communications: {c: {cloudSlack: {enabled: true, channels: {x: {}}}}}", []string{"communications.c.cloudSlack.channels.x.name: it is empty"}},
		"no indices":       {"communications: {c: {elasticsearch: {indices: null}}}", []string{"communications.c.elasticsearch.indices: it is empty, but elasticsearch is enabled"}},
		"empty indices":    {"communications: {c: {elasticsearch: null, x: {elasticsearch: {enabled: true, indices: {}}}}}", nil},
		"no teams":         {"communications: {c: {cloudTeams: {enabled: true}}}", []string{"communications.c.cloudTeams.teams: it is empty, but cloudTeams is enabled"}},
		"a team of nobody": {"communications: {c: {cloudTeams: {enabled: true, teams: [{}]}}}", nil},
		"no credentials":   {"communications: {c: {socketSlack: {enabled: true, channels: {x: {name: x}}}, pagerDuty: {enabled: true}}}", nil},

		"a word for a truth": {"settings: {log: {disableColors: perhaps}}", []string{"settings.log.disableColors: the value has the wrong type"}},
		"no unit":            {"configWatcher: {remote: {pollInterval: '15'}}", []string{"configWatcher.remote.pollInterval: the value has the wrong type"}},
		"a number of things": {"settings: {metricsPort: 2112, informersResyncPeriod: 30}\nplugins: {incomingWebhook: {port: '2115'}}", nil},
		"a mapping for a secret": {"communications: {c: {discord: {token: {s3cret: s3cret}, channels: {x: {id: {}}}}}}",
			[]string{"communications.c.discord.channels.x.id: the value", "communications.c.discord.token: the value"}},
		"of a channel of the cloud": {"communications: {c: {cloudSlack: {channels: {x: {channelID: {}, alias: [], name: {}, messageTriggers: [{processedEmojiIndicator: {}}]}}}}}", []string{
			"communications.c.cloudSlack.channels.x.alias: the value", "communications.c.cloudSlack.channels.x.channelID: the value",
			"communications.c.cloudSlack.channels.x.messageTriggers.0.processedEmojiIndicator: the value", "communications.c.cloudSlack.channels.x.name: the value"}},
		"what the agent does not read": {"communications: {c: {discord: {channels: {x: {name: {}}}}, slack: {enabled: true}}}\nsettings: {other: {}}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			wantRefusals(t, config(t, nil, taken, test.over).Refusals("v1.14.0", nil), test.want)
		})
	}
}

// wantRefusals wants refusals with these beginnings, in this order.
func wantRefusals(t *testing.T, got []Refusal, want []string) {
	t.Helper()
	ok := len(got) == len(want)
	for i := 0; ok && i < len(got); i++ {
		ok = strings.HasPrefix(got[i].String(), want[i])
	}
	if !ok {
		t.Errorf("it is refused because of\n%s\nwant\n%s", strings.ReplaceAll(fmt.Sprint(got), "} {", "}\n{"), strings.Join(want, "\n"))
	}
	for _, r := range got {
		if strings.Contains(r.String(), "s3cret") {
			t.Errorf("a value is shown: %s", r)
		}
	}
}

// TestRefusalsByVersion has what only some agents refuse.
func TestRefusalsByVersion(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		over           string
		takes, refuses string // neighbouring versions
	}{
		"a name for a group of executors": {"executors: {one: {displayName: One}}", "v1.8.0", "v1.7.0"},
		"a channel's rights in an action": {"executors: {one: {r/tool: {context: {rbac: {group: {type: ChannelName}}}}}, two: {r/tool: null}}", "v1.0.1", "v1.1.0"},
		"a channel without a name":        {"communications: {c: {mattermost: {channels: {m: {name: ''}}}}}", "v1.1.1", "v1.2.0"},
		"no channel":                      {"communications: {c: {mattermost: null, socketSlack: {enabled: true, channels: {}}}}", "v1.1.1", "v1.2.0"},
		"slack without channels":          {"communications: {c: {slack: {enabled: true}}}", "v1.9.0", "v1.8.0"},
		"slack that binds nothing":        {"communications: {c: {slack: {channels: {x: {bindings: {sources: [gone]}}}}}}", "v1.9.0", "v1.8.0"},
		"old teams":                       {"communications: {c: {teams: {bindings: {executors: [gone]}}}}", "v1.9.0", "v1.8.0"},
		"cloud's slack":                   {"communications: {c: {cloudSlack: {enabled: true}}}", "v1.0.1", "v1.1.0"},
		"cloud's teams":                   {"communications: {c: {cloudTeams: {enabled: true}}}", "v1.5.0", "v1.6.0"},
		"pagerDuty that binds nothing":    {"communications: {c: {pagerDuty: {bindings: {sources: [gone]}}}}", "v1.11.0", "v1.12.0"},
		"settings that came later":        {"plugins: {incomingWebhook: {enabled: perhaps}}", "v1.3.0", "v1.4.0"},
		"settings that went":              {"settings: {lifecycleServer: {port: none}}", "v1.9.0", "v1.8.0"},
		"platforms that went":             {"communications: {c: {teams: {port: []}}}", "v1.9.0", "v1.8.0"},
		"channels that got more":          {"communications: {c: {cloudSlack: {channels: {x: {channelID: {}}}}}}", "v1.12.0", "v1.13.0"},
		"streams that came later":         {"communications: {c: {cloudSlack: {executionEventStreamingDisabled: perhaps}}}", "v1.2.0", "v1.3.0"},
		"platforms that came later":       {"communications: {c: {cloudTeams: {botName: {}}}}", "v1.5.0", "v1.6.0"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t, nil, taken, test.over)
			if got := c.Refusals(test.takes, nil); len(got) > 0 {
				t.Errorf("%s refuses it because of %v", test.takes, got)
			}
			if got := c.Refusals(test.refuses, nil); len(got) != 1 {
				t.Errorf("%s refuses it because of %v, want one reason", test.refuses, got)
			}
		})
	}
	if got := config(t, nil, taken, "communications: {c: {slack: {enabled: true}}}").Refusals("", nil); len(got) > 0 {
		t.Errorf("where no version is known, it is not the newest: %v", got)
	}
}

// TestRefusalsOpen has variables whose values are elsewhere, such as in a Secret.
func TestRefusalsOpen(t *testing.T) {
	t.Parallel()
	const (
		enabled = "BOTKUBE_ACTIONS_A_ENABLED"
		section = "BOTKUBE_EXECUTORS_LATE"
		token   = "BOTKUBE_COMMUNICATIONS_C_MATTERMOST_TOKEN"
	)
	c := config(t, nil, taken, "actions: {a: {command: ''}}\ncommunications: {c: {mattermost: {channels: {m: {bindings: {executors: [late]}}}}}}\nsources: {x: {y: {enabled: true}}}")
	var open []string
	for _, r := range c.Refusals("v1.14.0", []string{token, section, enabled, "LATE", "BOTKUBE_"}) {
		open = append(open, r.Setting+" "+r.Variable)
	}
	want := []string{"actions.a.command " + enabled, inChannel + "executors " + section, "sources.x.y "}
	if fmt.Sprint(open) != fmt.Sprint(want) {
		t.Errorf("it is open by %q, want %q", open, want)
	}
}

func TestRefusalsAreSorted(t *testing.T) {
	t.Parallel()
	c := config(t, nil, "aliases: {a: {command: x}, b: {command: x}, c: {command: x}, d: {command: x}}\nsources: {a: {x: {enabled: true}, y: {enabled: true}}}")
	first := fmt.Sprint(c.Refusals("", nil))
	for range 20 {
		if again := fmt.Sprint(c.Refusals("", nil)); again != first {
			t.Fatalf("of the same configuration\n%s\nand\n%s", first, again)
		}
	}
}

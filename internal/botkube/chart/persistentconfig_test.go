package chart

import (
	"reflect"
	"strings"
	"testing"
)

// refusalsOf are the settings for which an agent would refuse values.
func refusalsOf(v *Values, version string) []string {
	var all []string
	for _, r := range v.Refusals(version) {
		all = append(all, r.Setting)
	}
	return all
}

// TestDefaultsAreTaken has what the chart itself gives an agent, of which it starts.
func TestDefaultsAreTaken(t *testing.T) {
	for _, version := range []string{"v1.0.0", "v1.0.1", "v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0", "v1.4.1", "v1.5.0", "v1.8.0", "v1.9.0", "v1.9.1", "v1.12.0", "v1.14.0"} {
		for _, over := range []string{"{}", slack} {
			v := read(t, version, over, "communications: {default-group: {discord: {enabled: true}, mattermost: {enabled: true}, elasticsearch: {enabled: true}, webhook: {enabled: true}}}\nactions: {show-logs-on-error: {enabled: true}}")
			if got := refusalsOf(v, version); len(got) > 0 {
				t.Errorf("%s refuses its own chart because of %v", version, got)
			}
		}
	}
}

const (
	ownMattermost = "communications: {default-group: {mattermost: {enabled: true, channels: {own: {name: x, bindings: {executors: [], sources: [k8s-err-events]}}}}}}\n"
	noChannels    = "communications: {default-group: {webhook: {enabled: true}, discord: {channels: null}, mattermost: {channels: null}, socketSlack: {channels: null}}}\n"
)

// TestState has what follows from the documents that the chart lays over all others.
func TestState(t *testing.T) {
	const secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: mine}\nstringData:\n  comm_config.yaml: |\n    "
	const inSecret = "existingCommunicationsSecretName: mine\n"
	for name, test := range map[string]struct {
		version string
		texts   []string
		starts  string
		refused []string
	}{
		"a list": {"v1.14.0", []string{ownMattermost}, "botkubeExtra/helm botkube/kubernetes", nil},
		"a text in the place of a list": {"v1.14.0", []string{strings.Replace(ownMattermost, "[k8s-err-events]", "k8s-err-events", 1)}, "botkubeExtra/helm botkube/kubernetes",
			[]string{"communications.default-group.mattermost.channels.own.bindings.sources"}},
		"of executors":                   {"v1.14.0", []string{strings.Replace(ownMattermost, "executors: []", "executors: k8s-default-tools", 1)}, "botkubeExtra/helm botkube/kubernetes", nil},
		"a sink alone has its group":     {"v1.14.0", []string{noChannels, "communications: {default-group: {discord: {channels: {x: {id: y, bindings: {}}}}}}"}, "botkube/kubernetes", nil},
		"sinks, but no channel":          {"v1.14.0", []string{noChannels}, "", nil},
		"sinks and the teams of old":     {"v1.8.0", []string{noChannels, "communications: {default-group: {slack: {channels: null}}}"}, "botkube/kubernetes", nil},
		"sinks without the teams of old": {"v1.8.0", []string{noChannels, "communications: {default-group: {slack: {channels: null}, teams: null}}"}, "", nil},
		"a Secret with the chart's name": {"v1.14.0", []string{inSecret, secret + strings.Replace(ownMattermost, "own:", "default:", 1)}, "botkube/kubernetes", nil},
		"a Secret with its own": {"v1.14.0", []string{inSecret, secret + ownMattermost}, "botkube/kubernetes",
			[]string{"communications.default-group.mattermost.channels.default.name"}},
		"an interval in quotes":             {"v1.14.0", []string{"plugins: {healthCheckInterval: '10'}"}, "", nil},
		"an interval that is none":          {"v1.14.0", []string{"plugins: {healthCheckInterval: '10 seconds'}"}, "", []string{"plugins.healthCheckInterval"}},
		"Botkube Cloud knows":               {"v1.14.0", []string{"config: {provider: {identifier: x}}\nexecutors: {g: {x: {enabled: true}}}"}, "", nil},
		"notifications has the wrong type":  {"v1.14.0", []string{"communications: {default-group: {discord: {channels: {default: {notification: {disabled: x}}}}}}"}, "", []string{"communications.default-group.discord.channels.default.notification.disabled"}},
		"a truth of an action in quotes":    {"v1.14.0", []string{"actions: {show-logs-on-error: {enabled: 'true', bindings: {executors: []}}}"}, "botkube/kubernetes", nil},
		"the alias of a group taken away":   {"v1.14.0", []string{"executors: {k8s-default-tools: {botkube/kubectl: null}}"}, "", []string{"aliases.k.command", "aliases.kc.command"}},
		"an older chart's plugin with ours": {"v1.14.0", []string{"executors: {k8s-default-tools: {botkube/helm: {enabled: true}}}"}, "", []string{"executors.k8s-default-tools"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := read(t, test.version, test.texts...)
			if got := started(v); got != test.starts {
				t.Errorf("it starts %q, want %q", got, test.starts)
			}
			if got := refusalsOf(v, test.version); !reflect.DeepEqual(got, test.refused) {
				t.Errorf("it is refused because of %q, want %q", got, test.refused)
			}
		})
	}
}

// TestWithheld has variables that come from elsewhere, of values and of a Deployment.
func TestWithheld(t *testing.T) {
	const env = "env: [{name: BOTKUBE_CONFIG_PATHS, value: x}, {name: BOTKUBE_EXECUTORS_LATE, valueFrom: {secretKeyRef: {name: a, key: b}}}]"
	deployment := "---\napiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{" + env + "}]}}}\n"
	for name, texts := range map[string][]string{
		"values":     {"extraEnv: [{name: BOTKUBE_EXECUTORS_LATE, valueFrom: {secretKeyRef: {name: a, key: b}}}, {name: A, value: b}]"},
		"Deployment": {objectsOf(global, communications) + deployment},
	} {
		if got := read(t, "v1.14.0", texts...).UnknownVariables; !reflect.DeepEqual(got, []string{"BOTKUBE_EXECUTORS_LATE"}) {
			t.Errorf("of %s, it is %q that is withheld", name, got)
		}
	}
}

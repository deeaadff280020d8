package agent

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

func config(t *testing.T, environment map[string]string, texts ...string) *Config {
	t.Helper()
	var documents []map[string]any
	for _, text := range texts {
		d, err := ParseConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, d)
	}
	c, err := ReadConfig(documents, environment)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const everything = `
executors:
  tools:
    displayName: Tools
    botkube/kubectl: {enabled: true}
    botkube/helm: {enabled: false}
  other:
    botkube/kubectl: {enabled: "true"}
    botkube/flux@v1.2.0: {enabled: true}
  unbound:
    botkube/gh: {enabled: true}
sources:
  events:
    botkube/kubernetes: {enabled: 1}
  sunk:
    x/prometheus: {enabled: true}
  idle:
    x/keptn: {enabled: true}
actions:
  on: {enabled: true, bindings: {executors: [other]}}
  off: {enabled: false, bindings: {sources: [idle]}}
communications:
  c:
    mattermost:
      enabled: true
      url: https://user:pass@chat.example.com/path?token=x
      channels:
        a: {bindings: {executors: tools, sources: [events]}}
    cloudTeams:
      enabled: false
      teams: [{channels: {b: {bindings: {sources: [idle], executors: [tools]}}}}]
    webhook:
      enabled: true
      url: http://hook.tools.svc:8080/s3cret
      bindings: {sources: [sunk], executors: [unbound]}
`

func TestEnabled(t *testing.T) {
	t.Parallel()
	e := config(t, nil, everything).Enabled("")
	if got, want := fmt.Sprint(e.Executors), "[{executor botkube/flux@v1.2.0 [other]} {executor botkube/kubectl [other tools]}]"; got != want {
		t.Errorf("executors %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(e.Sources), "[{source botkube/kubernetes [events]} {source x/prometheus [sunk]}]"; got != want {
		t.Errorf("sources %s, want %s", got, want)
	}
	want := []LeftOut{
		{Executor, "botkube/gh", "unbound", "no channel, sink or action uses its group"},
		{Executor, "botkube/helm", "tools", "not enabled"},
		{Source, "x/keptn", "idle", "its group is used only by what is not enabled: communications.c.cloudTeams, actions.off"},
	}
	if !reflect.DeepEqual(e.LeftOut, want) {
		t.Errorf("left out %v, want %v", e.LeftOut, want)
	}
}

// TestPrerelease has a pre-release have what its release has.
func TestPrerelease(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"v1.12.0-rc.1": true, "v1.12.0": true, "v1.11.0": false, "": true} {
		if slices.Contains(PlatformNames(version), "pagerDuty") != want {
			t.Errorf("%s has %v", version, PlatformNames(version))
		}
	}
	for version, want := range map[string]string{"v1.14.0-rc.1": "v1.14.0", "v1.14.0": "v1.14.0", "1.2.3-a": "v1.2.3", "mine": "mine", "": ""} {
		if got := WithoutPrerelease(version); got != want {
			t.Errorf("the core of %q is %q", version, got)
		}
	}
}

// TestBindAll has everything that is enabled start, and nothing else change.
func TestBindAll(t *testing.T) {
	t.Parallel()
	c := config(t, nil, everything)
	e := c.BindAll().Enabled("")
	if got, want := fmt.Sprint(e.Executors, e.Sources), "[{executor botkube/flux@v1.2.0 [other]} {executor botkube/gh [unbound]} {executor botkube/kubectl [other tools]}] [{source botkube/kubernetes [events]} {source x/keptn [idle]} {source x/prometheus [sunk]}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if len(c.Actions) != 2 {
		t.Error("it changes the configuration itself")
	}
}

// TestNothingEnabled has lists, which is what null is not to who reads JSON.
func TestNothingEnabled(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(config(t, nil, "{}").Enabled(""))
	if err != nil || string(data) != `{"executors":[],"sources":[],"leftOut":[]}` {
		t.Errorf("%s, %v", data, err)
	}
}

func TestReadConfig(t *testing.T) {
	t.Parallel()
	c := config(t, map[string]string{
		"BOTKUBE_PLUGINS_CACHE__DIR":         "/from/environment",
		"BOTKUBE_SETTINGS_UPGRADE__NOTIFIER": "true",
		"ANALYTICS_DISABLE":                  "true",
	}, "plugins: {cacheDir: /one, repositories: {a: {url: u, headers: {k: v}}}}\nactions: {x: {enabled: true}}", "actions: {x: {bindings: {sources: [s]}}}\nanalytics: {disable: false}")
	if c.Plugins.CacheDir != "/from/environment" || !c.Settings.UpgradeNotifier || c.Analytics.Disable {
		t.Errorf("the environment is not what counts: %+v", c)
	}
	if a := c.Actions["x"]; !a.Enabled || len(a.Bindings.Sources) != 1 || c.Plugins.Repositories["a"].Headers["k"] != "v" {
		t.Errorf("documents are not merged: %+v", c)
	}
	if got := config(t, nil, "{}").Plugins.CacheDir; got != "/tmp" {
		t.Errorf("the agent's own cache directory is %q", got)
	}
}

// TestReadConfigKeepsDocuments has a document read twice come to the same.
func TestReadConfigKeepsDocuments(t *testing.T) {
	t.Parallel()
	one, err := ParseConfig([]byte("actions: {x: {enabled: false}}"))
	if err != nil {
		t.Fatal(err)
	}
	over, err := ParseConfig([]byte("actions: {x: {enabled: true}}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadConfig([]map[string]any{one, over}, nil); err != nil {
		t.Fatal(err)
	}
	if c, err := ReadConfig([]map[string]any{one}, nil); err != nil || c.Actions["x"].Enabled {
		t.Errorf("a later document changed an earlier one: %+v, %v", c, err)
	}
}

func TestConfigRefused(t *testing.T) {
	t.Parallel()
	document, err := ParseConfig([]byte("executors: {g: {a/b: {enabled: s3cret}}}\ncommunications: [s3cret]"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = ReadConfig([]map[string]any{document}, nil)
	if err == nil || !strings.Contains(err.Error(), `"executors.g.….enabled" has the wrong type`) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
}

// The first three values of a wrong kind are named, and the others counted.
func TestConfigRefusedForSeveral(t *testing.T) {
	t.Parallel()
	all := []string{"executors: 5", "plugins: 5", "settings: 5", "sources: 5", "aliases: 5"}
	for n, want := range map[int]string{
		2: "\"executors\" has the wrong type\n\"plugins\" has the wrong type",
		3: "\"executors\" has the wrong type\n\"plugins\" has the wrong type\n\"settings\" has the wrong type",
		4: "\"executors\" has the wrong type\n\"plugins\" has the wrong type\n\"settings\" has the wrong type\nand 1 more",
		5: "\"aliases\" has the wrong type\n\"executors\" has the wrong type\n\"plugins\" has the wrong type\nand 2 more",
	} {
		document, err := ParseConfig([]byte(strings.Join(all[:n], "\n")))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadConfig([]map[string]any{document}, nil); err == nil || err.Error() != "the agent would refuse this configuration: "+want {
			t.Errorf("%d: %v, want\n%s", n, err, want)
		}
	}
}

// Which values agents of a version read: parts of platforms that they have, of values that they know.
func TestReadKind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		version, setting string
		want             bool
	}{
		{"v1.8.0", "communications.c.slack", true},
		{"v1.9.0", "communications.c.slack", false},
		{"v1.9.0", "communications.c.slack.token", false},
		{"v1.9.0", "communications.c.socketSlack.botToken", true},
		{"v1.9.0", "communications.slack", true},
		{"v1.9.0", "communications", true},
		{"v1.9.0", "aliases.a.slack.x", true},
		{"v1.8.0", "settings.lifecycleServer.port", true},
		{"v1.9.0", "settings.lifecycleServer.port", false},
		{"v1.3.0", "plugins.incomingWebhook.port", false},
		{"v1.4.0", "plugins.incomingWebhook.port", true},
		{"", "plugins.incomingWebhook.port", true},
	} {
		if got := readKind(tt.version, tt.setting); got != tt.want {
			t.Errorf("%s of %q: %t", tt.setting, tt.version, got)
		}
	}
}

func TestSome(t *testing.T) {
	t.Parallel()
	for n, want := range []string{"", "a", "a, b", "a, b, c", "a, b and 2 more", "a, b and 3 more"} {
		if got := some([]string{"a", "b", "c", "d", "e"}[:n]); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// Without actions, too, every group is bound.
func TestBindAllWithoutActions(t *testing.T) {
	t.Parallel()
	c := config(t, nil, "sources: {g: {r/s: {enabled: true}}}")
	if got := fmt.Sprint(c.BindAll().Enabled("").Sources); got != "[{source r/s [g]}]" || len(c.Enabled("").Sources) > 0 {
		t.Error(got)
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                        "",
		"https://u:p@e.com:1/x?y": "https://e.com:1",
		"e.com:50054":             "e.com:50054",
		"u:p@e.com/x":             "e.com",
		"/x":                      noURL,
		"https://":                noURL,
		"https://u:p/x@e.com":     noURL,
		"https://e.com/%zz":       noURL,
	} {
		if got := Origin(raw); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func TestSettingOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Executors[g].Plugins[a/b].Enabled": "executors.g.plugins.a/b.enabled", "Communications[x.y].SocketSlack.Enabled": "communications.x.y.socketSlack.enabled",
		"Plugins.Repositories[a].URL": "plugins.repositories.a.url", "AWSSigning": "awsSigning", "ID": "id", "": "", "Sources[<interface {} Value>]": "sources.…",
	} {
		if got := settingOf(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestEgress(t *testing.T) {
	t.Parallel()
	c := config(t, nil, everything, "analytics: {disable: true}\nsettings: {upgradeNotifier: true}")
	want := []Egress{
		{Destination: "https://api.github.com", Purpose: "update check", Setting: "settings.upgradeNotifier", Stop: "settings.upgradeNotifier: false"},
		{Destination: "https://chat.example.com", Purpose: "Mattermost", Setting: "communications.c.mattermost.enabled"},
		{Destination: "http://hook.tools.svc:8080", Purpose: "webhook", Setting: "communications.c.webhook.enabled", InCluster: true},
	}
	if got := c.Egress(""); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := config(t, nil, "{}").Egress(""); len(got) != 1 || got[0].Destination != "https://api.segment.io" {
		t.Errorf("of an agent without configuration: %+v", got)
	}
	if got := config(t, nil, "analytics: {disable: true}\ncommunications: {c: {webhook: {enabled: true}}}").Egress(""); len(got) != 1 || got[0].Destination != noAddress {
		t.Errorf("of an agent with a webhook without address: %+v", got)
	}
	signing := "analytics: {disable: true}\ncommunications: {c: {elasticsearch: {enabled: true, server: https://es, awsSigning: {enabled: true}}}, d: {elasticsearch: {awsSigning: {enabled: true}}}}\n"
	if got := config(t, nil, signing).Egress(""); len(got) != 2 || got[1].Destination != "https://sts.amazonaws.com" || got[1].Setting != "communications.c.elasticsearch.awsSigning.enabled" {
		t.Errorf("of an agent that signs requests: %+v", got)
	}
}

func TestInCluster(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"http://mattermost:8065": true, "http://a.b.svc": true, "https://a.b.svc.cluster.local.": true, "a.b.svc:443": true, "http://127.0.0.1:1": true,
		"http://chat.example.com": false, "http://10.0.0.1": false, "": false, "http://evil.com/.svc": false, "https://a.svc.example.com": false,
	} {
		if got := InCluster(url); got != want {
			t.Errorf("%q: %t", url, got)
		}
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	c := config(t, nil, `
executors:
  a:
    x/exec: {enabled: true, config: {templates: [{ref: one}, {ref: two}, {ref: one}]}}
  b:
    x/exec: {enabled: true, config: {tmpDir: /elsewhere}}
    y/exec@v1: {enabled: true, config: {templates: {ref: single}}}
  c:
    z/exec: {enabled: false, config: {templates: [{ref: no}]}}
    x/execute: {enabled: true}
actions: {all: {enabled: true, bindings: {executors: [a, b, c]}}}
`)
	got, err := c.Templates("")
	want := []TemplateSources{
		{Key: "x/exec", Group: "a", Refs: []string{"one", "two"}},
		{Key: "x/exec", Group: "b", Dir: "/elsewhere"},
		{Key: "y/exec@v1", Group: "b", Refs: []string{"single"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(everything))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ParseConfig(data)
		if err != nil {
			return
		}
		if c, err := ReadConfig([]map[string]any{d}, nil); err == nil {
			c.Enabled("")
		}
	})
}

// TestTitled compares with the library of the agent.
func TestTitled(t *testing.T) {
	t.Parallel()
	title := cases.Title(language.AmericanEnglish)
	var longer func(s string, by int)
	longer = func(s string, by int) {
		if got, want := titled(s), title.String(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
		for _, c := range "a1-_.':/ " {
			if by > 0 {
				longer(s+string(c), by-1)
			}
		}
	}
	longer("", 5)
}

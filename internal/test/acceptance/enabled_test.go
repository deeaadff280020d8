//go:build linux

package acceptance

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"
	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/getter"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
)

// configuration and enabledPlugins are what program agent reads and writes.
type configuration struct {
	Documents   [][]byte          `json:"documents"`
	Environment map[string]string `json:"environment"`
}

type enabledPlugins struct {
	Error     string   `json:"error"`
	Executors []string `json:"executors"`
	Sources   []string `json:"sources"`
}

// loadBotkubeChart reads Botkube's real chart, which is in the module of the agent.
var loadBotkubeChart = sync.OnceValues(func() (*helmchart.Chart, error) {
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/kubeshop/botkube")
	cmd.Dir = "agent"
	dir, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("looking for the chart: %w", err)
	}
	return loader.LoadDir(filepath.Join(strings.TrimSpace(string(dir)), "helm", "botkube"))
})

// renderChart has Helm render Botkube's chart with values files, as helm template -f … does. It returns the objects
// by their template.
func renderChart(t *testing.T, files ...[]byte) map[string]string {
	t.Helper()
	objects, err := tryChart(t, files...)
	check(t, err)
	return objects
}

// tryChart is [renderChart] of what Helm may refuse.
func tryChart(t *testing.T, files ...[]byte) (map[string]string, error) {
	t.Helper()
	c, err := loadBotkubeChart()
	check(t, err)
	dir := t.TempDir()
	var options values.Options
	for i, data := range files {
		name := filepath.Join(dir, fmt.Sprintf("%d.yaml", i))
		writeFile(t, name, data)
		options.ValueFiles = append(options.ValueFiles, name)
	}
	merged, err := options.MergeValues(getter.Providers{})
	check(t, err)
	all, err := chartutil.ToRenderValues(c, merged, chartutil.ReleaseOptions{Name: "botkube", Namespace: "botkube"}, chartutil.DefaultCapabilities)
	check(t, err)
	return engine.Render(c, all)
}

// configurationOf takes out of rendered objects what the agent's container sees.
func configurationOf(t *testing.T, objects map[string]string) configuration {
	t.Helper()
	found := map[string]string{}
	c := configuration{Environment: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		decoder := yaml.NewDecoder(strings.NewReader(objects[name]))
		for {
			var o struct {
				Kind             string
				Data, StringData map[string]string `yaml:",omitempty"`
				String           map[string]string `yaml:"stringData"`
				Spec             struct {
					Template struct {
						Spec struct {
							Containers []struct {
								Env []struct{ Name, Value string }
							}
						}
					}
				}
			}
			if decoder.Decode(&o) != nil {
				break
			}
			maps.Copy(found, o.Data)
			maps.Copy(found, o.String)
			for _, container := range o.Spec.Template.Spec.Containers {
				for _, v := range container.Env {
					c.Environment[v.Name] = v.Value
				}
			}
		}
	}
	for _, path := range strings.Split(c.Environment["BOTKUBE_CONFIG_PATHS"], ",") {
		text, ok := found[filepath.Base(path)]
		if !ok {
			t.Fatalf("the agent would read %s, which nothing renders", path)
		}
		c.Documents = append(c.Documents, []byte(text))
	}
	return c
}

// askCollector has the agent say which plugins it starts with each configuration.
func askCollector(t *testing.T, configurations []configuration) []enabledPlugins {
	t.Helper()
	var in bytes.Buffer
	for _, c := range configurations {
		check(t, json.NewEncoder(&in).Encode(c))
	}
	cmd := exec.Command(agentProgram(t), "enabled")
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answers []enabledPlugins
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var a enabledPlugins
		check(t, decoder.Decode(&a))
		answers = append(answers, a)
	}
	if len(answers) != len(configurations) {
		t.Fatalf("of %d configurations, the agent answered %d", len(configurations), len(answers))
	}
	return answers
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// How many configurations TestEnabledAsCollector generates, and which.
var (
	configurations    = flag.Int("configurations", 120, "how many generated `configurations` the agent is asked about")
	configurationSeed = flag.Uint64("seed", 5, "what generated configurations come of")
)

// TestEnabledAsCollector generates values files, has Helm render Botkube's chart with them and Botkube's own code
// say whether it takes them, and what it starts, and compares that with what we read out of the values, and out of
// what was rendered.
func TestEnabledAsCollector(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, *configurationSeed))
	var files [][]chart.File
	var given []configuration
	var rendered []chart.File
	for len(given) < *configurations {
		texts := randomFiles(t, random)
		objects, err := tryChart(t, texts...)
		if err != nil {
			continue // Helm makes nothing of it that an agent could judge
		}
		given = append(given, configurationOf(t, objects))
		files = append(files, valuesOf(texts))
		var all strings.Builder
		for _, name := range slices.Sorted(maps.Keys(objects)) {
			fmt.Fprintf(&all, "---\n# Source: %s\n%s\n", name, objects[name])
		}
		rendered = append(rendered, chart.File{Name: "rendered.yaml", Data: []byte(all.String())})
	}
	taken, plugins := 0, 0
	reasons := map[string]int{}
	for i, want := range askCollector(t, given) {
		for what, read := range map[string]func() (*chart.Values, error){
			"values":           func() (*chart.Values, error) { return chart.Read(Version, files[i], false) },
			"rendered objects": func() (*chart.Values, error) { return chart.Read("", rendered[i:i+1], false) },
		} {
			v, err := read()
			if problem := judgedOtherwise(v, err, want); problem != "" {
				t.Errorf("of %s, %s", what, problem)
				for _, f := range files[i] {
					t.Logf("%s:\n%s", f.Name, f.Data)
				}
				return
			}
		}
		for _, tag := range refusalTags.FindAllString(want.Error, -1) {
			reasons[tag]++
		}
		if want.Error == "" {
			taken++
			plugins += len(want.Executors) + len(want.Sources)
		}
	}
	t.Logf("of %d configurations, %d were taken, with %d plugins; the others were refused for %v", *configurations, taken, plugins, reasons)
	if taken < *configurations/2 || plugins < *configurations || *configurations-taken < *configurations/5 || len(reasons) < 8 {
		t.Error("the test says little")
	}
}

// judgedOtherwise says how what we make of a configuration is not what the agent makes of it, or nothing.
func judgedOtherwise(v *chart.Values, err error, want enabledPlugins) string {
	refusals := []string{}
	if err != nil {
		refusals = append(refusals, err.Error())
	} else {
		for _, r := range v.Refusals(Version) {
			refusals = append(refusals, r.String())
		}
	}
	switch {
	case want.Error != "" && len(refusals) == 0:
		return "we find nothing wrong, but the agent refuses it: " + want.Error
	case want.Error == "" && len(refusals) > 0:
		return "we refuse what the agent takes: " + strings.Join(refusals, "; ")
	case want.Error != "":
		return ""
	}
	e := v.Config.Enabled(Version)
	executors, sources := pluginKeys(e.Executors), pluginKeys(e.Sources)
	if !slices.Equal(executors, want.Executors) || !slices.Equal(sources, want.Sources) {
		return fmt.Sprintf("we read %v and %v, but the agent starts %v and %v", executors, sources, want.Executors, want.Sources)
	}
	return ""
}

// refusalTags match what the agent says of each of its rules.
var refusalTags = regexp.MustCompile(`binding not defined|already bound|already defined|required \{repo_name\}|different RBAC|'ChannelName' RBAC|is a required field|must contain at least|Command prefix|error\(s\) decoding`)

func valuesOf(texts [][]byte) []chart.File {
	var files []chart.File
	for i, text := range texts {
		files = append(files, chart.File{Name: fmt.Sprintf("%d.yaml", i), Data: text})
	}
	return files
}

// randomFiles are values in up to three files, in some of which there are mistakes.
func randomFiles(t *testing.T, r *rand.Rand) [][]byte {
	t.Helper()
	var texts [][]byte
	for range 1 + r.IntN(3) {
		v := randomValues(r)
		for r.IntN(4) == 0 {
			makeMistake(r, v)
		}
		text, err := yaml.Marshal(v)
		check(t, err)
		texts = append(texts, text)
	}
	return texts
}

// randomValues are values that enable, disable, bind and take away at random.
func randomValues(r *rand.Rand) map[string]any {
	groups := []string{"k8s-default-tools", "one", "two"}
	sourceGroups := []string{"k8s-err-events", "k8s-recommendation-events", "three", "four"}
	v := map[string]any{"executors": map[string]any{}, "sources": map[string]any{}}
	for _, of := range []struct {
		section string
		groups  []string
		plugins []string
	}{
		{"executors", groups, []string{"botkube/kubectl", "botkubeExtra/helm", "x/tool@v1.2.0"}},
		{"sources", sourceGroups, []string{"botkube/kubernetes", "x/prometheus", "x/kept@"}},
	} {
		section := v[of.section].(map[string]any)
		for _, g := range of.groups {
			group := map[string]any{"displayName": g}
			for _, p := range of.plugins {
				if r.IntN(2) == 0 {
					group[p] = map[string]any{"enabled": randomTruth(r), "context": rights()}
				}
				if r.IntN(12) == 0 {
					group[p] = nil // takes away what the chart, or a file before, has
				}
			}
			section[g] = group
		}
	}
	v["communications"] = map[string]any{"default-group": randomPlatforms(r, groups, sourceGroups)}
	v["actions"] = map[string]any{"mine": map[string]any{"enabled": randomTruth(r), "command": "x", "bindings": randomBindings(r, groups, sourceGroups)}}
	if r.IntN(6) == 0 {
		v["extraEnv"] = []any{map[string]any{"name": "BOTKUBE_ACTIONS_MINE_ENABLED", "value": fmt.Sprint(r.IntN(2) == 0)}}
	}
	return v
}

// rights are those of the chart's own plugins: the agent refuses to bind the same plugin with different ones.
func rights() map[string]any {
	return map[string]any{"rbac": map[string]any{"group": map[string]any{
		"type": "Static", "prefix": "", "static": map[string]any{"values": []string{"botkube-plugins-default"}},
	}}}
}

// randomTruth is true or false, in the ways in which the agent takes it.
func randomTruth(r *rand.Rand) any {
	return []any{true, true, true, false, "true", "false", 1, 0, "T"}[r.IntN(9)]
}

func randomBindings(r *rand.Rand, executors, sources []string) map[string]any {
	some := func(of []string) any {
		var picked []string
		for _, g := range of {
			if r.IntN(3) == 0 {
				picked = append(picked, g)
			}
		}
		if r.IntN(8) == 0 {
			return strings.Join(picked, ",")
		}
		return picked
	}
	return map[string]any{"executors": some(executors), "sources": some(sources)}
}

func randomPlatforms(r *rand.Rand, executors, sources []string) map[string]any {
	channels := func(id string) map[string]any {
		return map[string]any{"default": map[string]any{"name": "general", "id": id, "bindings": randomBindings(r, executors, sources)}}
	}
	sink := func() map[string]any {
		return map[string]any{"sources": randomBindings(r, nil, sources)["sources"]}
	}
	all := map[string]map[string]any{
		"socketSlack":   {"botToken": "xoxb-1", "appToken": "xapp-1", "channels": channels("")},
		"cloudSlack":    {"token": "x", "channels": channels("")},
		"mattermost":    {"url": "https://chat.example.com", "token": "x", "team": "x", "channels": channels("")},
		"discord":       {"token": "x", "botID": "1", "channels": channels("123456789012345678")},
		"cloudTeams":    {"botName": "x", "teams": []any{map[string]any{"id": "x", "channels": channels("x")}}},
		"webhook":       {"url": "https://hook.example.com", "bindings": sink()},
		"elasticsearch": {"server": "x", "indices": map[string]any{"i": map[string]any{"name": "i", "bindings": sink()}}},
		"pagerDuty":     {"integrationKey": "x", "bindings": sink()},
	}
	v := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if r.IntN(3) == 0 {
			continue
		}
		all[name]["enabled"] = r.IntN(3) == 0
		if name != "cloudSlack" && name != "cloudTeams" && r.IntN(4) == 0 {
			// The rest is that of another file, or the chart's; but for what is missing of credentials, nothing is said.
			all[name] = map[string]any{"enabled": all[name]["enabled"], "botToken": "xoxb-1", "appToken": "xapp-1", "integrationKey": "x"}
		}
		v[name] = all[name]
	}
	return v
}

// makeMistake changes values in a way that the agent refuses, if it comes to bear.
func makeMistake(r *rand.Rand, v map[string]any) {
	within := func(m map[string]any, keys ...string) map[string]any {
		for _, k := range keys {
			inner, ok := m[k].(map[string]any)
			if !ok {
				inner = map[string]any{}
				m[k] = inner
			}
			m = inner
		}
		return m
	}
	executors, sources := within(v, "executors"), within(v, "sources")
	platforms := within(v, "communications", "default-group")
	one, two, three := within(executors, "one"), within(executors, "two"), within(sources, "three")
	chat := within(platforms, []string{"mattermost", "discord", "socketSlack", "cloudSlack"}[r.IntN(4)])
	plugin := func() map[string]any { return map[string]any{"enabled": randomTruth(r), "context": rights()} }
	mistakes := []func(){
		func() { within(chat, "channels", "default", "bindings")["executors"] = []string{"one", "nowhere"} },
		func() { within(platforms, "webhook", "bindings")["sources"] = []string{"nowhere"} },
		func() { within(v, "actions", "mine", "bindings")["sources"] = "three,nowhere" },
		func() { delete(executors, "two") },
		func() { executors["k8s-default-tools"] = nil },
		func() { sources["k8s-err-events"] = nil },
		func() { one["other/kubectl"] = plugin() },
		func() { three["botkube/kubernetes@v1.0.0"] = plugin() },
		func() { two["x/tool@v1.3.0"] = plugin() },
		func() { one["kubectl"] = plugin() },
		func() { three["/kubernetes"] = plugin() },
		func() { two["x/@v1"] = plugin() },
		func() {
			one["botkube/kubectl"] = map[string]any{"enabled": true, "context": map[string]any{"rbac": nil}}
		},
		func() { three["botkube/kubernetes"] = map[string]any{"enabled": true, "context": map[string]any{}} },
		func() { within(one, "x/tool@v1.2.0", "context", "rbac", "group", "static")["values"] = []string{} },
		func() { within(two, "x/tool@v1.2.0", "context", "rbac", "group")["type"] = "ChannelName" },
		func() { within(v, "actions", "mine")["command"] = []any{nil, ""}[r.IntN(2)] },
		func() {
			within(v, "aliases")["a"] = map[string]any{"command": []string{"", "nothing here", "tool", "help me"}[r.IntN(4)]}
		},
		func() { within(chat, "channels")["default"] = nil },
		func() {
			within(chat, "channels", "default")["name"], within(chat, "channels", "default")["id"] = "", ""
		},
		func() { chat["channels"] = nil },
		func() { within(platforms, "elasticsearch")["indices"] = map[string]any{"default": nil, "i": nil} },
		func() { within(platforms, "elasticsearch")["indices"] = nil },
		func() { within(platforms, "cloudTeams")["teams"] = []any{nil, []any{}, ""}[r.IntN(3)] },
		func() { within(v, "communications")["default-group"] = nil },
		func() { within(v, "settings", "log")["disableColors"] = []any{"perhaps", "t", 0, ""}[r.IntN(4)] },
		func() { within(v, "settings")["informersResyncPeriod"] = []any{"30", 30, "5m"}[r.IntN(3)] },
		func() { within(v, "configWatcher", "remote")["pollInterval"] = []any{"soon", "15s"}[r.IntN(2)] },
		func() { within(v, "plugins")["healthCheckInterval"] = []any{"10", "10s"}[r.IntN(2)] },
		func() {
			within(chat, "channels", "default", "notification")["disabled"] = []any{"no", "false"}[r.IntN(2)]
		},
		func() {
			within(platforms, "cloudSlack", "server", "tls")["caCertificate"] = []any{"abc", "1,2", []int{1}}[r.IntN(3)]
		},
		func() {
			within(platforms, "cloudSlack", "channels", "default")[[]string{"channelID", "alias"}[r.IntN(2)]] = []any{1, []any{}}[r.IntN(2)]
		},
		func() {
			within(platforms, "cloudSlack")["executionEventStreamingDisabled"] = []any{"perhaps", "false"}[r.IntN(2)]
		},
		func() {
			within(chat, "channels", "default")[[]string{"name", "id"}[r.IntN(2)]] = map[string]any{"of": "it"}
		},
	}
	mistakes[r.IntN(len(mistakes))]()
}

// TestChartDefaults compares what we know of the chart's own values with the chart.
func TestChartDefaults(t *testing.T) {
	t.Parallel()
	c, err := loadBotkubeChart()
	check(t, err)
	known, note, err := chart.DefaultValues(Version)
	if err != nil || len(note) > 0 {
		t.Fatal(err, note)
	}
	wantWithin(t, "", known, c.Values)
	all, err := yaml.Marshal(c.Values)
	check(t, err)
	// All of the chart's values, laid over what we know of them, are no other configuration than those.
	ours, err := chart.Read(Version, []chart.File{{Name: "ours", Data: []byte("{}")}}, false)
	check(t, err)
	theirs, err := chart.Read(Version, []chart.File{{Name: "theirs", Data: all}}, false)
	check(t, err)
	left := func(v *chart.Values) string {
		return fmt.Sprint(v.Config.Enabled(""), v.Config.Egress(""), v.Refusals(""))
	}
	if left(ours) != left(theirs) {
		t.Errorf("of what we know follows\n%s\nof the chart itself\n%s", left(ours), left(theirs))
	}
}

// wantWithin wants each value that we know to be the chart's.
func wantWithin(t *testing.T, at string, known, real any) {
	t.Helper()
	m, ok := known.(map[string]any)
	if !ok {
		if a, b := fmt.Sprint(known), fmt.Sprint(real); a != b {
			t.Errorf("%s is %s, not %s", at, b, a)
		}
		return
	}
	inner, ok := real.(map[string]any)
	if !ok {
		t.Errorf("the chart has no mapping at %s", at)
		return
	}
	for k, v := range m {
		wantWithin(t, at+"."+k, v, inner[k])
	}
}

// pluginKeys returns the keys of plugins.
func pluginKeys(plugins []agent.EnabledPlugin) []string {
	var all []string
	for _, p := range plugins {
		all = append(all, p.Key)
	}
	return all
}

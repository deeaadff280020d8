package configured

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// objects are what the chart renders for an agent that starts demo/hello.
const objects = `
apiVersion: v1
kind: ConfigMap
data: {global_config.yaml: "executors: {g: {demo/hello: {enabled: true}}}\nplugins: {cacheDir: /plugins, repositories: {demo: {url: 'http://e.com/i'}}}\n"}
---
apiVersion: v1
kind: Secret
stringData: {comm_config.yaml: "communications: {c: {discord: {enabled: true, botID: x, token: x, channels: {x: {id: '1', bindings: {executors: [g]}}}}}}"}
---
`

const deployment = "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{image: 'a/b:v1.14.0', env: [{name: BOTKUBE_CONFIG_PATHS, value: x}, %], envFrom: [#]}]}}}\n"

func read(t *testing.T, texts ...string) *Agent {
	t.Helper()
	c, err := Read("v1.14.0", files(texts...), false)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func files(texts ...string) (all []chart.File) {
	for _, text := range texts {
		all = append(all, chart.File{Name: "values.yaml", Data: []byte(text)})
	}
	return all
}

// TestUndecided has objects leave open what the agent does.
func TestUndecided(t *testing.T) {
	t.Parallel()
	const from = "{name: %, valueFrom: {secretKeyRef: {name: s, key: k}}}"
	of := func(variable, envFrom string) string {
		if variable != "" {
			variable = strings.ReplaceAll(from, "%", variable)
		}
		return objects + strings.NewReplacer("%", variable, "#", envFrom).Replace(deployment)
	}
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"a Deployment":              {of("", ""), nil},
		"none":                      {objects, []string{"the agent's Deployment"}},
		"Helm values":               {"{}", nil},
		"an absent object":          {of("", "{secretRef: {name: extra}}, {secretRef: {name: extra}}"), []string{"Secret extra"}},
		"a setting of plugins":      {of("BOTKUBE_PLUGINS_CACHE__DIR", ""), []string{"the value of the variable BOTKUBE_PLUGINS_CACHE__DIR"}},
		"a token":                   {of("BOTKUBE_COMMUNICATIONS_C_DISCORD_TOKEN", ""), nil},
		"a chat platform's address": {of("BOTKUBE_COMMUNICATIONS_C_MATTERMOST_URL", ""), nil},
		"of Helm values":            {"extraEnv: [" + strings.ReplaceAll(from, "%", "BOTKUBE_ANALYTICS_DISABLE") + "]", []string{"the value of the variable BOTKUBE_ANALYTICS_DISABLE"}},
	} {
		if c := read(t, test.text); !slices.Equal(c.Undecided, test.want) {
			t.Errorf("%s: %q, notes %q", name, c.Undecided, c.Notes)
		}
	}
}

// TestRead has the version be that of the argument, or else of the values.
// TestPassedOver has keys misspelt in values, and in what the chart rendered.
func TestPassedOver(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text      string
		want      string
		undecided bool
	}{
		"of the chart":    {"executers: {}\nglobal: {}\nx-mine: {}\n", `the chart v1.14.0 ignores the unknown key "executers": did you mean executors?`, false},
		"of the provider": {"config: {provider: {identifer: x}}\n", `the chart v1.14.0 ignores the unknown key "config.provider.identifer": did you mean identifier?`, false},
		"of the agent":    {"plugins: {repositorys: {}}\n", `the agent v1.14.0 ignores the unknown key "plugins.repositorys": did you mean repositories?`, false},
		"in objects":      {strings.Replace(objects, "enabled: true}}}", "enable: true}}}", 1), `the agent v1.14.0 ignores the unknown key "executors.g.demo/hello.enable": did you mean enabled?`, true}, // as there is no Deployment
		"in another case": {"plugins: {cachedir: /x}\n", `the agent v1.14.0 reads either "plugins.cachedir" or "cacheDir", by chance: remove one of them`, true},
	} {
		c := read(t, test.text)
		if got := strings.Join(c.PassedOver, "\n"); got != test.want || !slices.Contains(c.Notes, test.want) || (len(c.Undecided) > 0) != test.undecided {
			t.Errorf("%s: %s, undecided %q", name, got, c.Undecided)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	c := read(t, "image: {tag: v1.13.0}\ncommunications: {c: {irc: {enabled: true}}}\n")
	if c.ChartVersion != "v1.14.0" || c.Version != "v1.13.0" || c.Name() != "the agent v1.13.0" || len(c.Notes) != 2 {
		t.Errorf("chart %s, %s, notes %q", c.ChartVersion, c.Name(), c.Notes)
	}
	if c := read(t, objects); len(c.Executors) != 1 || len(c.Sources) != 0 || c.Executors[0].Key != "demo/hello" {
		t.Errorf("it starts %+v", c.Enablement)
	}
	for name, test := range map[string]struct{ version, text, hint string }{
		"no version":   {"", "{}", "--version v1.14.0"},
		"no platforms": {"v1.14.0", "apiVersion: v1\nkind: ConfigMap\ndata: {global_config.yaml: \"a: b\"}\n", "kubectl get secret NAME"},
		"a Secret":     {"v1.14.0", "existingCommunicationsSecretName: chat", "kubectl get secret chat"},
		"no objects":   {"v1.14.0", "apiVersion: v1\nkind: Service\n", "helm template"},
	} {
		_, err := Read(test.version, files(test.text), false)
		platforms := strings.Contains(test.hint, "kubectl get secret")
		if fault.KindOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), test.hint) || errors.Is(err, chart.ErrNoPlatforms) != platforms {
			t.Errorf("%s: %v, hint %q", name, err, fault.HintOf(err))
		}
	}
	if _, err := Read("v1.14.0", files("existingCommunicationsSecretName: chat"), true); err != nil {
		t.Errorf("with all that is enabled, the platforms do not matter: %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	if err := read(t, "{}").Check(); err != nil {
		t.Errorf("the chart's own values: %v", err)
	}
	err := read(t, "config: {provider: {identifier: x, endpoint: 'https://cloud.example.com'}}").Check()
	if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "Botkube Cloud at https://cloud.example.com") {
		t.Errorf("of Botkube Cloud: %v", err)
	}
	var many strings.Builder
	for i := range MaxRefusals + 3 {
		many.WriteString(", \"a\\n" + strings.Repeat("x", i) + "\": {enabled: true}")
	}
	err = read(t, "actions: {b: {enabled: true}"+many.String()+"}").Check()
	if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "the agent v1.14.0 would refuse") || !strings.Contains(err.Error(), "\n  and ") || strings.Count(err.Error(), "\n") != MaxRefusals+1 {
		t.Errorf("%v", err)
	}
}

// TestEgress has a mirror say whose plugins a repository has, which values for the mirror
// do not.
func TestEgress(t *testing.T) {
	t.Parallel()
	c := read(t, objects+strings.NewReplacer("%", "{name: HTTP_PROXY, value: 'http://proxy.example.com'}", "#", "").Replace(deployment))
	if got := c.Egress("v1.14.0", nil); !slices.Equal(got.Unknown, []string{"demo/hello"}) {
		t.Errorf("without a mirror, %q are unknown", got.Unknown)
	}
	if !slices.ContainsFunc(c.Egress("v1.14.0", nil).Calls, func(e agent.Egress) bool { return strings.Contains(e.Destination, "proxy.example.com") }) {
		t.Error("the proxy is not called")
	}
	c = read(t, strings.ReplaceAll(objects, "demo/hello", "demo/helm"))
	got := c.Egress("v1.14.0", func(agent.PluginType, agent.PluginKey) (string, string) {
		return "v1.10.0", "https://github.com/kubeshop/botkube-plugins/releases/download/v1.10.0/plugins-index.yaml"
	})
	if len(got.Unknown) != 0 || !slices.Equal(got.NeedCloud, []string{"demo/helm"}) {
		t.Errorf("of Botkube's own, %+v", got)
	}
}

func TestWatcherImage(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{}":                              "ghcr.io/kubeshop/k8s-sidecar:in-cluster-config",
		"configWatcher: {enabled: false}": "",
		"configWatcher: {image: {registry: r.example}}": "published",
	} {
		c, err := Read("v1.4.1", files(text), false)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.WatcherImage("published", "--flag"); got != want || slices.ContainsFunc(c.Notes, func(n string) bool { return strings.Contains(n, "--flag=r.example") }) != (want == "published") {
			t.Errorf("%s: %q, notes %q", text, got, c.Notes)
		}
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	c := read(t, strings.ReplaceAll(objects, "demo/hello: {enabled: true}", "botkubeExtra/exec: {enabled: true, config: {templates: [{ref: 'https://e.com/t'}], tmpDir: /x}}"))
	all, err := c.Templates("v1.14.0")
	if key := (agent.PluginKey{Repository: "botkubeExtra", Name: "exec"}); err != nil || !slices.Equal(all[key], []string{"https://e.com/t"}) || !strings.Contains(strings.Join(c.Lines(), "\n"), "note: botkubeExtra/exec in group g keeps its templates in /x") {
		t.Errorf("%v, %v, %q", all, err, c.Lines())
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, large, garbled := filepath.Join(dir, "good"), filepath.Join(dir, "large"), filepath.Join(dir, "garbled")
	for name, data := range map[string]string{good: "\xff\xfea\x00", large: strings.Repeat(" ", agent.MaxConfig+1), garbled: "\xff\xfea"} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := Files(t.Context(), []string{good}); err != nil || len(all) != 1 || string(all[0].Data) != "a" || all[0].Name != good {
		t.Errorf("UTF-16 of Windows: %q, %v", all, err)
	}
	for name, says := range map[string]string{dir: "is a directory", large: "the maximum of 4194304 bytes", filepath.Join(dir, "none"): "no such file", garbled: garbled} {
		if _, err := Files(t.Context(), []string{good, name}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

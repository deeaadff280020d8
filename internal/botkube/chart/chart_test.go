package chart

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func read(t *testing.T, version string, texts ...string) *Values {
	t.Helper()
	v, err := Read(version, files(texts), false)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func files(texts []string) []File {
	var all []File
	for _, text := range texts {
		all = append(all, File{Name: "values.yaml", Data: []byte(text)})
	}
	return all
}

// started lists what an agent starts.
func started(v *Values) string {
	e := v.Config.Enabled("")
	return strings.Join(append(keys(e.Executors), keys(e.Sources)...), " ")
}

const slack = "communications: {default-group: {socketSlack: {enabled: true}}}\n"

func TestReadValues(t *testing.T) {
	for name, test := range map[string]struct {
		version string
		texts   []string
		want    string
	}{
		"defaults of the chart": {"v1.14.0", []string{"{}"}, ""},
		"empty file":            {"v1.14.0", []string{""}, ""},
		"a platform is enabled": {"v1.14.0", []string{slack}, "botkubeExtra/helm botkube/kubernetes"},
		"in an older version":   {"v1.8.0", []string{slack}, "botkube/kubernetes"},
		"with a patch version":  {"v1.9.3", []string{slack}, "botkube/kubernetes"},
		"YAML 1.1 is what Helm reads": {"v1.14.0", []string{slack, "executors: {k8s-default-tools: {botkube/kubectl: {enabled: yes}}}"},
			"botkube/kubectl botkubeExtra/helm botkube/kubernetes"},
		"a later file wins": {"v1.14.0", []string{slack, "communications: {default-group: {socketSlack: {enabled: false}}}"}, ""},
		"lists are replaced": {"v1.14.0", []string{slack, "communications: {default-group: {socketSlack: {channels: {default: {bindings: {executors: [], sources: [k8s-err-events]}}}}}}"},
			"botkube/kubernetes"},
		"null removes a default": {"v1.14.0", []string{slack, "executors: {k8s-default-tools: null}"}, "botkube/kubernetes"},
		"null removes a plugin":  {"v1.14.0", []string{slack, "executors: {k8s-default-tools: {botkubeExtra/helm: }}"}, "botkube/kubernetes"},
		"null and then a value": {"v1.14.0", []string{slack, "executors: {k8s-default-tools: null}", "executors: {k8s-default-tools: {a/b: {enabled: true}}}"},
			"a/b botkubeExtra/helm botkube/kubernetes"},
		"an action binds": {"v1.14.0", []string{"actions: {show-logs-on-error: {enabled: true}}"}, "botkubeExtra/helm botkube/kubernetes"},
		"the environment counts": {"v1.14.0", []string{"extraEnv: [{name: BOTKUBE_COMMUNICATIONS_DEFAULT-GROUP_SOCKET__SLACK_ENABLED, value: \"true\"}]"},
			"botkubeExtra/helm botkube/kubernetes"},
		"platforms of old agents": {"v1.8.0", []string{"communications: {default-group: {slack: {enabled: true}}}"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := started(read(t, test.version, test.texts...)); got != test.want {
				t.Errorf("it starts %q, want %q", got, test.want)
			}
		})
	}
}

func TestOldPlatforms(t *testing.T) {
	v := read(t, "v1.8.0", "communications: {default-group: {slack: {enabled: true}}}")
	if got := keys(v.Config.Enabled("v1.8.0").Sources); !reflect.DeepEqual(got, []string{"botkube/kubernetes"}) {
		t.Errorf("with slack, an agent v1.8.0 starts %q", got)
	}
	if got := v.Config.Enabled("v1.9.0").Sources; len(got) > 0 {
		t.Errorf("with slack, an agent v1.9.0 starts %q", got)
	}
}

func TestRepositories(t *testing.T) {
	for version, want := range map[string]map[string]string{
		"v1.8.0": {"botkube": "https://github.com/kubeshop/botkube/releases/download/v1.8.0/plugins-index.yaml"},
		"v1.14.0-rc.1": {
			"botkube":      "https://github.com/kubeshop/botkube/releases/download/v1.14.0-rc.1/plugins-index.yaml",
			"botkubeExtra": "https://github.com/kubeshop/botkube-plugins/releases/download/v1.14.0/plugins-index.yaml",
		},
		"v1.14.0": {
			"botkube":      "https://github.com/kubeshop/botkube/releases/download/v1.14.0/plugins-index.yaml",
			"botkubeExtra": "https://github.com/kubeshop/botkube-plugins/releases/download/v1.14.0/plugins-index.yaml",
		},
	} {
		got := map[string]string{}
		for name, r := range read(t, version, "{}").Config.Plugins.Repositories {
			got[name] = r.URL
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the chart %s has the repositories %v", version, got)
		}
	}
}

// objectsOf is what a chart renders for an agent.
func objectsOf(global, communications string) string {
	indent := func(s string) string { return "    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ") }
	return "# Source: botkube/templates/global-config.yaml\n---\napiVersion: v1\nkind: ConfigMap\ndata:\n  global_config.yaml: |\n" + indent(global) +
		"\n---\n# nothing\n---\napiVersion: v1\nkind: Secret\nstringData:\n  comm_config.yaml: |\n" + indent(communications) + "\n"
}

const (
	global         = "executors:\n  g:\n    botkube/kubectl: {enabled: true}\nplugins:\n  cacheDir: /plugins\n"
	communications = "communications:\n  c:\n    discord:\n      enabled: true\n      channels: {x: {id: '1', bindings: {executors: [g]}}}\n"
)

func TestReadObjects(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(communications))
	for name, texts := range map[string][]string{
		"helm template": {objectsOf(global, communications)},
		"a list": {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  data: {global_config.yaml: " + quoted(global) +
			"}\n- apiVersion: v1\n  kind: Secret\n  data: {comm_config.yaml: " + encoded + "}\n"},
		"two files": {"apiVersion: v1\nkind: Secret\ndata: {comm_config.yaml: " + encoded + ", other: '%%%'}\n",
			"apiVersion: v1\nkind: ConfigMap\ndata: {global_config.yaml: " + quoted(global) + "}\n"},
	} {
		v := read(t, "", texts...)
		if got := started(v); got != "botkube/kubectl" || v.Config.Plugins.CacheDir != "/plugins" || v.Merged != nil {
			t.Errorf("%s: it starts %q with its cache in %s", name, got, v.Config.Plugins.CacheDir)
		}
	}
	state := "---\napiVersion: v1\nkind: ConfigMap\ndata:\n  _runtime_state.yaml: |\n    actions: {a: {enabled: true}}\n"
	withAction := global + "actions: {a: {enabled: false, bindings: {executors: [h]}}}\nsources: {}\n"
	withAction = strings.Replace(withAction, "executors:\n", "executors:\n  h: {x/y: {enabled: true}}\n", 1)
	if got := started(read(t, "", state+objectsOf(withAction, communications))); got != "botkube/kubectl x/y" {
		t.Errorf("with the state that the agent kept it starts %q", got)
	}
	for platforms, notes := range map[string]int{"": 1, "{}": 0, "{c: {}}": 0} {
		state := "---\napiVersion: v1\nkind: ConfigMap\ndata:\n  _runtime_state.yaml: |\n    communications: " + platforms + "\n"
		if v := read(t, "", objectsOf(global, communications)+state); len(v.Notes) != notes || (started(v) == "") != (notes > 0) {
			t.Errorf("with a state whose platforms are %q it starts %q, and notes are %q", platforms, started(v), v.Notes)
		}
	}
	deployment := "---\napiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{image: a/b:c, env: [" +
		"{name: BOTKUBE_CONFIG_PATHS, value: x}, {name: BOTKUBE_PLUGINS_CACHE__DIR, value: /elsewhere}, {name: TOKEN, valueFrom: {}}]}]}}}\n"
	if v := read(t, "", objectsOf(global, communications)+deployment); v.Config.Plugins.CacheDir != "/elsewhere" || !reflect.DeepEqual(v.Pulls, []Pull{{"a/b:c", "image", agentStop}}) {
		t.Errorf("of the Deployment, there is %q and %q", v.Config.Plugins.CacheDir, v.Pulls)
	}
}

// TestObjectsLaidOver reads what `values --format manifests` prints over what the chart
// rendered: a file of the agent's, and a part of its Deployment.
func TestObjectsLaidOver(t *testing.T) {
	const deployment = "---\napiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{%s}]}}}\n"
	chart := fmt.Sprintf(deployment, "image: a/b:c, volumeMounts: [{mountPath: /tmp}], env: [{name: BOTKUBE_CONFIG_PATHS, value: /config/global_config.yaml}, {name: BOTKUBE_SETTINGS_CLUSTER__NAME, value: x}]")
	file := "---\napiVersion: v1\nkind: ConfigMap\ndata: {mirror.yaml: " + quoted("plugins: {cacheDir: /mirror}\n") + "}\n"
	over := file + fmt.Sprintf(deployment, "volumeMounts: [{mountPath: /mirror}], env: [{name: BOTKUBE_CONFIG_PATHS, value: '/config/global_config.yaml,/mirror-config/mirror.yaml'}]")

	v := read(t, "", objectsOf(global, communications)+chart, over)
	if v.Config.Plugins.CacheDir != "/mirror" || !reflect.DeepEqual(v.Pulls, []Pull{{"a/b:c", "image", agentStop}}) || v.Environment["BOTKUBE_SETTINGS_CLUSTER__NAME"] != "x" || !v.Mounts.MayHaveFiles("/mirror") {
		t.Errorf("it comes to %+v", v)
	}
	if v := read(t, "", objectsOf(global, communications)+chart, file); v.Config.Plugins.CacheDir != "/plugins" {
		t.Errorf("a file that the agent is not told to read says that its cache is in %s", v.Config.Plugins.CacheDir)
	}
	if _, err := Read("", []File{{Name: "a", Data: []byte(objectsOf(global, communications) + file + over)}}, false); err == nil || !strings.Contains(err.Error(), "mirror.yaml is in several objects") {
		t.Errorf("of a file that is there twice: %v", err)
	}
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, "\n", `\n`) + `"` }

func TestSecretBesideValues(t *testing.T) {
	values := "existingCommunicationsSecretName: platforms\nexecutors: {g: {a/b: {enabled: true}}}\n"
	_, err := Read("v1.14.0", files([]string{values}), false)
	if !errors.Is(err, ErrNoPlatforms) || !strings.Contains(err.Error(), `Secret "platforms"`) {
		t.Fatalf("without the Secret: %v", err)
	}
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: platforms}\nstringData: {comm_config.yaml: " + quoted(communications) + "}\n"
	if got := started(read(t, "v1.14.0", values, secret)); got != "a/b" {
		t.Errorf("with the Secret it starts %q", got)
	}
	_, err = Read("v1.14.0", files([]string{values, strings.Replace(secret, "name: platforms", "name: another", 1)}), false)
	if !errors.Is(err, ErrNoPlatforms) || !strings.Contains(err.Error(), `but "another" is`) {
		t.Errorf("with another Secret: %v", err)
	}
	if _, err = Read("v1.14.0", files([]string{slack, secret}), false); err == nil || !strings.Contains(err.Error(), "existingCommunicationsSecretName") {
		t.Errorf("with a Secret that the values do not name: %v", err)
	}
}

func TestObjectsWithoutConfiguration(t *testing.T) {
	for name, text := range map[string]string{
		"a Secret":             "apiVersion: v1\nkind: Secret\nstringData: {comm_config.yaml: " + quoted(communications) + "}\n",
		"an object of another": "apiVersion: v1\nkind: Service\n",
	} {
		if _, err := Read("v1.14.0", files([]string{text}), false); err == nil || !strings.Contains(err.Error(), "none of these Kubernetes objects has the agent's configuration") || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		version string
		texts   []string
		want    string
	}{
		"no version":            {"", []string{"{}"}, "version of Botkube is unknown"},
		"a version before":      {"v0.18.0", []string{"{}"}, "known from v1.0.0 on"},
		"no YAML":               {"v1.14.0", []string{"a: [b"}, "values.yaml"},
		"no mapping":            {"v1.14.0", []string{"- a"}, "not a mapping"},
		"a word for a number":   {"v1.14.0", []string{"executors: {g: {a/b: {enabled: perhaps}}}"}, "would refuse"},
		"objects and values":    {"v1.14.0", []string{objectsOf(global, communications), "a: b"}, "it is not clear which of them counts"},
		"values among objects":  {"v1.14.0", []string{objectsOf(global, communications) + "---\na: b\n"}, "separate files"},
		"values before objects": {"v1.14.0", []string{slack + "---\napiVersion: v1\nkind: Secret\n"}, "separate files"},
		"twice":                 {"", []string{objectsOf(global, communications), objectsOf(global, communications)}, "in this object and in another one"},
		"no platforms":          {"", []string{"apiVersion: v1\nkind: ConfigMap\ndata: {global_config.yaml: \"a: b\"}\n"}, "comm_config.yaml"},
		"sealed platforms":      {"", []string{"apiVersion: v1\nkind: ConfigMap\ndata: {global_config.yaml: \"a: b\"}\n---\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: platforms}\n"}, "SealedSecret platforms: the Secret that it creates is not given"},
		"garbled configuration": {"", []string{"apiVersion: v1\nkind: ConfigMap\ndata: {global_config.yaml: \"a: [\"}\n"}, "global_config.yaml"},
		"values in an object":   {"v1.14.0", []string{slack, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {prod.yaml: \"executors: {g: {a/b: {enabled: true}}}\"}\n"}, "ConfigMap c: it has the Helm values \"prod.yaml\""},
		"... with an alias":     {"v1.14.0", []string{slack, "apiVersion: v1\nkind: Secret\nmetadata: {name: c}\nstringData: {x: \"chatops: {executors: {g: {a/b: {enabled: true}}}}\"}\n"}, "Secret c: it has the Helm values \"x\""},
		"an empty first one":    {"v1.14.0", []string{"---\n# of the company\n---\n" + slack}, "versions of Helm read only the first"},
		"a template":            {"v1.14.0", []string{"executors: {g: {a/b: {enabled: {{ .Values.s3cret }}}}}"}, "fill in the template first"},
		"of a chart around it":  {"v1.14.0", []string{"botkube: {" + strings.TrimSpace(slack) + "}"}, "below the key \"botkube\""},
		"of one with an alias":  {"v1.14.0", []string{"global: {a: b}\nchatops: {" + strings.TrimSpace(slack) + "}"}, "below the key \"chatops\""},
		"too many values":       {"v1.14.0", []string{"a: [" + strings.Repeat("b,", helmvalues.MaxMarks) + "]"}, "may have more"},
		"too long":              {"v1.14.0", []string{"#" + strings.Repeat("x", agent.MaxConfig)}, "bytes"},
	} {
		_, err := Read(test.version, files(test.texts), false)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	for _, text := range []string{
		"communications: {default-group: {socketSlack: {enabled: s3cret}}}",
		"a: !!int s3cret",
		"a: *s3cret",
		"apiVersion: v1\nkind: Secret\ndata: s3cret\nstringData: \"s3cr`\\n\"",
		"apiVersion: v1\nkind: Secret\nstringData: {comm_config.yaml: s3cret}\n",
		objectsOf(global, "a: !!float s3cret"),
	} {
		if _, err := Read("v1.14.0", files([]string{text}), false); err == nil || strings.Contains(err.Error(), "s3cr") {
			t.Errorf("of %q, a value is shown: %v", text, err)
		}
	}
}

func TestCloud(t *testing.T) {
	if v := read(t, "v1.14.0", "config: {provider: {identifier: x, apiKey: s3cret}}"); !v.Remote() || v.Cloud != "https://api.botkube.io/graphql" {
		t.Errorf("Cloud is %q", v.Cloud)
	}
	if v := read(t, "v1.14.0", "config: {provider: {apiKey: s3cret}}"); v.Remote() {
		t.Error("without an identifier, Cloud is asked")
	}
	for _, variable := range []string{"{name: CONFIG_PROVIDER_IDENTIFIER, value: x}", "{name: CONFIG_PROVIDER_IDENTIFIER, valueFrom: {secretKeyRef: {name: x, key: id}}}"} {
		if v := read(t, "v1.14.0", "extraEnv: ["+variable+"]"); !v.Remote() {
			t.Errorf("with %s in extraEnv, Cloud is not asked", variable)
		}
		deployment := "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{env: [" +
			"{name: CONFIG_PROVIDER_ENDPOINT, value: https://cloud.example.com}, " + variable + "]}]}}}\n"
		if v := read(t, "", deployment); v.Cloud != "https://cloud.example.com" {
			t.Errorf("of a Deployment with %s, Cloud is %q", variable, v.Cloud)
		}
	}
}

func TestMounts(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want bool
	}{
		"nothing":          {"{}", false},
		"a claim":          {"{extraVolumes: [{name: a, persistentVolumeClaim: {}}], extraVolumeMounts: [{name: a, mountPath: /srv/plugins/}]}", true},
		"above":            {"{extraVolumes: [{name: a, persistentVolumeClaim: {}}], extraVolumeMounts: [{name: a, mountPath: /srv, subPath: x}]}", true},
		"below":            {"{extraVolumes: [{name: a, persistentVolumeClaim: {}}], extraVolumeMounts: [{name: a, mountPath: /srv/plugins/x}]}", false},
		"beside":           {"{extraVolumes: [{name: a, persistentVolumeClaim: {}}], extraVolumeMounts: [{name: a, mountPath: /srv/plugin}]}", false},
		"an empty one":     {"{extraVolumes: [{name: a, emptyDir: {}}], extraVolumeMounts: [{name: a, mountPath: /srv/plugins}]}", false},
		"within an empty":  {"{extraVolumes: [{name: a, emptyDir: {}}, {name: b}], extraVolumeMounts: [{name: a, mountPath: /srv}, {name: b, mountPath: /srv/plugins}]}", true},
		"none of the name": {"{extraVolumes: [{name: b, persistentVolumeClaim: {}}], extraVolumeMounts: [{name: a, mountPath: /srv/plugins}]}", false},
		"other kinds":      {"{extraVolumes: {a: b}, extraVolumeMounts: [c, {name: 1, mountPath: 2}]}", false},
		"relative, no end": {"{extraVolumeMounts: [{name: a, mountPath: srv/plugins}, {name: a, mountPath: ..}]}", false},
	} {
		if got := read(t, "v1.14.0", test.text).Mounts.MayHaveFiles("/srv/plugins"); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	deployment := func(spec string) string {
		return objectsOf(global, communications) + "---\napiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {" + spec +
			", containers: [{name: other, volumeMounts: []}, {env: [{name: BOTKUBE_CONFIG_PATHS}], volumeMounts: [{name: a, mountPath: /srv}]}]}}}\n"
	}
	for spec, want := range map[string]bool{
		"volumes: [{name: a, image: {reference: x}}]":               true,
		"volumes: [{name: a, emptyDir: {}}]":                        false,
		"volumes: [{name: a, emptyDir: {}}], initContainers: [{}]":  true,
		"volumes: [{name: b, emptyDir: {}}, {name: a, secret: {}}]": true,
	} {
		if got := read(t, "", deployment(spec)).Mounts.MayHaveFiles("/srv/plugins"); got != want {
			t.Errorf("%s: %t", spec, got)
		}
	}
	if read(t, "", objectsOf(global, communications)).Mounts != nil {
		t.Error("mounts are known without a Deployment")
	}
}

func TestVariableFromElsewhere(t *testing.T) {
	deployment := "---\napiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{env: [{name: BOTKUBE_CONFIG_PATHS, value: x}, " +
		"{name: BOTKUBE_COMMUNICATIONS_C_DISCORD_ENABLED, valueFrom: {configMapKeyRef: {name: a, key: b}}}]}]}}}\n"
	if got := started(read(t, "", objectsOf(global, communications)+deployment)); got != "botkube/kubectl" {
		t.Errorf("with a variable that says nobody knows what, it starts %q", got)
	}
}

// TestManyKeys has the YAML library compare keys with each other, and describe
// those that stand twice.
func TestManyKeys(t *testing.T) {
	var different strings.Builder
	for i := range 30000 {
		fmt.Fprintf(&different, "a%d:\n", i)
	}
	for name, text := range map[string]string{"the same": strings.Repeat("a:\n", 5000), "different ones": different.String()} {
		for where, file := range map[string]string{"values": text, "configuration": objectsOf(text, communications)} {
			if _, err := Read("v1.14.0", files([]string{file}), false); err == nil || !strings.Contains(err.Error(), " keys") {
				t.Errorf("%s, %s: the error is %.100q", where, name, fmt.Sprint(err))
			}
		}
	}
}

func TestNewest(t *testing.T) {
	known, err := knownDefaults()
	if err != nil || tag(known[len(known)-1]) != Newest {
		t.Errorf("the newest is %v, %v", known, err)
	}
}

func TestLaterVersion(t *testing.T) {
	if v := read(t, "v1.15.0", slack); len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "v1.14.0") {
		t.Errorf("of a later version's defaults: %q", v.Notes)
	}
	for _, version := range []string{"v1.14.0", "v1.14.7", "v1.14.1-rc.1", "v1.2.5"} {
		if v := read(t, version, slack); len(v.Notes) > 0 {
			t.Errorf("of %s: %q", version, v.Notes)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("v1.14.0", []byte(slack))
	f.Add("", []byte(objectsOf(global, communications)))
	f.Fuzz(func(t *testing.T, version string, data []byte) {
		v, err := Read(version, []File{{"values.yaml", data}}, false)
		if err != nil {
			return
		}
		v.Config.Enabled(version)
		v.Config.Egress(version)
		if _, err := v.Config.Templates(version); err != nil {
			return
		}
	})
}

// keys returns the keys of plugins.
func keys(plugins []agent.EnabledPlugin) []string {
	var all []string
	for _, p := range plugins {
		all = append(all, p.Key)
	}
	return all
}

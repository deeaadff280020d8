package chart

import (
	"slices"
	"strings"
	"testing"
)

// agentWith is an agent's Deployment with what its container has.
func agentWith(container string) string {
	return objectsOf(global, communications) + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: botkube, labels: {helm.sh/chart: botkube-v1.13.0_meta}}\n" +
		"spec: {template: {spec: {containers: [{name: botkube, image: 'registry.example.com/botkube:v1.12.0@sha256:00', " + container + "}, {name: cfg-watcher, image: 'ghcr.io/kubeshop/k8s-sidecar:in-cluster-config'}]}}}\n"
}

const variables = `---
apiVersion: v1
kind: ConfigMap
metadata: {name: env}
data: {BOTKUBE_PLUGINS_CACHE__DIR: /from/map, PLUGINS_CACHE__DIR: /prefixed, dir: /by/key}
---
apiVersion: v1
kind: Secret
metadata: {name: env}
data: {BOTKUBE_PLUGINS_CACHE__DIR: L2Zyb20vc2VjcmV0}
`

// TestEnvironment has env count more than envFrom, and of that the last, as in a cluster.
func TestEnvironment(t *testing.T) {
	for name, test := range map[string]struct{ container, want string }{
		"a ConfigMap":             {"env: [{name: BOTKUBE_CONFIG_PATHS}], envFrom: [{configMapRef: {name: env}}]", "/from/map"},
		"a Secret after it":       {"env: [{name: BOTKUBE_CONFIG_PATHS}], envFrom: [{configMapRef: {name: env}}, {secretRef: {name: env}}]", "/from/secret"},
		"a prefix":                {"env: [{name: BOTKUBE_CONFIG_PATHS}], envFrom: [{prefix: BOTKUBE_, configMapRef: {name: env}}]", "/prefixed"},
		"env over it":             {"env: [{name: BOTKUBE_CONFIG_PATHS}, {name: BOTKUBE_PLUGINS_CACHE__DIR, value: /from/env}], envFrom: [{secretRef: {name: env}}]", "/from/env"},
		"one key":                 {"env: [{name: BOTKUBE_CONFIG_PATHS}, {name: BOTKUBE_PLUGINS_CACHE__DIR, valueFrom: {configMapKeyRef: {name: env, key: dir}}}]", "/by/key"},
		"a key that is not given": {"env: [{name: BOTKUBE_CONFIG_PATHS}, {name: BOTKUBE_PLUGINS_CACHE__DIR, valueFrom: {configMapKeyRef: {name: env, key: none}}}]", "/plugins"},
	} {
		v := read(t, "", agentWith(test.container)+variables)
		if got := v.Config.Plugins.CacheDir; got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
		if absent := test.want == "/plugins"; (len(v.Notes) > 0) != absent || absent != (len(v.UnknownVariables) > 0) {
			t.Errorf("%s: %q, withheld %q", name, v.Notes, v.UnknownVariables)
		}
	}
	if v := read(t, "", agentWith("env: [{name: BOTKUBE_CONFIG_PATHS}], envFrom: [{secretRef: {name: absent}}]")); len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "the Secret absent (envFrom), which is not given: its BOTKUBE_…") {
		t.Errorf("of variables that are not given: %q", v.Notes)
	}
	if v := read(t, "v1.14.0", "extraEnv: [{name: BOTKUBE_PLUGINS_CACHE__DIR, valueFrom: {secretKeyRef: {name: env, key: BOTKUBE_PLUGINS_CACHE__DIR}}}]", variables); v.Config.Plugins.CacheDir != "/from/secret" {
		t.Errorf("of values beside the Secret: %s", v.Config.Plugins.CacheDir)
	}
	elsewhere := strings.ReplaceAll(variables, "{name: env}", "{name: env, namespace: other}") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: env, namespace: chat}\ndata: {BOTKUBE_PLUGINS_CACHE__DIR: /from/chat}\n"
	agent := strings.Replace(agentWith("env: [{name: BOTKUBE_CONFIG_PATHS}], envFrom: [{configMapRef: {name: env}}]"), "metadata: {name: botkube,", "metadata: {name: botkube, namespace: chat,", 1)
	if got := read(t, "", agent+elsewhere).Config.Plugins.CacheDir; got != "/from/chat" {
		t.Errorf("of ConfigMaps in several namespaces: %s", got)
	}
	for variable, want := range map[string]bool{
		"BOTKUBE_PLUGINS_CACHE__DIR": true, "BOTKUBE_EXECUTORS_TOOLS_A_ENABLED": true, "BOTKUBE_COMMUNICATIONS_C_MATTERMOST_URL": true, "BOTKUBE_CONFIG_PATHS": true,
		"BOTKUBE_COMMUNICATIONS_C_SOCKET__SLACK_BOT__TOKEN": false, "BOTKUBE_SETTINGS_CLUSTER__NAME": false, "HTTPS_PROXY": false,
	} {
		v := read(t, "v1.14.0", "extraEnv: [{name: "+variable+", valueFrom: {secretKeyRef: {name: absent, key: k}}}]")
		if got := len(v.Notes) == 1 && strings.Contains(v.Notes[0], "the variable "+variable); got != want {
			t.Errorf("of %s, whose value is not given: %q", variable, v.Notes)
		}
	}
	cloud := strings.Replace(variables, "dir: /by/key", "CONFIG_PROVIDER_IDENTIFIER: x", 1)
	if v := read(t, "", agentWith("env: [{name: BOTKUBE_CONFIG_PATHS}], envFrom: [{configMapRef: {name: env}}]")+cloud); !v.Remote() {
		t.Error("with Botkube Cloud's variable in a ConfigMap, it is not asked")
	}
}

// TestSaid has rendered objects say which chart and which agent they are of.
func TestSaid(t *testing.T) {
	v := read(t, "", agentWith("env: [{name: BOTKUBE_CONFIG_PATHS}]"))
	if v.ChartVersion != "v1.13.0" || v.AgentVersion != "v1.12.0" || v.ImageTag != "v1.12.0" {
		t.Errorf("the chart %q, the agent %q of the image %q", v.ChartVersion, v.AgentVersion, v.ImageTag)
	}
	unlabelled := strings.Replace(agentWith("env: [{name: BOTKUBE_CONFIG_PATHS}]"), "helm.sh/chart", "x", 1)
	if v := read(t, "", unlabelled); v.ChartVersion != "v1.12.0" {
		t.Errorf("by the image alone: %q", v.ChartVersion)
	}
	for text, want := range map[string][2]string{
		"{}": {"", ""}, "image: {tag: v1.13.0-rc.1}": {"v1.13.0-rc.1", "v1.13.0-rc.1"}, "image: {tag: 1.13.0}": {"v1.13.0", "1.13.0"},
		"image: {tag: mine}": {"", "mine"}, "image: {tag: 1.5}": {"", "1.5"},
	} {
		if v := read(t, "v1.14.0", text); v.AgentVersion != want[0] || v.ImageTag != want[1] {
			t.Errorf("%s: %q of %q", text, v.AgentVersion, v.ImageTag)
		}
	}
}

func TestWatcher(t *testing.T) {
	for version, want := range map[string]string{
		"v1.0.0": "ghcr.io/kubeshop/k8s-sidecar:ignore-initial-events", "v1.1.0": "ghcr.io/kubeshop/k8s-sidecar:in-cluster-config",
		"v1.4.1": "ghcr.io/kubeshop/k8s-sidecar:in-cluster-config", "v1.5.0": "", "v1.14.0": "",
	} {
		for text, runs := range map[string]bool{"{}": true, "configWatcher: {enabled: false}": false, "config: {provider: {identifier: x}}": false, "configWatcher: {image: {registry: ghcr.io}}": true} {
			pulls := read(t, version, text).Pulls
			if has := slices.Contains(pulls, Pull{want, WatcherSetting, watcherStop}); has != (want != "" && runs) || len(pulls) > 2 {
				t.Errorf("%s with %s: %v", version, text, pulls)
			}
		}
	}
	for version, want := range map[string]string{"v1.0.1": "ignore-initial-events", "v1.4.2-rc.1": "in-cluster-config"} {
		if image, err := WatcherImage(version); err != nil || image != watcherRepository+":"+want || !IsWatcherImage(image) || IsWatcherImage("r.example/"+image) {
			t.Errorf("%s: %q, %v", version, image, err)
		}
	}
	if v := read(t, "", agentWith("env: [{name: BOTKUBE_CONFIG_PATHS}]")); !slices.Contains(v.Pulls, Pull{"ghcr.io/kubeshop/k8s-sidecar:in-cluster-config", WatcherSetting, watcherStop}) {
		t.Errorf("of objects: %v", v.Pulls)
	}
}

// TestIdentifier has the chart test for truth, as Helm's templates do.
func TestIdentifier(t *testing.T) {
	for value, on := range map[string]bool{
		"x": true, "1": true, "true": true, "{valueFrom: {secretKeyRef: {name: a}}}": true, "[a]": true, "1.5": true,
		"''": false, "null": false, "0": false, "false": false, "{}": false, "[]": false,
	} {
		if got := read(t, "v1.14.0", "config: {provider: {identifier: "+value+"}}").Remote(); got != on {
			t.Errorf("%s: %t", value, got)
		}
	}
}

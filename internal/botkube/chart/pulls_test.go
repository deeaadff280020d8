package chart

import (
	"reflect"
	"testing"
)

func TestPulls(t *testing.T) {
	const job = "{apiVersion: batch/v1, kind: Job, spec: {template: {spec: {containers: [{image: r.example/seed:v1}]}}}}"
	values := `
image: {registry: r.example, repository: botkube, tag: v1.14.0}
extraVolumes: [{name: a, image: {reference: "r.example/p@sha256:00"}}, {name: b, image: {reference: "r.example/p@sha256:00"}}, {name: c, emptyDir: {}}, x]
extraObjects: [` + job + `, {kind: Job}, {kind: Pod, spec: {template: {spec: {containers: [{image: z}]}}}}]
`
	want := []Pull{{"r.example/botkube:v1.14.0", "image", agentStop}, {"r.example/p@sha256:00", "extraVolumes", ""}, {"r.example/seed:v1", "extraObjects", ""}}
	if got := read(t, "v1.14.0", values).Pulls; !reflect.DeepEqual(got, want) {
		t.Errorf("of values: %v", got)
	}

	deployment := func(volumes string) string {
		return "---\nkind: Deployment\napiVersion: apps/v1\nspec: {template: {spec: {volumes: [" + volumes + "], containers: [{image: r.example/botkube:v1.14.0, env: [{name: BOTKUBE_CONFIG_PATHS, value: x}]}]}}}\n"
	}
	objects := objectsOf(global, communications) + deployment(`{name: a, image: {reference: "r.example/p@sha256:00"}}`) + "---\n" + job + "\n"
	if got := read(t, "", objects).Pulls; !reflect.DeepEqual(got, want) {
		t.Errorf("of objects: %v", got)
	}
	patch := deployment("{name: a, image: null, persistentVolumeClaim: {claimName: x}}")
	if got := read(t, "", objects, patch).Pulls; !reflect.DeepEqual(got, []Pull{want[0], want[2]}) {
		t.Errorf("of objects with a patch over them: %v", got)
	}
}

// TestPullsOfPatchedContainers has patches change containers beside the agent's by their
// names, as Kubernetes merges them.
func TestPullsOfPatchedContainers(t *testing.T) {
	deployment := func(beside string) string {
		return "---\nkind: Deployment\napiVersion: apps/v1\nspec: {template: {spec: {containers: [{name: botkube, image: r.example/botkube:v1.4.1, env: [{name: BOTKUBE_CONFIG_PATHS, value: x}]}, " + beside + "]}}}\n"
	}
	rendered := objectsOf(global, communications) + deployment("{name: cfg-watcher, image: 'ghcr.io/kubeshop/k8s-sidecar:in-cluster-config'}, {name: proxy, image: r.example/proxy:1}")
	proxy := Pull{"r.example/proxy:1", "the container proxy", ""}
	for patch, want := range map[string][]Pull{
		"{name: other}": {{"ghcr.io/kubeshop/k8s-sidecar:in-cluster-config", WatcherSetting, watcherStop}, proxy},
		"{name: cfg-watcher, image: 'r.example/k8s-sidecar:v1.4.1'}": {{"r.example/k8s-sidecar:v1.4.1", WatcherSetting, watcherStop}, proxy},
		"{name: cfg-watcher}":                 {{"ghcr.io/kubeshop/k8s-sidecar:in-cluster-config", WatcherSetting, watcherStop}, proxy},
		"{name: cfg-watcher, $patch: delete}": {proxy},
		"{name: absent, $patch: delete}":      {{"ghcr.io/kubeshop/k8s-sidecar:in-cluster-config", WatcherSetting, watcherStop}, proxy},
	} {
		got := read(t, "", rendered, deployment(patch)).Pulls
		if len(got) == 0 || !reflect.DeepEqual(got[1:], want) {
			t.Errorf("%s: %v, want %v", patch, got, want)
		}
	}
}

func TestPullRegistry(t *testing.T) {
	for image, want := range map[string]string{
		"ghcr.io/kubeshop/botkube:v1": "ghcr.io", "registry:5000/x": "registry:5000", "localhost/x@sha256:0": "localhost",
		"busybox": "docker.io", "busybox:1": "docker.io", "busybox:1.36@sha256:0": "docker.io", "corp/tool": "docker.io", "REGISTRY/x": "REGISTRY",
	} {
		if got := (Pull{Image: image}).Registry(); got != want {
			t.Errorf("%s is pulled from %s, want %s", image, got, want)
		}
	}
}

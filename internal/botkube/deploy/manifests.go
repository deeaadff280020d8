package deploy

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// configPaths are the files that the agent reads, as the chart names them
// (templates/deployment.yaml; values.yaml, settings.persistentConfig). Later ones win.
const (
	configPaths = "/config/global_config.yaml,/config/comm_config.yaml,%s,/config/_runtime_state.yaml,/startup-config/_startup_state.yaml"
	configMount = "/mirror-config"
	configFile  = "mirror.yaml"
)

// Manifests returns plain objects for an agent that Helm did not install. Its Deployment uses
// them once it has the [Patch].
func Manifests(o Options) (*Rendering, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	var all []document
	if o.seeded() != nil {
		all = append(all,
			document{[]string{"volume for the agent's cache directory"}, o.claim(false)},
			document{[]string{"fills the volume; delete the previous Job before you apply a new one"}, o.job(false)})
	}
	if o.Policy != nil {
		all = append(all, document{[]string{"what the agent may connect to"}, o.policy()})
	}
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	content := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.LiteralStyle, Value: config}
	all = append(all, document{[]string{"settings that override the agent's configuration"},
		newObject().set("apiVersion", "v1").set("kind", "ConfigMap").set("metadata", metadata(configName)).set("data", newObject().set(configFile, content))})
	all[0].comment = slices.Concat(o.manifestsHeader(), all[0].comment)
	return &Rendering{all}, nil
}

func (o *Options) manifestsHeader() []string {
	lines := []string{
		"Objects for an agent that is not installed by Helm, to start offline from " + o.Target + ":",
		"  kubectl apply --namespace NAMESPACE --filename THIS",
	}
	if o.seeded() != nil {
		lines = append(lines, "  kubectl wait --namespace NAMESPACE --for condition=complete job/"+jobName(o.Claim)+" --timeout 30m")
	}
	lines = append(lines, "Then patch its Deployment: --format patch prints the patch.", "With Helm, leave out --format.")
	for _, n := range o.Notes() {
		lines = append(lines, "NOTE: "+n)
	}
	return append(lines, "")
}

// Patch returns what changes in that Deployment, as a strategic merge patch: kubectl apply would
// remove what is not in it (kubectl, pkg/cmd/apply/apply.go, migrateToSSAIfNecessary).
func Patch(o Options) (*Rendering, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	return &Rendering{[]document{{[]string{
		"Patch for the agent's Deployment; first apply the objects that --format manifests prints:",
		"  kubectl patch deployment botkube --namespace NAMESPACE --patch-file THIS",
	}, o.patch(config)}}}, nil
}

// config is the agent's configuration by the values. Null replaces what was read before, as in
// Helm.
func (o *Options) config() (string, error) {
	c := newObject()
	o.setPlugins(c)
	o.setTemplates(c)
	c.set("analytics", newObject().set("disable", true))
	c.set("settings", newObject().set("upgradeNotifier", false))
	o.setWatcher(c)
	text, err := marshal(document{body: c})
	return string(text), err
}

// patch is what changes. Kubernetes merges containers, volumes and variables by name, and mounts
// by path. What an earlier patch set for another way is taken away.
func (o *Options) patch(config string) object {
	mounts := list(newObject().set("name", configName).set("mountPath", configMount).set("readOnly", true))
	volumes := list(newObject().set("name", configName).set("configMap", labels("name", configName)))
	if o.Site == nil {
		volume, mount := o.volume()
		for _, key := range []string{"image", "persistentVolumeClaim"} {
			volume.setUnless(volume.get(key) != nil, key, nil)
		}
		mount.setUnless(mount.get("subPath") != nil, "subPath", nil)
		volumes.Content = append(volumes.Content, volume.node)
		mounts.Content = append(mounts.Content, mount.node)
	}
	container := newObject().set("name", "botkube")
	if a := o.AgentImage; a != nil {
		container.set("image", a.reference(), "the image that push published")
	}
	container.
		set("env", list(newObject().set("name", "BOTKUBE_CONFIG_PATHS").
			set("value", fmt.Sprintf(configPaths, configMount+"/"+configFile), "the chart's files, and the file of the ConfigMap; if your list differs, add that file to it"))).
		set("volumeMounts", mounts)
	pod := newObject()
	o.setNodes(pod)
	if len(o.PullSecrets) > 0 {
		pod.set("imagePullSecrets", named(nodeOf(o.PullSecrets).Content))
	}
	containers := list(container)
	switch beside := newObject().set("name", "cfg-watcher"); {
	case o.withoutWatcher():
		containers.Content = append(containers.Content, beside.set("$patch", "delete").node)
	case o.Watcher:
		containers.Content = append(containers.Content, beside.set("image", o.WatcherImage.reference()).node)
	}
	pod.set("containers", containers).set("volumes", volumes)
	template := newObject().
		set("metadata", newObject().set("annotations", labels(annotationLock, o.LockDigest, annotationConfig, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(config)))),
			"restarts the agent when the mirror or the configuration changes")).
		set("spec", pod)
	return newObject().set("apiVersion", "apps/v1").set("kind", "Deployment").
		set("metadata", newObject().set("name", "botkube", "replace it with your name, if that differs")).
		set("spec", newObject().set("template", template))
}

package deploy

import (
	"bytes"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// configPaths are the files that the agent reads, as the chart names them
// (templates/deployment.yaml; values.yaml, settings.persistentConfig). What is read
// later counts more.
const (
	configPaths = "/config/global_config.yaml,/config/comm_config.yaml,%s,/config/_runtime_state.yaml,/startup-config/_startup_state.yaml"
	configMount = "/mirror-config"
	configFile  = "mirror.yaml"
)

// Manifests returns plain objects for an agent that is there already, and was not
// installed by Helm: what the values have it do, and a part of its Deployment to
// apply over it.
func Manifests(o Options) (*Rendering, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	var all []document
	if o.seeded() != nil {
		none := newObject()
		all = append(all,
			document{[]string{"the volume of the agent's cache directory"}, o.claim(none)},
			document{[]string{"fills it; delete the last one before you apply another"}, o.job(none)})
	}
	if o.Policy != nil {
		all = append(all, document{[]string{"what the agent may call"}, o.policy()})
	}
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	all = append(all, document{[]string{"a file that the agent reads over its configuration"}, config}, document{o.patchHeader(), o.patch()})
	all[0].comment = slices.Concat(o.manifestsHeader(), all[0].comment)
	return &Rendering{all}, nil
}

func (o *Options) manifestsHeader() []string {
	return []string{
		"What an agent needs that is not installed by Helm, to start from " + o.Target + " without a call to the outside:",
		"  kubectl apply --server-side --force-conflicts --field-manager botkube-mirror --namespace NAMESPACE --filename THIS",
		"Helm users: leave out --format manifests.",
		"",
	}
}

func (o *Options) patchHeader() []string {
	lines := []string{
		"A part of the agent's Deployment: apply it over the one that is there, on the server's side as above, or as",
		"  kubectl patch deployment botkube --patch-file",
	}
	if o.seeded() != nil {
		lines = append(lines, "The agent must not start before the Job is done: kubectl wait --for condition=complete job/"+jobName(o.Claim)+" --timeout 30m,",
			"or let it be restarted until then.")
	}
	return lines
}

// config is the part of the agent's configuration that the values set. What is null
// takes the place of what was read before, as it does in Helm.
func (o *Options) config() (object, error) {
	c := newObject()
	o.setPlugins(c)
	o.setTemplates(c)
	c.set("analytics", newObject().set("disable", true))
	c.set("settings", newObject().set("upgradeNotifier", false))
	var text bytes.Buffer
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	if err := enc.Encode(c.node); err != nil {
		return c, fmt.Errorf("writing YAML: %w", err)
	}
	content := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.LiteralStyle, Value: text.String()}
	return newObject().set("apiVersion", "v1").set("kind", "ConfigMap").set("metadata", metadata(configName)).
		set("data", newObject().set(configFile, content)), nil
}

// patch is what a Deployment needs, without what is there. Kubernetes merges
// containers, volumes and variables by their names.
func (o *Options) patch() object {
	mounts := list(newObject().set("name", configName).set("mountPath", configMount).set("readOnly", true))
	volumes := list(newObject().set("name", configName).set("configMap", labels("name", configName)))
	if o.Site == nil {
		volume, mount := o.volume()
		volumes.Content = append(volumes.Content, volume.node)
		mounts.Content = append(mounts.Content, mount.node)
	}
	container := newObject().set("name", "botkube")
	if a := o.AgentImage; a != nil {
		container.set("image", a.Registry+"/"+a.Repository+":"+a.Tag, "where push put the agent's image")
	}
	container.
		set("env", list(newObject().set("name", "BOTKUBE_CONFIG_PATHS").
			set("value", fmt.Sprintf(configPaths, configMount+"/"+configFile), "the chart's, with that of the ConfigMap above; if yours differ, add it to yours"))).
		set("volumeMounts", mounts)
	pod := newObject()
	if p, one := o.platform(); one {
		pod.set("nodeSelector", nodeSelector(p), "the mirror is for this platform only")
	}
	if len(o.PullSecrets) > 0 {
		pod.set("imagePullSecrets", names(nodeOf(o.PullSecrets)))
	}
	pod.set("containers", list(container)).set("volumes", volumes)
	template := newObject().
		set("metadata", newObject().set("annotations", labels(annotationLock, o.LockDigest))).
		set("spec", pod)
	return newObject().set("apiVersion", "apps/v1").set("kind", "Deployment").
		set("metadata", newObject().set("name", "botkube", "yours, if it is called otherwise")).
		set("spec", newObject().set("template", template))
}

// Package chart makes the agent's configuration from values files, or from the objects that the chart
// rendered. It merges values over the chart's defaults as Helm does. It does no I/O.
package chart

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/gitops"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// File is a file of a user.
type File struct {
	// Name is for messages.
	Name string
	Data []byte
}

// Values are the result of reading files.
type Values struct {
	Config *agent.Config
	// Merged are the Helm values over the chart's defaults; nil of rendered objects.
	Merged map[string]any
	// Cloud is where the agent gets its configuration from instead, or empty.
	Cloud string
	// Pulls are the images that nodes pull, as far as the values say.
	Pulls []Pull
	// Environment is that of the agent's container, as far as it is written out.
	Environment map[string]string
	// UnknownVariables are its variables whose values are elsewhere, such as in a Secret.
	UnknownVariables []string
	// Mounts are nil where the files do not say what the agent sees.
	Mounts Mounts
	// NodeSelector are the labels that the agent's node must have; nil where the files do not say it.
	NodeSelector map[string]string
	// ChartVersion and AgentVersion are those that the files say, of the form v1.14.0, or empty.
	ChartVersion, AgentVersion string
	// ImageTag is the tag of the agent's image, if the files give one.
	ImageTag string
	// Communications are the groups of chat platforms, as configured.
	Communications map[string]any
	// PassedOver are Helm values that neither the chart nor the agent reads, though they are similar
	// to one that is read.
	PassedOver []agent.PassedOver
	// Notes are remarks for the user on how the files were read.
	Notes []string
	// NotGiven names what is not among the files, but decides what the agent does.
	NotGiven []string

	// broken are values from which the chart makes a document that no agent can read.
	broken []agent.Refusal
}

// Remote reports whether Botkube Cloud has the configuration, so that these values decide
// nothing (internal/config/remote/config.go, GetConfig).
func (v *Values) Remote() bool { return v.Cloud != "" }

// Read reads files in the order in which they are given to Helm. The version is the chart's, of
// the form v1.14.0; empty, it is the one that the files say. If it is unbound, the Secret with
// the chat platforms may be missing, and what a platform binds is not known.
func Read(version string, files []File, unbound bool) (*Values, error) {
	in, err := readFiles(files)
	if err != nil {
		return nil, err
	}
	values, err := in.values()
	if err != nil {
		return nil, err
	}
	rendered := &in.objects
	isGlobal := rendered.has(globalKey)
	switch {
	case (isGlobal || rendered.cloud != "") && values != nil:
		return nil, errors.New("some files are Helm values, and others the configuration that the chart rendered: it is not clear which of them counts")
	case isGlobal && !rendered.has(communicationsKey) && !unbound:
		return nil, cmp.Or(gitops.CheckSecrets(rendered.all), noPlatforms())
	case isGlobal:
		return rendered.values()
	case rendered.cloud != "":
		// For Botkube Cloud, the chart renders no configuration.
		return &Values{Config: new(agent.Config), Cloud: rendered.cloud, Pulls: rendered.pulls.all(), ChartVersion: rendered.chartVersion(), AgentVersion: ImageVersion(rendered.pulls.agent)}, nil
	}
	if err := cmp.Or(gitops.CheckKinds(rendered.all), in.unreadValues()); err != nil {
		return nil, err
	}
	if len(rendered.all) > 0 && values == nil {
		return nil, fault.New(fault.Usage, "none of these Kubernetes objects has the agent's configuration (%s)", globalKey).
			WithHint("give everything that helm template renders, or kubectl get configmap,secret,deployment -o yaml prints in the agent's namespace; or give Helm values too")
	}
	return in.overDefaults(version, helmvalues.Merge(nil, values), unbound)
}

func (in *input) overDefaults(version string, given map[string]any, unbound bool) (*Values, error) {
	rendered := &in.objects
	version, err := in.version(version)
	if err != nil {
		return nil, err
	}
	defaults, notes, err := DefaultValues(version)
	if err != nil {
		return nil, err
	}
	if key := within(given); key != "" {
		return nil, fmt.Errorf("the values are for a chart that contains Botkube's chart: give a file with what is below the key %.80q", key)
	}
	v := &Values{Merged: helmvalues.Coalesce(defaults, given), ChartVersion: in.releaseVersion(), ImageTag: tagOf(given), PassedOver: passedOver(given)}
	v.AgentVersion = ImageVersion(":" + v.ImageTag)
	document, err := render(v.Merged, rendered, unbound)
	if err != nil {
		return nil, err
	}
	platforms := mapping(rendered.platforms()["communications"])
	if v.Communications = mapping(document["communications"]); document["communications"] == nil {
		v.Communications = platforms
	}
	found := container{environment: map[string]string{}}
	rendered.variables(manifest.List("extraEnv", v.Merged["extraEnv"]), &found)
	v.Environment, v.UnknownVariables = found.environment, found.withheld
	v.Mounts = mountsOf(manifest.List("", v.Merged["extraVolumes"]), manifest.List("", v.Merged["extraVolumeMounts"]), false)
	v.NodeSelector = labelsOf(mapping(v.Merged["nodeSelector"]))
	v.Pulls, v.Cloud = pullsOf(version, v.Merged), v.cloud()
	withheld, undecided := withheldNotes(found.withheld)
	v.Notes, v.NotGiven = slices.Concat(in.notes(), notes, withheld), undecided
	kept := v.state(version, platforms)
	documents := slices.Concat([]map[string]any{document}, rendered.documents, kept, rendered.special)
	v.Config, err = agent.ReadConfig(documents, v.Environment)
	return v, err
}

// sections are what the chart puts into the agent's configuration
// (helm/botkube/templates/global-config.yaml and communicationsecret.yaml).
var sections = []string{"executors", "aliases", "actions", "settings", "sources", "configWatcher", "plugins", "analytics", "communications"}

// others are values of the chart, in any version, that are not in the agent's configuration
// (helm/botkube/values.yaml), and values that Helm takes for all charts.
var others = []string{
	"affinity", "config", "containerSecurityContext", "deployment", "existingCommunicationsSecretName", "extraAnnotations", "extraEnv",
	"extraLabels", "extraObjects", "extraVolumeMounts", "extraVolumes", "fullnameOverride", "global", "image", "ingress", "kubeconfig",
	"nameOverride", "nodeSelector", "podSecurityPolicy", "priorityClassName", "rbac", "replicaCount", "resources", "securityContext",
	"service", "serviceAccount", "serviceMonitor", "ssl", "tolerations",
}

// below has the keys of those others that decide what nodes pull and where the configuration is.
var below = map[string][]string{
	"image":           {"registry", "repository", "pullPolicy", "tag"},
	"config":          {"provider"},
	"config.provider": {"identifier", "endpoint", "apiKey"},
}

// Bounds on what is looked at for keys that are misspelt.
const (
	maxKey        = 60
	maxPassedOver = 1000
)

// passedOver returns the keys of values that the chart passes over, though they are like one that
// it has.
func passedOver(given map[string]any) (found []agent.PassedOver) {
	look := func(at string, values map[string]any, known []string) {
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if slices.Contains(known, key) || len(key) > maxKey || len(found) > maxPassedOver {
				continue
			}
			if near := spelling.Slip(key, known); near != "" {
				found = append(found, agent.PassedOver{Setting: at + key, Meant: near})
			}
		}
	}
	look("", given, slices.Concat(sections, others))
	for _, at := range slices.Sorted(maps.Keys(below)) {
		values := given
		for key := range strings.SplitSeq(at, ".") {
			values = mapping(values[key])
		}
		look(at+".", values, below[at])
	}
	return found
}

// chartName is the key of Botkube's values in a chart around it, without an alias.
const chartName = "botkube"

// marks are sections that no other chart has.
var marks = []string{"communications", "executors", "existingCommunicationsSecretName"}

// within returns the key of Botkube's values if they are those of a chart around it, or "".
func within(user map[string]any) string {
	for _, key := range slices.Sorted(maps.Keys(user)) {
		of := marks
		if key == chartName {
			of = sections
		}
		inner := mapping(user[key])
		if !slices.Contains(sections, key) && slices.ContainsFunc(of, func(s string) bool { return inner[s] != nil }) {
			return key
		}
	}
	return ""
}

// render makes the document that the chart makes of values.
func render(merged map[string]any, rendered *objects, unbound bool) (map[string]any, error) {
	document := map[string]any{}
	for _, section := range sections {
		if value, ok := merged[section]; ok {
			document[section] = value
		}
	}
	document["plugins"] = managed(document["plugins"])
	secret, _ := merged["existingCommunicationsSecretName"].(string)
	given := rendered.has(communicationsKey)
	switch {
	case secret == "" && given:
		return nil, fmt.Errorf("the agent does not read the Secret with chat platforms (%s): existingCommunicationsSecretName in the values does not name it", communicationsKey)
	case secret == "":
		return document, nil
	case given && rendered.secret != "" && rendered.secret != secret:
		return nil, missingSecret(secret, fmt.Sprintf(" (but %.80q is)", rendered.secret))
	case !given && !unbound:
		return nil, missingSecret(secret, "")
	}
	delete(document, "communications")
	return document, nil
}

// managed returns the section as the agent reads it: the chart writes the interval without
// quotes, so a text may become a number, which is a duration.
func managed(section any) any {
	const interval = "healthCheckInterval"
	text, ok := mapping(section)[interval].(string)
	var value any
	if !ok || yaml.Unmarshal([]byte(text), &value) != nil {
		return section
	}
	written := maps.Clone(mapping(section))
	written[interval] = value
	return written
}

// ErrNoPlatforms says that the Secret with the chat platforms is not among the files.
var ErrNoPlatforms = errors.New("which plugins its channels use is unknown")

const (
	giveSecret      = "give it too: kubectl get secret %s -o yaml > platforms.yaml, then --values platforms.yaml"
	withoutBindings = "\nor take every plugin that the values enable, used or not: --all-enabled"
)

func missingSecret(name, instead string) error {
	return fault.New(fault.Usage, "the Secret %.80q with the chat platforms (existingCommunicationsSecretName) is not given%s: %w", name, instead, ErrNoPlatforms).
		WithHint(giveSecret+withoutBindings, name)
}

func noPlatforms() error {
	return fault.New(fault.Usage, "the Secret with the chat platforms (%s) is not given, only the ConfigMap with the configuration: %w", communicationsKey, ErrNoPlatforms).
		WithHint(giveSecret+"\nNAME is botkube-communication-secret unless existingCommunicationsSecretName is set"+withoutBindings, "NAME")
}

// cloud returns where Botkube Cloud is asked for the configuration, or ""
// (helm/botkube/templates/_helpers.tpl, botkube.remoteConfigEnabled, and deployment.yaml): the
// chart tests for what is not empty, whatever it is.
func (v *Values) cloud() string {
	provider := mapping(mapping(v.Merged["config"])["provider"])
	if !helmvalues.IsTrue(provider["identifier"]) && v.Environment[identifierVariable] == "" && !slices.Contains(v.UnknownVariables, identifierVariable) {
		return ""
	}
	endpoint, _ := provider["endpoint"].(string)
	return cmp.Or(endpoint, cloudEndpoint)
}

const cloudEndpoint = "https://api.botkube.io/graphql"

// identifierVariable has an agent ask Botkube Cloud (internal/config/remote/config.go,
// IsEnabled).
const identifierVariable = "CONFIG_PROVIDER_IDENTIFIER"

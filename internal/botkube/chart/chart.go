// Package chart reads what a person gives Botkube's Helm chart: values files,
// laid over the chart's own as Helm does, or the objects that the chart rendered;
// and makes the agent's configuration of them. It does no I/O.
package chart

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/gitops"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
)

// File is a file that a person gives.
type File struct {
	// Name is for messages.
	Name string
	Data []byte
}

// Values are what files come to.
type Values struct {
	// Config is the agent's configuration.
	Config *agent.Config
	// Merged are the Helm values over the chart's defaults; nil where the files
	// are rendered objects, which hold no values.
	Merged map[string]any
	// Given are the Helm values without the chart's defaults; nil like Merged.
	Given map[string]any
	// Cloud is where the agent gets its configuration from instead, or empty: see
	// [Values.Remote].
	Cloud string
	// Pulls are the images that nodes pull, as far as the values say.
	Pulls []Pull
	// Environment is that of the agent's container, as far as it is written out.
	Environment map[string]string
	// UnknownVariables are the variables of that environment whose values are elsewhere, such
	// as in a Secret.
	UnknownVariables []string
	// Mounts are nil where the files do not say what the agent sees.
	Mounts Mounts
	// ChartVersion is the version of the chart, of the form v1.14.0, that the files say, or empty;
	// AgentVersion is that of the agent, where the tag of its image is given and says one.
	ChartVersion, AgentVersion string
	// ImageTag is the tag of the agent's image, where the values or objects give one.
	ImageTag string
	// Communications are the groups of chat platforms, as they are configured.
	Communications map[string]any
	// Notes are what a person should know of how the files were read.
	Notes []string
	// NotGiven names what is not among the files, and decides over what the agent does.
	NotGiven []string

	// broken are values for which the chart renders a document that no agent can read.
	broken []agent.Refusal
}

// Remote reports whether the agent would get its configuration from Botkube Cloud,
// so that these values decide nothing (internal/config/remote/config.go, GetConfig).
func (v *Values) Remote() bool { return v.Cloud != "" }

// Read reads files in the order in which they are given to Helm. The version is
// the chart's, of the form v1.14.0, whose defaults the files are laid over; empty, it is
// the one that they say.
func Read(version string, files []File) (*Values, error) { return readAll(version, files, false) }

// ReadWithoutPlatforms is as [Read], but goes without the Secret with the chat platforms, if that
// is not given: then nothing that a platform binds is known.
func ReadWithoutPlatforms(version string, files []File) (*Values, error) {
	return readAll(version, files, true)
}

func readAll(version string, files []File, unbound bool) (*Values, error) {
	in, err := readFiles(files)
	if err != nil {
		return nil, err
	}
	in.objects.unbound = unbound
	layers, err := in.layers()
	if err != nil {
		return nil, err
	}
	rendered := &in.objects
	switch {
	case rendered.rendered() && len(layers) > 0:
		return nil, errors.New("some files are Helm values, and others hold the configuration that the chart rendered of values: which of them counts cannot be told")
	case rendered.global():
		return rendered.values()
	case rendered.cloud != "":
		// For Botkube Cloud, the chart renders no configuration.
		return &Values{Config: new(agent.Config), Cloud: rendered.cloud, Pulls: rendered.pulls.all(), ChartVersion: rendered.said(), AgentVersion: ImageVersion(rendered.pulls.agent)}, nil
	}
	if err := cmp.Or(gitops.CheckKinds(rendered.all), in.unreadValues()); err != nil {
		return nil, err
	}
	if len(rendered.all) > 0 && len(layers) == 0 {
		return nil, ErrNoConfiguration
	}
	return in.overDefaults(version, layers)
}

// ErrNoConfiguration says that objects were given, but neither the agent's
// configuration nor Helm values.
var ErrNoConfiguration = errors.New("of the Kubernetes objects that are given, none has the agent's configuration (" + globalKey + ")")

// overDefaults makes the configuration of Helm values.
func (in *input) overDefaults(version string, layers []map[string]any) (*Values, error) {
	rendered := &in.objects
	version, err := in.version(version)
	if err != nil {
		return nil, err
	}
	defaults, note, err := DefaultValues(version)
	if err != nil {
		return nil, err
	}
	user := map[string]any{}
	for _, l := range layers {
		user = helmvalues.Merge(user, l)
	}
	if key := within(user); key != "" {
		return nil, fmt.Errorf("the values are those of a chart that has Botkube's within it: give a file of what is below their key %.80q", key)
	}
	v := &Values{Given: user, Merged: helmvalues.Coalesce(defaults, user), Notes: in.notes()}
	if note != "" {
		v.Notes = append(v.Notes, note)
	}
	document, err := render(v.Merged, rendered)
	if err != nil {
		return nil, err
	}
	environment, withheld := rendered.takeExtra(v.Merged)
	v.Environment, v.UnknownVariables, v.Mounts = environment, withheld, mountsOf(v.Merged)
	v.Notes, v.NotGiven = append(v.Notes, withheldNotes(withheld)...), undecided(withheld)
	v.Pulls = pullsOf(version, v.Merged)
	v.Cloud, v.ChartVersion = v.cloud(), in.said()
	v.Communications = mapping(document["communications"])
	if document["communications"] == nil {
		v.Communications = mapping(rendered.platforms()["communications"])
	}
	v.ImageTag = tagOf(v.Given)
	v.AgentVersion = ImageVersion(":" + v.ImageTag)
	kept := stateOf(version, v.Merged, rendered.platforms())
	documents := slices.Concat([]map[string]any{document}, rendered.documents, kept.documents(), rendered.special)
	v.broken = kept.broken
	v.Config, err = agent.ReadConfig(documents, environment)
	return v, err
}

// sections are what the chart puts into the configuration of the agent
// (helm/botkube/templates/global-config.yaml and communicationsecret.yaml).
var sections = []string{"executors", "aliases", "actions", "settings", "sources", "configWatcher", "plugins", "analytics", "communications"}

// chartName is under what another chart has the values of Botkube's, unless it
// gives that an alias.
const chartName = "botkube"

// marks are sections by which the values of Botkube's chart are known.
var marks = []string{"communications", "executors", "existingCommunicationsSecretName"}

// within returns the key below which values are those of Botkube's chart, or "": they are
// for a chart around that, and say nothing to Botkube's.
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

// render makes of values the documents that the chart makes of them.
func render(merged map[string]any, rendered *objects) (map[string]any, error) {
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
		return nil, fmt.Errorf("a Secret with chat platforms (%s) is given, which no agent reads unless existingCommunicationsSecretName names it in the values", communicationsKey)
	case secret == "":
		return document, nil
	case !given && rendered.unbound:
	case !given:
		return nil, &MissingSecret{Name: secret}
	case rendered.secret != "" && rendered.secret != secret:
		return nil, &MissingSecret{Name: secret, Given: rendered.secret}
	}
	delete(document, "communications")
	return document, nil
}

// managed returns the section of plugins with what the chart writes into it without
// quotes as the agent then reads it: of a text, it may become a number, which is a
// duration.
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

// MissingSecret says that the platforms are configured in a Secret that was not
// given, though perhaps another one was.
type MissingSecret struct{ Name, Given string }

func (e *MissingSecret) Error() string {
	instead := ""
	if e.Given != "" {
		instead = fmt.Sprintf(" but for another one, %.80q,", e.Given)
	}
	return fmt.Sprintf("the chat platforms are in the Secret %.80q (existingCommunicationsSecretName), which is not given,%s so that nobody can tell which plugins are bound", e.Name, instead)
}

// cloud returns where Botkube Cloud is asked for the configuration, if the values
// say so (helm/botkube/templates/_helpers.tpl, botkube.remoteConfigEnabled, and
// deployment.yaml): the chart tests for what is not empty, whatever it is.
func (v *Values) cloud() string {
	provider := mapping(mapping(v.Merged["config"])["provider"])
	if !helmvalues.IsTrue(provider["identifier"]) && v.Environment[identifierVariable] == "" && !slices.Contains(v.UnknownVariables, identifierVariable) {
		return ""
	}
	endpoint, _ := provider["endpoint"].(string)
	return cmp.Or(endpoint, cloudEndpoint)
}

// cloudEndpoint is that of the chart's own values.
const cloudEndpoint = "https://api.botkube.io/graphql"

// identifierVariable has an agent ask Botkube Cloud for its configuration, whoever
// sets it (internal/config/remote/config.go, IsEnabled).
const identifierVariable = "CONFIG_PROVIDER_IDENTIFIER"

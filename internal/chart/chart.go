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
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
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
	// Withheld are the variables of that environment whose values are elsewhere, such
	// as in a Secret.
	Withheld []string
	// Mounts are nil where the files do not say what the agent sees.
	Mounts Mounts
	// Notes are what a person should know of how the files were read.
	Notes []string

	// broken are values of which the chart makes what no agent can read.
	broken []agent.Refusal
}

// Remote reports whether the agent would get its configuration from Botkube Cloud,
// so that these values decide nothing (internal/config/remote/config.go, GetConfig).
func (v *Values) Remote() bool { return v.Cloud != "" }

// Read reads files in the order in which they are given to Helm. The version is
// the chart's, of the form v1.14.0, whose defaults the files are laid over; for
// rendered objects it may be empty.
func Read(version string, files []File) (*Values, error) {
	var rendered objects
	var given []map[string]any
	for _, f := range files {
		if len(f.Data) > agent.MaxConfig {
			return nil, fmt.Errorf("%s: it has %d bytes; at most %d are read", f.Name, len(f.Data), agent.MaxConfig)
		}
		isObjects, err := rendered.read(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if isObjects {
			continue
		}
		values, err := parse(f.Data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		given = append(given, values)
	}
	switch {
	case rendered.global() && len(given) > 0:
		return nil, errors.New("some files are Helm values, and others hold the configuration that the chart rendered of values: which of them counts cannot be told")
	case rendered.global():
		return rendered.values()
	case rendered.cloud != "":
		// For Botkube Cloud, the chart renders no configuration.
		return &Values{Config: new(agent.Config), Cloud: rendered.cloud, Pulls: rendered.pulls.all()}, nil
	case rendered.found && len(given) == 0:
		return nil, ErrNoConfiguration
	}
	return overDefaults(version, given, &rendered)
}

// ErrNoConfiguration says that objects were given, but neither the agent's
// configuration nor Helm values.
var ErrNoConfiguration = errors.New("of the Kubernetes objects that are given, none has the agent's configuration (" + globalKey + ")")

// parse reads a values file as Helm does: YAML 1.1, so that yes is true.
func parse(data []byte) (map[string]any, error) {
	if n := agent.YAMLMarks(data); n > maxMarks {
		return nil, fmt.Errorf("it may have more than the %d values that are read", maxMarks)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(data, &values); err != nil {
		return nil, agent.YAMLError(unwrapped(err))
	}
	return values, nil
}

// maxMarks bounds what is read: see [agent.YAMLMarks]. The chart's own values file
// has some 1500.
const maxMarks = 1 << 18

// unwrapped drops what the library says of JSON, which is none of the user's.
func unwrapped(err error) error {
	text := strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")
	if strings.HasPrefix(text, "error unmarshaling JSON: ") {
		// What follows may quote values.
		return errors.New("it is not a mapping of values")
	}
	return errors.New(text)
}

// overDefaults makes the configuration of Helm values.
func overDefaults(version string, given []map[string]any, rendered *objects) (*Values, error) {
	defaults, note, err := Defaults(version)
	if err != nil {
		return nil, err
	}
	user := map[string]any{}
	for _, g := range given {
		user = mergeFiles(user, g)
	}
	if isWithin(user) {
		return nil, fmt.Errorf("the values are those of a chart that has Botkube's within it: give a file of what is below their key %q", chartName)
	}
	v := &Values{Given: user, Merged: coalesce(defaults, user)}
	if note != "" {
		v.Notes = append(v.Notes, note)
	}
	document, err := render(v.Merged, rendered)
	if err != nil {
		return nil, err
	}
	environment, withheld := environmentOf(v.Merged["extraEnv"])
	v.Cloud, v.Pulls = cloudOf(v.Merged), pullsOf(v.Merged)
	v.Environment, v.Withheld, v.Mounts = environment, withheld, mountsOf(v.Merged)
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

// isWithin reports whether values are those of a chart around Botkube's, which to
// Botkube's say nothing.
func isWithin(user map[string]any) bool {
	inner, _ := user[chartName].(map[string]any)
	return slices.ContainsFunc(sections, func(s string) bool { _, has := inner[s]; return has })
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

// mergeFiles lays a values file over those before (Helm, pkg/cli/values/options.go,
// mergeMaps).
func mergeFiles(under, over map[string]any) map[string]any {
	out := maps.Clone(under)
	for k, v := range over {
		if inner, ok := v.(map[string]any); ok {
			if below, ok := out[k].(map[string]any); ok {
				out[k] = mergeFiles(below, inner)
				continue
			}
		}
		out[k] = v
	}
	return out
}

// coalesce lays values over a chart's defaults (Helm,
// pkg/chart/common/util/coalesce.go): null removes a default, and of a mapping and
// something else the user's counts.
func coalesce(defaults, user map[string]any) map[string]any {
	out := maps.Clone(user)
	for k, standard := range defaults {
		value, given := out[k]
		below, isMap := standard.(map[string]any)
		switch above, both := value.(map[string]any); {
		case !given:
			out[k] = standard
		case value == nil:
			delete(out, k)
		case both && isMap:
			out[k] = coalesce(below, above)
		}
	}
	return out
}

// environmentOf returns what extraEnv gives the agent in clear, and the names of what it
// gives it from elsewhere.
func environmentOf(extra any) (environment map[string]string, withheld []string) {
	environment = map[string]string{}
	for _, variable := range mappings(extra) {
		name, _ := variable["name"].(string)
		value, ok := variable["value"].(string)
		switch {
		case name == "":
		case ok:
			environment[name] = value
		case variable["valueFrom"] != nil:
			withheld = append(withheld, name)
		}
	}
	return environment, withheld
}

// cloudOf returns where Botkube Cloud is asked for the configuration, if the values
// say so (helm/botkube/templates/_helpers.tpl, botkube.remoteConfigEnabled, and
// deployment.yaml).
func cloudOf(merged map[string]any) string {
	config, _ := merged["config"].(map[string]any)
	provider, _ := config["provider"].(map[string]any)
	if identifier, _ := provider["identifier"].(string); identifier == "" && !identified(merged["extraEnv"]) {
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

// identified reports whether extraEnv sets the variable, perhaps from a Secret.
func identified(extra any) bool {
	return slices.ContainsFunc(mappings(extra), func(variable map[string]any) bool {
		value, _ := variable["value"].(string)
		return variable["name"] == identifierVariable && (value != "" || variable["valueFrom"] != nil)
	})
}

// sortedKeys returns the keys of a map, sorted.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

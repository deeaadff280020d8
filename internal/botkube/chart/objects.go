package chart

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// NoVersion says that no version of the chart is given, and that no document says it.
func NoVersion() error {
	return fault.New(fault.Usage, "the version of Botkube is unknown").
		WithHint("add it: --version v1.14.0; or give what helm template renders, with labels that name it")
}

// Names of what the chart renders for the agent (helm/botkube/templates).
const (
	globalKey         = "global_config.yaml"
	communicationsKey = "comm_config.yaml"
)

type objects struct {
	all []*manifest.Object
	// keys name the documents; the special ones are laid over the others
	// (internal/config/fs_provider.go, sortCfgFiles).
	keys      []string
	documents []map[string]any
	special   []map[string]any
	secret    string
	// others are files by name. The agent may be told to read them, too.
	others map[string][]string
	container
	// namespace is that of the Deployment that is read, or empty.
	namespace string
	mounts    Mounts
	nodes     map[string]string
	pulls     pulls
	cloud     string
	version   string
}

func (o *objects) has(key string) bool { return slices.Contains(o.keys, key) }

func (o *objects) platforms() map[string]any {
	for _, d := range o.documents {
		if d["communications"] != nil {
			return d
		}
	}
	return nil
}

func (o *objects) take() error {
	for _, obj := range o.all {
		switch obj.Kind {
		case "ConfigMap", "Secret":
			if err := o.takeData(obj); err != nil {
				return err
			}
		case "Job":
			o.pulls.takeJob(obj.At())
		}
	}
	for _, obj := range o.all { // what their containers have in their environment was read
		if obj.Kind == "Deployment" {
			o.namespace = obj.Namespace
			o.takeDeployment(obj)
		}
		if obj.TypeError() != nil {
			return obj.TypeError()
		}
	}
	o.namespace = ""
	return nil
}

func (o *objects) takeData(obj *manifest.Object) error {
	entries, err := obj.Entries()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Err != nil && e.Key == communicationsKey {
			return e.Err
		}
		if e.Err != nil {
			continue
		}
		if err := o.takeDocument(obj, e.Key, e.Text); err != nil {
			return err
		}
	}
	return nil
}

// takeDocument takes a document; those with an underscore in front are the state that the agent
// keeps.
func (o *objects) takeDocument(obj *manifest.Object, key, text string) error {
	special := strings.HasPrefix(key, "_") && strings.HasSuffix(key, ".yaml")
	if key != globalKey && key != communicationsKey && !special {
		if o.others == nil {
			o.others = map[string][]string{}
		}
		o.others[key] = append(o.others[key], text)
		return nil
	}
	if o.has(key) {
		return obj.Errorf("%s is in this object and in another one: give the objects of one release", key)
	}
	document, err := agent.ParseConfig([]byte(text))
	if err != nil {
		return obj.Errorf("%s: %w", key, err)
	}
	o.keys = append(o.keys, key)
	o.version = cmp.Or(chartLabel(obj), o.version)
	switch {
	case special:
		o.special = append(o.special, document)
	case key == globalKey:
		o.documents = append([]map[string]any{document}, o.documents...)
	default:
		o.documents, o.secret = append(o.documents, document), obj.Name
	}
	return nil
}

// addOthers adds other files that BOTKUBE_CONFIG_PATHS names, such as the one of `values --format
// manifests`. They come after the chart's files.
func (o *objects) addOthers() error {
	for _, file := range strings.Split(o.environment[configPaths], ",") {
		key := path.Base(file)
		texts := o.others[key]
		if len(texts) == 0 {
			continue
		}
		if len(texts) > 1 {
			return fmt.Errorf("%s is in several objects: give the objects of one release", key)
		}
		document, err := agent.ParseConfig([]byte(texts[0]))
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		o.documents = append(o.documents, document)
	}
	return nil
}

// configPaths names the files that the agent reads (templates/deployment.yaml).
const configPaths = "BOTKUBE_CONFIG_PATHS"

// takeDeployment takes the agent's container, which has a variable that no other has. A part of
// a Deployment is merged over what was read before, as in Kubernetes.
func (o *objects) takeDeployment(d *manifest.Object) {
	pod := d.At("spec", "template", "spec")
	containers, initial := pod.At("containers").Items(), pod.At("initContainers").Items()
	unfilled := pod.At("volumes").Items()
	if len(initial) > 0 {
		unfilled = nil // what runs before the agent may have filled them
	}
	for i, c := range containers {
		found := o.environmentOf(c)
		if _, is := found.environment[configPaths]; !is && found.environment["CONFIG_PROVIDER_ENDPOINT"] == "" {
			continue
		}
		if o.environment == nil {
			o.environment, o.mounts, o.nodes = map[string]string{}, Mounts{}, map[string]string{}
		}
		maps.Copy(o.nodes, labelsOf(pod.At("nodeSelector").Mapping()))
		maps.Copy(o.environment, found.environment)
		o.withheld, o.absent = append(o.withheld, found.withheld...), append(o.absent, found.absent...)
		maps.Copy(o.mounts, mountsOf(unfilled, c.At("volumeMounts").Items(), true))
		o.version = cmp.Or(chartLabel(d), o.version)
		o.pulls.agent = cmp.Or(c.At("image").Text(), o.pulls.agent)
		for _, beside := range slices.Concat(containers[:i], containers[i+1:], initial) {
			o.pulls.takeBeside(beside.At("name").Text(), beside.At("image").Text(), beside.At("$patch").Text() == "delete")
		}
		o.pulls.takeVolumes(pod.At("volumes").Items())
		if found.environment[identifierVariable] != "" || slices.Contains(found.withheld, identifierVariable) {
			o.cloud = cmp.Or(found.environment["CONFIG_PROVIDER_ENDPOINT"], cloudEndpoint)
		}
	}
}

var labelled = lazyregexp.New(`-v?([0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?)(_[0-9A-Za-z.-]+)?$`)

// chartLabel returns the version in the label helm.sh/chart (templates/_helpers.tpl,
// botkube.chart), or "".
func chartLabel(o *manifest.Object) string {
	if m := labelled.FindStringSubmatch(o.At("metadata", "labels", "helm.sh/chart").Text()); m != nil {
		return "v" + m[1]
	}
	return ""
}

func (o *objects) values() (*Values, error) {
	if err := o.addOthers(); err != nil {
		return nil, err
	}
	config, err := agent.ReadConfig(append(o.documents, o.special...), o.environment)
	withheld, undecided := withheldNotes(o.withheld)
	notGiven := slices.Concat(slices.Compact(slices.Sorted(slices.Values(o.absent))), undecided)
	if o.environment == nil { // a Deployment has it, and what is mounted
		notGiven = append(notGiven, "the agent's Deployment")
	}
	return &Values{
		Config: config, Communications: mapping(o.platforms()["communications"]), Cloud: o.cloud, Pulls: o.pulls.all(),
		Environment: o.environment, UnknownVariables: o.withheld, Mounts: o.mounts, NodeSelector: o.nodes, Notes: o.notes(withheld), NotGiven: notGiven,
		ChartVersion: o.chartVersion(), AgentVersion: ImageVersion(o.pulls.agent), ImageTag: tagIn(o.pulls.agent),
	}, err
}

// notes warn of a rendered state without chat platforms, which hides those of the Secret. The chart
// copies them into the state from the Secret in the cluster, which helm template cannot read
// (templates/persistent-config.yaml).
func (o *objects) notes(withheld []string) []string {
	var notes []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(o.absent))) {
		notes = append(notes, fmt.Sprintf("the agent takes variables from the %.200s (envFrom), which is not given: its %s… variables would override these values; give it too", name, agent.EnvironmentPrefix))
	}
	notes = append(notes, withheld...)
	for _, d := range o.special {
		if platforms, is := d["communications"]; is && platforms == nil && o.platforms() != nil {
			notes = append(notes, "the rendered state has no chat platforms and hides those of the Secret, because helm template cannot read the cluster: give the Helm values and the Secret instead, or what kubectl get prints")
		}
	}
	return notes
}

// chartVersion returns the version from the chart label, or else from the tag of the agent's image.
func (o *objects) chartVersion() string { return cmp.Or(o.version, ImageVersion(o.pulls.agent)) }

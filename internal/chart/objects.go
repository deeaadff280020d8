package chart

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
)

// ErrNoVersion says that Helm values were given, but no version of the chart.
var ErrNoVersion = errors.New("the values are laid over the defaults of the chart, and its version is not known")

// Names of what the chart renders for the agent (helm/botkube/templates).
const (
	globalKey         = "global_config.yaml"
	communicationsKey = "comm_config.yaml"
)

// maxObjects bounds the objects that are read: a chart renders some twenty.
const maxObjects = 10000

// objects are Kubernetes objects that hold an agent's configuration.
type objects struct {
	// keys are the documents that were found, and documents what is in them, the
	// special ones last (internal/config/fs_provider.go, sortCfgFiles).
	keys      []string
	documents []map[string]any
	special   []map[string]any
	// found says that there are objects at all.
	found bool
	// secret is the name of the Secret that has the chat platforms.
	secret string
	// others are texts that are a part of the configuration if the agent is told
	// to read files that are called so.
	others map[string][]string
	// environment is the container's, and withheld what it has of that from elsewhere.
	environment map[string]string
	withheld    []string
	mounts      Mounts
	pulls       pulls
	cloud       string
}

func (o *objects) has(key string) bool {
	for _, k := range o.keys {
		if k == key {
			return true
		}
	}
	return false
}

// platforms is the document with the chat platforms that a Secret has, or nil.
func (o *objects) platforms() map[string]any {
	for _, d := range o.documents {
		if d["communications"] != nil {
			return d
		}
	}
	return nil
}

// global reports whether the configuration as a whole was found.
func (o *objects) global() bool { return o.has(globalKey) }

// object is what matters of a Kubernetes object.
type object struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Data       map[string]string `yaml:"data"`
	StringData map[string]string `yaml:"stringData"`
	Spec       struct {
		Template struct {
			Spec struct {
				Containers     []container `yaml:"containers"`
				InitContainers []container `yaml:"initContainers"`
				Volumes        []struct {
					Name     string    `yaml:"name"`
					EmptyDir yaml.Node `yaml:"emptyDir"`
					Image    struct {
						Reference string `yaml:"reference"`
					} `yaml:"image"`
				} `yaml:"volumes"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type container struct {
	Image        string     `yaml:"image"`
	Env          []variable `yaml:"env"`
	VolumeMounts []struct {
		Name      string `yaml:"name"`
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type variable struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
	// ValueFrom says that the value is elsewhere.
	ValueFrom yaml.Node `yaml:"valueFrom"`
}

// read takes what a file has of an agent's configuration, and reports whether it
// is of Kubernetes objects rather than values.
func (o *objects) read(f File) (bool, error) {
	if n := agent.YAMLMarks(f.Data); n > maxMarks {
		return false, fmt.Errorf("it may have more than the %d values that are read", maxMarks)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(f.Data))
	found, others := false, false
	for n := 0; ; n++ {
		var node yaml.Node
		if err := decoder.Decode(&node); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil && found {
			return true, agent.YAMLError(err)
		} else if err != nil {
			return false, nil // what a values file has wrong, the reader of those says
		}
		if n == maxObjects {
			return false, fmt.Errorf("it has more than the %d objects that are read", maxObjects)
		}
		if isEmpty(&node) {
			continue
		}
		if err := agent.CheckKeys(&node); err != nil {
			return false, err
		}
		is := isObject(&node)
		found, others = found || is, others || !is
		if others && (found || n > 0) {
			return false, errors.New("it has several documents, not all of which are Kubernetes objects: give Helm values in files of their own")
		}
		if !is {
			continue
		}
		o.found = true
		if err := o.take(&node); err != nil {
			return true, err
		}
	}
}

// isEmpty reports whether there is nothing in a document but comments.
func isEmpty(document *yaml.Node) bool {
	return len(document.Content) == 0 || len(document.Content) == 1 && document.Content[0].Tag == "!!null"
}

// isObject reports whether a document is a Kubernetes object.
func isObject(document *yaml.Node) bool {
	var head struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
	}
	return document.Decode(&head) == nil && head.APIVersion != "" && head.Kind != ""
}

func (o *objects) take(document *yaml.Node) error {
	var head struct {
		Kind  string      `yaml:"kind"`
		Items []yaml.Node `yaml:"items"`
	}
	if err := document.Decode(&head); err != nil {
		return agent.YAMLError(err)
	}
	switch head.Kind {
	case "List", "ConfigMapList", "SecretList":
		for i := range head.Items {
			if err := o.take(&head.Items[i]); err != nil {
				return err
			}
		}
		return nil
	case "ConfigMap", "Secret", "Deployment", "Job":
		var obj object
		if err := document.Decode(&obj); err != nil {
			return agent.YAMLError(err)
		}
		return o.takeOne(obj)
	}
	return nil
}

func (o *objects) takeOne(obj object) error {
	switch obj.Kind {
	case "Deployment":
		o.takeDeployment(obj)
		return nil
	case "Job":
		for _, c := range obj.Spec.Template.Spec.Containers {
			o.pulls.jobs = append(o.pulls.jobs, c.Image)
		}
		return nil
	}
	for _, key := range sortedKeys(obj.Data) {
		text := obj.Data[key]
		if obj.Kind == "Secret" {
			decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
			if err != nil {
				if key != communicationsKey {
					continue
				}
				return fmt.Errorf("%s of the Secret is not base64", key)
			}
			text = string(decoded)
		}
		if err := o.takeDocument(obj.Metadata.Name, key, text); err != nil {
			return err
		}
	}
	for _, key := range sortedKeys(obj.StringData) {
		if err := o.takeDocument(obj.Metadata.Name, key, obj.StringData[key]); err != nil {
			return err
		}
	}
	return nil
}

// takeDocument takes a configuration document of an object that is called name;
// files with an underscore in front are the state that the agent keeps.
func (o *objects) takeDocument(name, key, text string) error {
	special := strings.HasPrefix(key, "_") && strings.HasSuffix(key, ".yaml")
	if key != globalKey && key != communicationsKey && !special {
		if o.others == nil {
			o.others = map[string][]string{}
		}
		o.others[key] = append(o.others[key], text)
		return nil
	}
	if o.has(key) {
		return fmt.Errorf("%s stands in it, or in another file, twice: give the objects of one release", key)
	}
	document, err := agent.ParseConfig([]byte(text))
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	o.keys = append(o.keys, key)
	switch {
	case special:
		o.special = append(o.special, document)
	case key == globalKey:
		o.documents = append([]map[string]any{document}, o.documents...)
	default:
		o.documents, o.secret = append(o.documents, document), name
	}
	return nil
}

// addOthers takes the files that the agent is told to read beside the chart's, such
// as that of `values --format manifests`. The chart's come first, for that is how it
// names them.
func (o *objects) addOthers() error {
	for _, file := range strings.Split(o.environment[configPaths], ",") {
		key := path.Base(file)
		texts := o.others[key]
		if len(texts) == 0 {
			continue
		}
		if len(texts) > 1 {
			return fmt.Errorf("%s, which the agent reads, is in several objects: give those of one release", key)
		}
		document, err := agent.ParseConfig([]byte(texts[0]))
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		o.documents = append(o.documents, document)
	}
	return nil
}

// configPaths is the variable that says which files the agent reads
// (templates/deployment.yaml).
const configPaths = "BOTKUBE_CONFIG_PATHS"

// takeDeployment takes the environment of the agent's container, by the variable
// that only it has. What is a part of a Deployment goes over what was read before, as
// Kubernetes merges it.
func (o *objects) takeDeployment(d object) {
	for _, c := range d.Spec.Template.Spec.Containers {
		environment, withheld, remote := map[string]string{}, []string(nil), false
		for _, v := range c.Env {
			remote = remote || v.Name == identifierVariable && (v.Value != "" || !v.ValueFrom.IsZero())
			if v.ValueFrom.IsZero() {
				environment[v.Name] = v.Value
			} else {
				withheld = append(withheld, v.Name)
			}
		}
		if _, is := environment[configPaths]; !is && environment["CONFIG_PROVIDER_ENDPOINT"] == "" {
			continue
		}
		if o.environment == nil {
			o.environment, o.mounts = map[string]string{}, Mounts{}
		}
		maps.Copy(o.environment, environment)
		o.withheld = append(o.withheld, withheld...)
		maps.Copy(o.mounts, d.mounts(c))
		o.pulls.agent = cmp.Or(c.Image, o.pulls.agent)
		o.takeMounted(d)
		if remote {
			o.cloud = cmp.Or(environment["CONFIG_PROVIDER_ENDPOINT"], cloudEndpoint)
		}
	}
}

// takeMounted takes the images that are mounted. A patch makes an image of a volume, or
// something else of an image.
func (o *objects) takeMounted(d object) {
	if o.pulls.mounted == nil {
		o.pulls.mounted = map[string]string{}
	}
	for _, v := range d.Spec.Template.Spec.Volumes {
		o.pulls.mounted[v.Name] = v.Image.Reference
	}
}

// mounts returns what a container sees when it starts. What others that ran before
// it may have filled is not empty.
func (d object) mounts(c container) Mounts {
	spec := d.Spec.Template.Spec
	empty := map[string]bool{}
	for _, v := range spec.Volumes {
		empty[v.Name] = !v.EmptyDir.IsZero() && len(spec.InitContainers) == 0
	}
	m := Mounts{}
	for _, v := range c.VolumeMounts {
		m.add(v.MountPath, !empty[v.Name])
	}
	return m
}

// values returns what the objects come to.
func (o *objects) values() (*Values, error) {
	if !o.has(communicationsKey) {
		return nil, ErrNoPlatforms
	}
	if err := o.addOthers(); err != nil {
		return nil, err
	}
	config, err := agent.ReadConfig(append(o.documents, o.special...), o.environment)
	return &Values{Config: config, Cloud: o.cloud, Pulls: o.pulls.all(), Environment: o.environment, Withheld: o.withheld, Mounts: o.mounts, Notes: o.notes()}, err
}

// ErrNoPlatforms says that the agent's configuration was given without its chat
// platforms.
var ErrNoPlatforms = errors.New("there is the ConfigMap with the configuration, but not the Secret with the chat platforms (" + communicationsKey + "), without which nobody can tell which plugins are bound")

// notes tell of a state that takes the chat platforms away. The chart copies them into
// it from the Secret as the cluster has it, where helm template does not look
// (templates/persistent-config.yaml).
func (o *objects) notes() []string {
	for _, d := range o.special {
		if platforms, is := d["communications"]; is && platforms == nil && o.platforms() != nil {
			return []string{"the state that was rendered has no chat platforms, which takes away those of the Secret: helm template renders it so with existingCommunicationsSecretName, because it does not look into the cluster; give the Helm values and the Secret, or what kubectl get has, in the place of it"}
		}
	}
	return nil
}

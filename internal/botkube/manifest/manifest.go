// Package manifest reads Kubernetes objects from YAML files. It does no I/O.
package manifest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// maxObjects bounds the objects of a file: a chart renders some twenty.
const maxObjects = 10000

// Object is a Kubernetes object.
type Object struct {
	File                              string
	APIVersion, Kind, Namespace, Name string

	body    map[string]any
	mistake error
}

// String is what messages call the object: its kind and its name.
func (o *Object) String() string {
	name := o.Name
	if o.Namespace != "" {
		name = o.Namespace + "/" + name
	}
	return strings.TrimSpace(fmt.Sprintf("%.80s %.200s", o.Kind, name))
}

// Group returns the API group; "" is that of Pods and Secrets.
func (o *Object) Group() string {
	return o.APIVersion[:max(0, strings.IndexByte(o.APIVersion, '/'))]
}

// Errorf returns an error that names file and object.
func (o *Object) Errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", o.File, o, fmt.Errorf(format, args...))
}

// At returns the value at a path of keys.
func (o *Object) At(keys ...string) Field { return Field{of: o, value: o.body}.At(keys...) }

// TypeError returns the first value that was asked for and is of the wrong kind.
func (o *Object) TypeError() error { return o.mistake }

// Read returns the objects of a file, also those in lists. A file without Kubernetes objects has none.
func Read(file string, data []byte) ([]*Object, error) {
	if err := textfile.CheckYAMLSize(data, helmvalues.MaxMarks); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	r := &reading{file: file}
	for n := 0; ; n++ {
		var node yaml.Node
		if err := decoder.Decode(&node); errors.Is(err, io.EOF) {
			return r.objects, nil
		} else if err != nil && len(r.objects) > 0 {
			return nil, fmt.Errorf("%s: %w", file, textfile.YAMLError(err))
		} else if err != nil {
			return nil, nil // what a values file has wrong, the reader of those says
		}
		if n == maxObjects {
			return nil, fmt.Errorf("%s: it has more than %d objects", file, maxObjects)
		}
		if err := r.document(&node); err != nil {
			return nil, err
		}
	}
}

type reading struct {
	file    string
	objects []*Object
	// found are the documents that are objects, and others are not.
	found, others int
}

func (r *reading) document(node *yaml.Node) error {
	if helmvalues.IsEmpty(node) {
		return nil
	}
	if err := textfile.CheckYAMLKeys(node); err != nil {
		return fmt.Errorf("%s: %w", r.file, err)
	}
	var head struct {
		APIVersion string    `yaml:"apiVersion"`
		Kind       string    `yaml:"kind"`
		Spec       yaml.Node `yaml:"spec"`
		Metadata   yaml.Node `yaml:"metadata"`
	}
	is := node.Decode(&head) == nil && head.Kind != ""
	if is && head.APIVersion == "" {
		if is = !head.Spec.IsZero() && !head.Metadata.IsZero(); is {
			return fmt.Errorf("%s: a document of kind %.80q has no apiVersion", r.file, head.Kind)
		}
	}
	if is {
		r.found++
	} else {
		r.others++
	}
	if r.others > 0 && r.found+r.others > 1 {
		return fmt.Errorf("%s: some of its documents are not Kubernetes objects: give Helm values in separate files", r.file)
	}
	if !is {
		return nil
	}
	data, err := yaml.Marshal(node)
	if err != nil {
		return fmt.Errorf("%s: %w", r.file, textfile.YAMLError(err))
	}
	body, err := helmvalues.Parse(data) // Kubernetes takes YAML 1.1, too
	if err != nil {
		return fmt.Errorf("%s: %w", r.file, err)
	}
	return r.add(body)
}

func (r *reading) add(body map[string]any) error {
	o := &Object{File: r.file, body: body}
	o.APIVersion, o.Kind = o.At("apiVersion").Text(), o.At("kind").Text()
	if items := o.At("items"); strings.HasSuffix(o.Kind, "List") && items.Exists() {
		for _, item := range items.Items() {
			if err := r.add(item.Mapping()); err != nil {
				return err
			}
		}
		return o.TypeError()
	}
	o.Name, o.Namespace = o.At("metadata", "name").Text(), o.At("metadata", "namespace").Text()
	r.objects = append(r.objects, o)
	return o.TypeError()
}

// Entry is a file that a ConfigMap or a Secret has.
type Entry struct {
	Key, Text string
	// Binary says that a ConfigMap has it as binaryData.
	Binary bool
	// Err says why there is no text.
	Err error
}

// Entries returns the files of a ConfigMap or a Secret by their keys. In a Secret, stringData
// wins over data.
func (o *Object) Entries() ([]Entry, error) {
	all := map[string]Entry{}
	encoded := map[string]bool{"binaryData": true, "data": o.Kind == "Secret"}
	for _, section := range []string{"binaryData", "data", "stringData"} {
		for _, key := range o.At(section).Keys() {
			field := Field{of: o, value: o.At(section).Mapping()[key], path: section + "." + key}
			text := field.Text()
			if encoded[section] {
				decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
				if err != nil {
					all[key] = Entry{Key: key, Err: field.Errorf("it is not base64: encode it, or use stringData")}
					continue
				}
				text = string(decoded)
			}
			all[key] = Entry{Key: key, Text: text, Binary: section == "binaryData"}
		}
	}
	var sorted []Entry
	for _, key := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[key])
	}
	return sorted, o.TypeError()
}

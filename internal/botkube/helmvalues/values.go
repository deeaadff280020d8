// Package helmvalues reads and merges Helm values as Helm does. It does no I/O.
package helmvalues

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"text/template"

	yamlv3 "gopkg.in/yaml.v3"
	"sigs.k8s.io/yaml"

	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// MaxMarks bounds a document: see [textfile.CheckYAMLSize]. The chart's own values have some
// 1500.
const MaxMarks = 1 << 18

// Parse reads a values file as Helm does: YAML 1.1, so that yes is true.
func Parse(data []byte) (map[string]any, error) {
	if err := textfile.CheckYAMLSize(data, MaxMarks); err != nil {
		return nil, err
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(data, &values); err != nil {
		text := strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ") // which the library uses internally
		if strings.HasPrefix(text, "error unmarshaling JSON: ") {
			// What follows may quote values.
			return nil, errors.New("it is not a mapping of keys to values")
		}
		return nil, textfile.YAMLError(errors.New(text))
	}
	return values, checkOne(data)
}

// checkOne refuses several documents: Helm 3 reads the first, even if it is empty, and Helm 4
// all.
func checkOne(data []byte) error {
	decoder := yamlv3.NewDecoder(bytes.NewReader(data))
	for n := 0; ; n++ {
		var node yamlv3.Node
		if err := decoder.Decode(&node); err != nil {
			return nil // the end, or what is no document to Helm 3
		}
		if n > 0 && !IsEmpty(&node) {
			return errors.New("it has several documents, and some versions of Helm read only the first: remove the lines --- between them")
		}
	}
}

// IsEmpty reports whether a document has nothing in it but comments.
func IsEmpty(document *yamlv3.Node) bool {
	return len(document.Content) == 0 || len(document.Content) == 1 && document.Content[0].Tag == "!!null"
}

// Merge lays values over others: mappings are merged, everything else is replaced
// (Helm, pkg/cli/values/options.go, mergeMaps; Flux, fluxcd/pkg, chartutil, MergeMaps).
func Merge(under, over map[string]any) map[string]any {
	out := maps.Clone(under)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range over {
		if inner, ok := v.(map[string]any); ok {
			if below, ok := out[k].(map[string]any); ok {
				out[k] = Merge(below, inner)
				continue
			}
		}
		out[k] = v
	}
	return out
}

// Coalesce lays values over a chart's defaults (Helm, pkg/chart/common/util/coalesce.go): null
// removes a default, and a value wins over a default of another kind.
func Coalesce(defaults, user map[string]any) map[string]any {
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
			out[k] = Coalesce(below, above)
		}
	}
	return out
}

// Clone copies values deeply.
func Clone(values map[string]any) map[string]any {
	copied, _ := clone(values).(map[string]any)
	return copied
}

func clone(value any) any {
	switch v := value.(type) {
	case map[string]any:
		copied := make(map[string]any, len(v))
		for k, inner := range v {
			copied[k] = clone(inner)
		}
		return copied
	case []any:
		copied := make([]any, len(v))
		for i, inner := range v {
			copied[i] = clone(inner)
		}
		return copied
	}
	return value
}

// IsTrue reports whether Helm's templates take a value for true.
func IsTrue(value any) bool {
	truth, _ := template.IsTrue(value)
	return truth
}

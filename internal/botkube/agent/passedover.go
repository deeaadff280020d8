package agent

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// PassedOver is a setting that has no effect, because its key is not spelt like one that is read.
type PassedOver struct {
	// Setting is of the form plugins.repositorys.
	Setting string
	// Meant is the key that is read.
	Meant string
	// Beside says that the key that is read is there as well, and this one differs in case only.
	Beside bool
}

// PassedOver returns the settings of the configuration that the agent passes over, sorted.
func (c *Config) PassedOver() []PassedOver { return c.passedOver }

// read returns a configuration without the keys that the agent passes over because they differ in
// case only from one beside them (mapstructure v1.5.0, decodeStructFromMap). It says which keys
// are like one that the agent reads, and are none.
func read(document map[string]any) (map[string]any, []PassedOver) {
	var r reading
	kept, _ := r.value(document, []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[kinds]()}, "").(map[string]any)
	slices.SortFunc(r.found, func(a, b PassedOver) int { return strings.Compare(a.Setting, b.Setting) })
	return kept, r.found
}

type reading struct {
	found []PassedOver
	// unknown counts the keys for which similar ones were looked for.
	unknown int
}

// Bounds on what is looked at: configurations come from outside.
const (
	maxUnknown = 1000
	maxKey     = 60
)

// value is [read] for a value that is decoded into each of several types.
func (r *reading) value(value any, types []reflect.Type, setting string) any {
	fields, elements := shapeOf(types)
	switch v := value.(type) {
	case []any:
		v = slices.Clone(v)
		for i, inner := range v {
			v[i] = r.value(inner, elements, setting)
		}
		return v
	case map[string]any:
		kept := maps.Clone(v)
		for key, inner := range v {
			at := strings.TrimPrefix(setting+"."+key, ".")
			name, of := key, elements
			if len(fields) > 0 {
				name, of = r.field(key, fields, elements)
			}
			_, beside := v[name]
			switch {
			case name == "":
			case name == key, !beside && of != nil:
				kept[key] = r.value(inner, of, at)
			case of != nil: // another case
				delete(kept, key)
				r.found = append(r.found, PassedOver{at, name, true})
			default:
				r.found = append(r.found, PassedOver{at, name, false})
			}
		}
		return kept
	}
	return value
}

// field returns the field that is read from a key, with its types; or, without types, the field
// that may be meant.
func (r *reading) field(key string, fields map[string][]reflect.Type, rest []reflect.Type) (string, []reflect.Type) {
	for name, types := range fields {
		if strings.EqualFold(name, key) {
			return name, types
		}
	}
	if len(rest) > 0 {
		return key, rest // any key may be there
	}
	_, platforms := fields["socketSlack"] // which Values.UnknownPlatforms judges
	if r.unknown++; platforms || r.unknown > maxUnknown || len(key) > maxKey {
		return "", nil
	}
	return spelling.Nearest(key, slices.Sorted(maps.Keys(fields))), nil
}

// shapeOf returns the fields of structures by their keys, and the elements of maps and lists.
func shapeOf(types []reflect.Type) (fields map[string][]reflect.Type, elements []reflect.Type) {
	fields = map[string][]reflect.Type{}
	for len(types) > 0 {
		t := types[0]
		types = types[1:]
		switch t.Kind() {
		case reflect.Pointer:
			types = append(slices.Clone(types), t.Elem())
		case reflect.Map, reflect.Slice:
			elements = append(elements, t.Elem())
		case reflect.Struct:
			for f := range t.Fields() {
				switch tag := f.Tag.Get("mapstructure"); {
				case f.Anonymous:
					types = append(slices.Clone(types), f.Type)
				case tag == ",remain":
					elements = append(elements, f.Type.Elem())
				case f.IsExported() && tag != "-":
					fields[keyOf(f.Name)] = append(fields[keyOf(f.Name)], f.Type)
				}
			}
		}
	}
	return fields, elements
}

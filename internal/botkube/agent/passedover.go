package agent

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// PassedOver is a setting whose key is not spelt like one that is read.
type PassedOver struct {
	// Setting is of the form plugins.repositorys.
	Setting string
	// Meant is the key that may be meant.
	Meant string
	// Effect is what the agent does with the setting.
	Effect Effect
}

// Effect is what the agent does with a misspelt setting.
type Effect int

// The effects. The last two are for a key beside the right one, from which it differs in case only.
// If one of them is spelt like the field in the agent's source, it wins. Else either may.
const (
	NoEffect Effect = iota
	Overridden
	ByChance
)

// PassedOver returns the settings of the configuration whose keys are not spelt right, sorted.
func (c *Config) PassedOver() []PassedOver { return c.passedOver }

// read returns a configuration in which of keys that differ in case only one is left. The agent
// reads keys in any case, and of several the first in Go's order of maps, which changes
// (mapstructure v1.5.0, decodeStructFromMap). Here it is the one that is spelt right.
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
		several := fields.several(v)
		for key, inner := range v {
			at := strings.TrimPrefix(setting+"."+key, ".")
			name := fields.name(key)
			switch of, is := several[name]; {
			case name == "" && len(elements) > 0:
				kept[key] = r.value(inner, elements, at)
			case name == "":
				if near := r.similar(key, fields); near != "" {
					r.found = append(r.found, PassedOver{at, near, NoEffect})
				}
			case is && of.Meant != key:
				delete(kept, key)
				r.found = append(r.found, PassedOver{at, of.Meant, of.Effect})
			default:
				kept[key] = r.value(inner, fields[name].types, at)
			}
		}
		return kept
	}
	return value
}

// similar returns the field that may be meant by a key.
func (r *reading) similar(key string, all fields) string {
	_, platforms := all["socketSlack"] // which Values.UnknownPlatforms judges
	if r.unknown++; platforms || r.unknown > maxUnknown || len(key) > maxKey {
		return ""
	}
	return spelling.Slip(key, slices.Sorted(maps.Keys(all)))
}

// fields are those of structures, by their keys.
type fields map[string]field

type field struct {
	// source is its name in the agent's source.
	source string
	types  []reflect.Type
}

// name returns the field that is read from a key, or "".
func (f fields) name(key string) string {
	for name := range f {
		if strings.EqualFold(name, key) {
			return name
		}
	}
	return ""
}

// several says of each field for which there are several keys which one counts.
func (f fields) several(values map[string]any) map[string]PassedOver {
	keys := map[string][]string{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if name := f.name(key); name != "" {
			keys[name] = append(keys[name], key)
		}
	}
	counts := map[string]PassedOver{}
	for name, all := range keys {
		switch {
		case len(all) == 1:
		case slices.Contains(all, f[name].source):
			counts[name] = PassedOver{Meant: f[name].source, Effect: Overridden}
		case slices.Contains(all, name):
			counts[name] = PassedOver{Meant: name, Effect: ByChance}
		default:
			counts[name] = PassedOver{Meant: all[0], Effect: ByChance}
		}
	}
	return counts
}

// shapeOf returns the fields of structures, and the elements of maps and lists.
func shapeOf(types []reflect.Type) (all fields, elements []reflect.Type) {
	all = fields{}
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
					key := keyOf(f.Name)
					all[key] = field{f.Name, append(all[key].types, f.Type)}
				}
			}
		}
	}
	return all, elements
}

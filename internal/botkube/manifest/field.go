package manifest

import (
	"fmt"
	"maps"
	"slices"
)

// Field is a value of an object, and its path. It is empty if absent or of the wrong kind, which
// is a mistake of the object.
type Field struct {
	of    *Object
	value any
	path  string
}

// List returns the elements of a list that no object has, such as one of Helm values.
func List(path string, value any) []Field {
	return Field{of: new(Object), value: value, path: path}.Items()
}

// Path returns where the value stands, of the form spec.valuesFrom[0].name.
func (f Field) Path() string { return f.path }

// Errorf returns an error that names file, object and path.
func (f Field) Errorf(format string, args ...any) error {
	return f.of.Errorf("%.300s: %w", f.path, fmt.Errorf(format, args...))
}

// Exists reports whether there is a value.
func (f Field) Exists() bool { return f.value != nil }

// Value returns the value, of whatever kind.
func (f Field) Value() any { return f.value }

// At returns the value at a path of keys below this one.
func (f Field) At(keys ...string) Field {
	for _, k := range keys {
		path := k
		if f.path != "" {
			path = f.path + "." + k
		}
		f = Field{of: f.of, value: f.Mapping()[k], path: path}
	}
	return f
}

// Mapping returns a mapping.
func (f Field) Mapping() map[string]any { return wanted[map[string]any](f, "a mapping") }

// Text returns a text.
func (f Field) Text() string { return wanted[string](f, "a text") }

// True returns a truth value.
func (f Field) True() bool { return wanted[bool](f, "true or false") }

// Items returns the elements of a list.
func (f Field) Items() []Field {
	var all []Field
	for i, item := range wanted[[]any](f, "a list") {
		all = append(all, Field{of: f.of, value: item, path: fmt.Sprintf("%s[%d]", f.path, i)})
	}
	return all
}

// Keys returns the keys of a mapping, sorted.
func (f Field) Keys() []string { return slices.Sorted(maps.Keys(f.Mapping())) }

func wanted[T any](f Field, what string) (value T) {
	if f.value == nil {
		return value
	}
	value, ok := f.value.(T)
	if !ok && f.of.mistake == nil {
		f.of.mistake = f.Errorf("it must be %[2]s, not %[1]s", KindOf(f.value), what)
	}
	return value
}

// KindOf names the type of a value for people.
func KindOf(v any) string {
	switch v.(type) {
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case string:
		return "a text"
	case bool:
		return "true or false"
	}
	return "a number"
}

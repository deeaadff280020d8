package textfile

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// JSONError says in words what encoding/json has against a document: where, and
// what it should be. It names no types of Go, and shows no values, which may be
// secret.
func JSONError(data []byte, err error) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		if kind := Kind(data); kind != PlainText && kind != JSON {
			return fmt.Errorf("it is %s, not JSON", kind)
		}
		return fmt.Errorf("it is not JSON %s", place(data, e.Offset))
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		what := "it"
		if e.Field != "" {
			what = "its " + clip(e.Field)
		}
		found, _, _ := strings.Cut(e.Value, " ") // what follows is the number itself
		return fmt.Errorf("%s is %s, not %s (%s)", what, jsonKind(found), expected(e.Type), place(data, e.Offset))
	}
	switch {
	case err == nil:
		return nil
	case len(bytes.TrimSpace(data)) == 0:
		return errors.New("it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("it ends too early")
	}
	return errors.New(clip(strings.TrimPrefix(err.Error(), "json: ")))
}

// place says where in a document something is, as editors count.
func place(data []byte, offset int64) string {
	before := data[:max(0, min(offset, int64(len(data))))]
	if !bytes.Contains(bytes.TrimSpace(data), []byte("\n")) {
		return fmt.Sprintf("at byte %d", offset)
	}
	return fmt.Sprintf("in line %d", 1+bytes.Count(before, []byte("\n")))
}

// clip shortens a quotation of a document.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

func jsonKind(value string) string {
	switch value {
	case "string":
		return "a text"
	case "number":
		return "a number"
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "an object"
	}
	return "something else"
}

// expected says what a document must have where it is read into a type.
func expected(t reflect.Type) string {
	if t == nil {
		return "what belongs there"
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "a text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return expected(t.Elem())
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Interface:
		return "what belongs there"
	}
	return "a whole number"
}

// How yaml.v3 v3.0.1 words what it has against a document (decode.go,
// decoder.terror and decoder.mapping, resolve.go, resolve).
var (
	// yamlKind has a value in it, which may be secret, and a type of Go.
	yamlKind   = lazyregexp.New("(?s)cannot unmarshal (!\\S*)(?: `.*?`)? into ([^\\n]+)")
	yamlTagged = lazyregexp.New("(?s)cannot decode (!\\S*) `.*?` as a (!\\S+)")
	yamlTwice  = lazyregexp.New(`mapping key ("(?:[^"\\]|\\.)*") already defined at line (\d+)`)
	// yamlKey is of yaml.v2, too (decode.go, mapping).
	yamlKey    = lazyregexp.New(`(?s)invalid map key: .*`)
	yamlAnchor = lazyregexp.New(`(?s)unknown anchor '.*' referenced`)
)

// YAMLError says in words what the YAML library has against a document: where,
// and what it should be. It names no types of Go, and shows no values, which may
// be secret.
func YAMLError(err error) error {
	const most = 400
	s := err.Error()
	if values, ok := strings.CutPrefix(s, "yaml: unmarshal errors:\n"); ok {
		s = strings.ReplaceAll(strings.TrimSpace(values), "\n  ", "\n")
	}
	s = yamlKind.ReplaceAllStringFunc(s, func(m string) string {
		found := yamlKind.FindStringSubmatch(m)
		return fmt.Sprintf("expected %s, but there is %s", yamlExpected(found[2]), yamlFound(found[1]))
	})
	s = yamlTagged.ReplaceAllStringFunc(s, func(m string) string {
		found := yamlTagged.FindStringSubmatch(m)
		return fmt.Sprintf("%s is marked as %s", yamlFound(found[1]), yamlFound(found[2]))
	})
	s = yamlTwice.ReplaceAllString(s, "the key $1 stands in line $2 already")
	s = yamlAnchor.ReplaceAllString(s, "no anchor has the name of an alias; a text that begins with * must be in quotes")
	s = yamlKey.ReplaceAllString(s, "a mapping or a list stands where a key should: what is in {{ }} must be filled in before, or be in quotes")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return errors.New(s)
}

// yamlExpected says what a document must have where it is read into a type of Go.
func yamlExpected(name string) string {
	switch {
	case strings.HasPrefix(name, "*"):
		return yamlExpected(name[1:])
	case strings.HasPrefix(name, "["):
		return "a list"
	case name == "string":
		return "a text"
	case name == "bool":
		return "true or false"
	case strings.HasPrefix(name, "int"), strings.HasPrefix(name, "uint"):
		return "a whole number"
	case strings.HasPrefix(name, "float"):
		return "a number"
	}
	return "a mapping"
}

func yamlFound(tag string) string {
	switch tag {
	case "!!str":
		return "a text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!seq":
		return "a list"
	case "!!map":
		return "a mapping"
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a date"
	case "!!binary":
		return "binary data"
	}
	return "a value with a tag"
}

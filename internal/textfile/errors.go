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

// JSONError says what encoding/json has against a document: where, and what it should be. It
// names no types of Go and shows no values, which may be secret.
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
		kind, _, _ := strings.Cut(e.Value, " ") // what follows is the number itself
		return fmt.Errorf("%s is %s, not %s (%s)", what, found(kind), expected(e.Type), place(data, e.Offset))
	}
	switch {
	case err == nil:
		return nil
	case len(bytes.TrimSpace(data)) == 0:
		return errors.New("it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("it ends before the document is complete")
	}
	return errors.New(clip(strings.TrimPrefix(err.Error(), "json: ")))
}

func place(data []byte, offset int64) string {
	before := data[:max(0, min(offset, int64(len(data))))]
	if !bytes.Contains(bytes.TrimSpace(data), []byte("\n")) {
		return fmt.Sprintf("at byte %d", offset)
	}
	return fmt.Sprintf("in line %d", 1+bytes.Count(before, []byte("\n")))
}

func clip(s string) string {
	const most = 200
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// found is what people call a value, by its name in encoding/json or its tag in YAML.
func found(kind string) string {
	switch kind {
	case "string", "!!str":
		return "a string"
	case "number", "!!int", "!!float":
		return "a number"
	case "bool", "!!bool":
		return "true or false"
	case "array", "!!seq":
		return "a list"
	case "object":
		return "an object"
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

// expected says what JSON must have for a type.
func expected(t reflect.Type) string {
	switch {
	case t == nil || t.Kind() == reflect.Interface:
		return "another value"
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "a string"
	case t.Kind() == reflect.Pointer:
		return expected(t.Elem())
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Map:
		return "an object"
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Array:
		return "a list"
	}
	return expectedOf(t.Kind().String())
}

// How yaml.v3 v3.0.1 words its errors (decode.go, decoder.terror and decoder.mapping,
// resolve.go, resolve).
var (
	// yamlKind has a value in it, which may be secret, and a type of Go.
	yamlKind   = lazyregexp.New("(?s)cannot unmarshal (!\\S*)(?: `.*?`)? into ([^\\n]+)")
	yamlTagged = lazyregexp.New("(?s)cannot decode (!\\S*) `.*?` as a (!\\S+)")
	yamlTwice  = lazyregexp.New(`mapping key ("(?:[^"\\]|\\.)*") already defined at line (\d+)`)
	// yamlKey is of yaml.v2, too (decode.go, mapping).
	yamlKey    = lazyregexp.New(`(?s)invalid map key: .*`)
	yamlAnchor = lazyregexp.New(`(?s)unknown anchor '.*' referenced`)
)

// YAMLError says what the YAML library has against a document, as [JSONError] does.
func YAMLError(err error) error {
	const most = 400
	s := err.Error()
	if values, ok := strings.CutPrefix(s, "yaml: unmarshal errors:\n"); ok {
		s = strings.ReplaceAll(strings.TrimSpace(values), "\n  ", "\n")
	}
	s = yamlKind.ReplaceAllStringFunc(s, func(m string) string {
		parts := yamlKind.FindStringSubmatch(m)
		return fmt.Sprintf("expected %s, but there is %s", expectedOf(parts[2]), found(parts[1]))
	})
	s = yamlTagged.ReplaceAllStringFunc(s, func(m string) string {
		parts := yamlTagged.FindStringSubmatch(m)
		return fmt.Sprintf("%s is marked as %s", found(parts[1]), found(parts[2]))
	})
	s = yamlTwice.ReplaceAllString(s, "the key $1 is already in line $2")
	s = yamlAnchor.ReplaceAllString(s, "an alias has no anchor; put a string that begins with * in quotes")
	s = yamlKey.ReplaceAllString(s, "a mapping or a list is in the place of a key; if the file has {{ }}, fill in the template first, or put {{ }} in quotes")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return errors.New(s)
}

// expectedOf says what YAML must have for the name of a type of Go.
func expectedOf(name string) string {
	switch {
	case strings.HasPrefix(name, "*"):
		return expectedOf(name[1:])
	case strings.HasPrefix(name, "["):
		return "a list"
	case name == "string":
		return "a string"
	case name == "bool":
		return "true or false"
	case strings.HasPrefix(name, "int"), strings.HasPrefix(name, "uint"):
		return "a whole number"
	case strings.HasPrefix(name, "float"):
		return "a number"
	}
	return "a mapping"
}

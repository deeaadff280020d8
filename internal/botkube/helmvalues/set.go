package helmvalues

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of what an assignment may ask for: those of Helm (pkg/strvals/parser.go,
// MaxIndex and MaxNestedNameLevel).
const (
	maxIndex = 65536
	maxDepth = 30
)

// Set changes values in place by assignments as those of helm --set:
// a.b[0].c=value,d=value (Helm, pkg/strvals/parser.go). With texts, as with
// --set-string, every value is a text. Errors name keys, never values.
func Set(values map[string]any, assignments string, texts bool) error {
	s := &setter{in: []rune(assignments), typed: func(v string) any {
		if texts {
			return v
		}
		return typed(v)
	}}
	return s.all(values)
}

// SetText sets what one path leads to, as helm --set-file does with what a file has.
func SetText(values map[string]any, path, text string) error {
	s := &setter{in: []rune(path + "=x"), typed: func(string) any { return text }}
	return s.all(values)
}

// typed returns what Helm takes a bare value for (pkg/strvals/parser.go, typedVal).
func typed(v string) any {
	switch strings.ToLower(v) {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	case "0":
		return int64(0)
	}
	if v != "" && v[0] != '0' {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n
		}
	}
	return v
}

// setter is one run of [Set].
type setter struct {
	in    []rune
	at    int
	typed func(string) any
}

func (s *setter) done() bool { return s.at >= len(s.in) }

func (s *setter) all(values map[string]any) error {
	for !s.done() {
		if err := s.key(values, 0); err != nil {
			return err
		}
	}
	return nil
}

// until reads up to one of the characters in stop, and returns which one it was; 0 at
// the end. A backslash takes its meaning from the next character.
func (s *setter) until(stop string) (text string, last rune) {
	var out []rune
	for !s.done() {
		r := s.in[s.at]
		s.at++
		switch {
		case strings.ContainsRune(stop, r):
			return string(out), r
		case r == '\\' && !s.done():
			out = append(out, s.in[s.at])
			s.at++
		case r != '\\':
			out = append(out, r)
		}
	}
	return string(out), 0
}

// key reads one assignment to what is below a mapping.
func (s *setter) key(below map[string]any, depth int) error {
	k, last := s.until("=[,.")
	switch last {
	case '=':
		value, err := s.value()
		if err != nil {
			return err
		}
		put(below, k, value)
		return nil
	case '[':
		list, ok := below[k].([]any)
		if !ok && below[k] != nil {
			return fmt.Errorf("%.80q is no list", k)
		}
		list, err := s.item(list, depth)
		put(below, k, list)
		return err
	case '.':
		inner, err := s.inner(below[k], k, depth)
		if inner != nil {
			put(below, k, inner)
		}
		return err
	}
	if k == "" && last == 0 {
		return nil
	}
	return fmt.Errorf("%.80q has no value: a comma begins another assignment, and is written \\, where it is none", shownKey(k, depth))
}

// shownKey is what an error calls a key. What follows a comma may be the rest of a
// secret.
func shownKey(k string, depth int) string {
	if depth == 0 {
		return "what follows a comma"
	}
	return k
}

// inner reads the rest of a path below a key.
func (s *setter) inner(at any, k string, depth int) (map[string]any, error) {
	if depth+1 > maxDepth {
		return nil, fmt.Errorf("the path has more than %d levels", maxDepth)
	}
	inner, ok := at.(map[string]any)
	if !ok && at != nil {
		return nil, fmt.Errorf("%.80q is no mapping", k)
	}
	if inner == nil {
		inner = map[string]any{}
	}
	if err := s.key(inner, depth+1); err != nil {
		return nil, err
	}
	if len(inner) == 0 {
		return nil, fmt.Errorf("%.80q has no value", k)
	}
	return inner, nil
}

// item reads an index, and what follows it.
func (s *setter) item(list []any, depth int) ([]any, error) {
	number, last := s.until("]")
	i, err := strconv.Atoi(number)
	switch {
	case err != nil || last != ']':
		return list, errors.New("what stands in brackets is no number")
	case i < 0 || i > maxIndex:
		return list, fmt.Errorf("an index is from 0 to %d", maxIndex)
	case depth > maxDepth:
		return list, fmt.Errorf("the path has more than %d levels", maxDepth)
	}
	var old any
	if i < len(list) {
		old = list[i]
	}
	value, err := s.afterIndex(old, depth)
	if err != nil {
		return list, err
	}
	for len(list) <= i {
		list = append(list, nil)
	}
	list[i] = value
	return list, nil
}

// afterIndex reads what is put at an index where something was, or nothing.
func (s *setter) afterIndex(old any, depth int) (any, error) {
	if rest := string(s.in[s.at:]); rest == "" || rest == `\` {
		return nil, errors.New("an index has no value")
	}
	next := s.in[s.at]
	s.at++
	switch next {
	case '=':
		return s.value()
	case '[':
		nested, _ := old.([]any)
		return s.item(nested, depth+1)
	case '.':
		return s.inner(old, "an index", depth)
	}
	return nil, errors.New("after an index, there is neither =, nor [, nor a dot")
}

// value reads a value, up to a comma: {a,b} is a list.
func (s *setter) value() (any, error) {
	if s.done() || s.in[s.at] != '{' {
		text, _ := s.until(",")
		return s.typed(text), nil
	}
	s.at++
	list := []any{}
	for {
		text, last := s.until(",}")
		switch {
		case last == 0:
			return nil, errors.New("a list that begins with { does not end with }")
		case last == '}' && text == "" && len(list) == 0:
		default:
			list = append(list, s.typed(text))
		}
		if last == '}' {
			break
		}
	}
	if !s.done() && s.in[s.at] == ',' {
		s.at++
	}
	return list, nil
}

// put sets a key that is not empty.
func put(below map[string]any, k string, value any) {
	if k != "" {
		below[k] = value
	}
}

package helmvalues

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Helm's bounds (pkg/strvals/parser.go, MaxIndex and MaxNestedNameLevel).
const (
	maxIndex = 65536
	maxDepth = 30
)

// Set changes values in place by assignments as those of helm --set:
// a.b[0].c=value,d=value (Helm, pkg/strvals/parser.go). With texts, as with
// --set-string, every value is a text. Errors name keys, never values.
func Set(values map[string]any, assignments string, texts bool) error {
	s := &setter{in: []rune(assignments), typed: typed}
	if texts {
		s.typed = func(v string) any { return v }
	}
	return s.all(values)
}

// SetText sets what a path leads to, as helm --set-file does.
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

func (s *setter) next() rune {
	if s.done() {
		return 0
	}
	s.at++
	return s.in[s.at-1]
}

// until reads up to one of the characters in stop, and returns that, or 0 at the end. A
// backslash takes the meaning of the next character away.
func (s *setter) until(stop string) (text string, last rune) {
	var out []rune
	for !s.done() {
		switch r := s.next(); {
		case strings.ContainsRune(stop, r):
			return string(out), r
		case r == '\\' && !s.done():
			out = append(out, s.next())
		case r != '\\':
			out = append(out, r)
		}
	}
	return string(out), 0
}

// key reads one assignment to what is below a mapping.
func (s *setter) key(below map[string]any, depth int) error {
	k, last := s.until("=[,.")
	var value any
	var err error
	switch last {
	case '=':
		value, err = s.value()
	case '[':
		list, ok := below[k].([]any)
		if !ok && below[k] != nil {
			return fmt.Errorf("%.80q is not a list", k)
		}
		value, err = s.item(list, depth)
	case '.':
		value, err = s.inner(below[k], k, depth)
	default:
		if k == "" && last == 0 {
			return nil
		}
		if depth == 0 { // it may be the rest of a secret
			k = "the part after a comma"
		}
		return fmt.Errorf("%.80q has no value: a comma starts another assignment; write \\, for a comma in a value", k)
	}
	if err == nil && k != "" {
		below[k] = value
	}
	return err
}

func (s *setter) inner(at any, k string, depth int) (map[string]any, error) {
	if depth+1 > maxDepth {
		return nil, fmt.Errorf("the path has more than %d levels", maxDepth)
	}
	inner, ok := at.(map[string]any)
	switch {
	case !ok && at != nil:
		return nil, fmt.Errorf("%.80q is not a mapping", k)
	case inner == nil:
		inner = map[string]any{}
	}
	err := s.key(inner, depth+1)
	if err == nil && len(inner) == 0 {
		err = fmt.Errorf("%.80q has no value", k)
	}
	return inner, err
}

func (s *setter) item(list []any, depth int) ([]any, error) {
	number, last := s.until("]")
	i, err := strconv.Atoi(number)
	switch {
	case err != nil || last != ']':
		return list, errors.New("the index in brackets is not a number")
	case i < 0 || i > maxIndex:
		return list, fmt.Errorf("an index must be from 0 to %d", maxIndex)
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

func (s *setter) afterIndex(old any, depth int) (any, error) {
	if rest := string(s.in[s.at:]); rest == "" || rest == `\` {
		return nil, errors.New("an index in brackets has no value")
	}
	switch s.next() {
	case '=':
		return s.value()
	case '[':
		nested, _ := old.([]any)
		return s.item(nested, depth+1)
	case '.':
		return s.inner(old, "an index", depth)
	}
	return nil, errors.New("an index must be followed by =, [ or a dot")
}

// value reads a value, up to a comma: {a,b} is a list.
func (s *setter) value() (any, error) {
	if s.done() || s.in[s.at] != '{' {
		text, _ := s.until(",")
		return s.typed(text), nil
	}
	s.at++
	list := []any{}
	for last := ','; last != '}'; {
		var text string
		if text, last = s.until(",}"); last == 0 {
			return nil, errors.New("a list that starts with { must end with }")
		}
		if last != '}' || text != "" || len(list) > 0 {
			list = append(list, s.typed(text))
		}
	}
	if !s.done() && s.in[s.at] == ',' {
		s.at++
	}
	return list, nil
}

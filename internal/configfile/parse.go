package configfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

const (
	// MaxSize bounds a file.
	MaxSize = 1 << 18
	// maxMarks bounds the values of a file: see [textfile.CheckYAMLSize].
	maxMarks = 1 << 15
	// maxItems bounds a list or a mapping: with an alias, a few bytes may name one.
	maxItems    = 1000
	maxProblems = 100
)

// Parse reads a file. If there are problems, it returns what it could read, unless the file is not
// a YAML mapping. Problems never hold values, which may be secrets.
func Parse(data []byte, g Grammar) (*File, []Problem) {
	r := &reader{
		file:     &File{common: map[string]Setting{}, sections: map[string]map[string]Setting{}, grammar: g},
		patterns: map[string]*regexp.Regexp{},
	}
	if len(data) > MaxSize {
		return r.file, []Problem{{Text: fmt.Sprintf("the file has more than the maximum of %d bytes", MaxSize)}}
	}
	data, err := textfile.Decode(data)
	if err != nil {
		return r.file, []Problem{{Text: err.Error()}}
	}
	top, problem := document(data)
	if problem != nil {
		return r.file, []Problem{*problem}
	}
	r.mapping(top, r.top)
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Text, b.Text))
	})
	return r.file, slices.Compact(r.problems)
}

func document(data []byte) (*yaml.Node, *Problem) {
	if err := textfile.CheckYAMLSize(data, maxMarks); err != nil {
		return nil, &Problem{Text: err.Error()}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	if err := decoder.Decode(&first); errors.Is(err, io.EOF) {
		return nil, &Problem{Text: "the file is empty"}
	} else if err != nil {
		return nil, syntax(data, err)
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, &Problem{Line: second.Line, Column: second.Column, Text: "a second YAML document starts here, but the file can have only one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntax(data, err)
	}
	if len(first.Content) != 1 {
		return nil, &Problem{Text: "the file is empty"}
	}
	top := first.Content[0]
	if top.Kind == yaml.ScalarNode && top.ShortTag() == "!!null" {
		return nil, &Problem{Text: "the file is empty"}
	}
	if top.Kind != yaml.MappingNode {
		return nil, &Problem{Line: top.Line, Column: top.Column, Text: "expected a mapping of keys to values"}
	}
	return top, nil
}

type reader struct {
	file     *File
	problems []Problem
	patterns map[string]*regexp.Regexp
	// failures counts all problems, those beyond the bound too.
	failures int
}

func (r *reader) problem(n *yaml.Node, format string, args ...any) {
	r.failures++
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, Problem{Line: n.Line, Column: n.Column, Text: fmt.Sprintf(format, args...)})
	}
}

// resolved returns what an alias stands for, at its own place.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.AliasNode || n.Alias == nil {
		return n
	}
	target := *n.Alias
	target.Line, target.Column = n.Line, n.Column
	return &target
}

// mapping calls each for the keys of a mapping: texts, each once.
func (r *reader) mapping(n *yaml.Node, each func(name string, key, value *yaml.Node)) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolved(n.Content[i+1])
		switch {
		case i/2 >= maxItems:
			r.problem(key, "a mapping has more than the maximum of %d keys", maxItems)
			return
		case key.Tag == "!!merge":
			r.problem(key, "merge keys (<<) are not supported; settings at the top of the file are for every command")
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			r.problem(key, "expected a string as key")
		case first[key.Value] > 0:
			r.problem(key, "the key %s is already in line %d", quoted(key.Value), first[key.Value])
		default:
			first[key.Value] = key.Line
			each(key.Value, key, value)
		}
	}
}

// top reads the file's top. Some commands have a flag's name: then a mapping is a section, and
// all else a value.
func (r *reader) top(name string, key, value *yaml.Node) {
	g := r.file.grammar
	command, variants := g.command(name), g.variants(name)
	switch {
	case command != nil && (len(variants) == 0 || value.Kind == yaml.MappingNode):
		r.section(command, value)
	case len(variants) > 0:
		r.common(variants, value)
	default:
		known := g.names()
		for _, c := range g.Commands {
			known = append(known, c.Name)
		}
		r.problem(key, "unknown key %s%s", quoted(name), didYouMean(name, known))
	}
}

func (r *reader) common(variants []*Key, value *yaml.Node) {
	for i := len(variants) - 1; i >= 0; i-- {
		if values, ok := r.values(variants[i], value); ok && i == 0 {
			r.file.common[variants[0].Name] = Setting{variants[0].Name, values, value.Line, value.Column}
		}
	}
}

func (r *reader) section(c *Command, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.problem(n, "%s: expected a mapping of settings for the command %s", c.Name, c.Name)
		return
	}
	found := map[string]Setting{}
	r.mapping(n, func(name string, key, value *yaml.Node) {
		k := c.key(name)
		if k == nil {
			r.problem(key, "the command %s has no key %s%s", c.Name, quoted(name), r.elsewhere(c, name))
			return
		}
		if values, ok := r.values(k, value); ok {
			found[name] = Setting{name, values, value.Line, value.Column}
		}
	})
	r.file.sections[c.Name] = found
}

func (r *reader) elsewhere(c *Command, name string) string {
	owners := r.file.grammar.owners(name)
	if len(owners) == 0 {
		return didYouMean(name, c.names())
	}
	verb := "have"
	if len(owners) == 1 {
		verb = "has"
	}
	return fmt.Sprintf(", which %s %s", strings.Join(owners, ", "), verb)
}

func didYouMean(name string, known []string) string {
	if nearest := spelling.Nearest(name, known); nearest != "" && len(name) <= maxName {
		return fmt.Sprintf("; did you mean %s?", nearest)
	}
	return ""
}

const maxName = 60

func quoted(name string) string {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	return strconv.Quote(name)
}

func (r *reader) values(k *Key, n *yaml.Node) (values []string, ok bool) {
	before := r.failures
	switch {
	case n.Kind == yaml.SequenceNode && k.Many:
		if len(n.Content) > maxItems {
			r.problem(n, "%s: a list has more than the maximum of %d items", k.Name, maxItems)
			return nil, false
		}
		for _, item := range n.Content {
			values = append(values, r.value(k, resolved(item)))
		}
	case n.Kind == yaml.MappingNode && k.Many && len(k.Separators) > 0:
		values = r.joined(k, k.Separators, "", n)
	default:
		values = []string{r.value(k, n)}
	}
	return values, r.failures == before
}

func (r *reader) joined(k *Key, joins []string, prefix string, n *yaml.Node) (values []string) {
	if len(joins) == 0 {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
			r.problem(n, "%s: expected a string%s", k.Name, unquoted(n))
			return nil
		}
		return []string{r.suited(k, n, prefix+n.Value)}
	}
	if n.Kind != yaml.MappingNode {
		r.problem(n, "%s: expected a mapping of names to strings", k.Name)
		return nil
	}
	r.mapping(n, func(name string, key, value *yaml.Node) {
		if name == "" || strings.Contains(name, joins[0]) {
			r.problem(key, "%s: expected a name without %s", k.Name, joins[0])
			return
		}
		values = append(values, r.joined(k, joins[1:], prefix+name+joins[0], value)...)
	})
	return values
}

// integer is a number that every version of YAML reads alike.
var integer = lazyregexp.New(`^-?(0|[1-9][0-9]*)$`)

func (r *reader) value(k *Key, n *yaml.Node) string {
	tag := n.ShortTag()
	switch {
	case n.Kind != yaml.ScalarNode:
	case k.Type == Bool && tag == "!!bool":
		return strings.ToLower(n.Value)
	case k.Type == Int && tag == "!!int" && integer.MatchString(n.Value):
		return r.suited(k, n, n.Value)
	case k.Type == Text && tag == "!!bool" && k.NoOptDefault != "":
		if strings.EqualFold(n.Value, "true") {
			return k.NoOptDefault
		}
		return k.Default
	case k.Type == Text && (tag == "!!str" || k.Number && tag == "!!int" && integer.MatchString(n.Value)):
		return r.suited(k, n, n.Value)
	}
	hint := ""
	if k.Type == Text && k.Pattern == "" && len(k.Enum) == 0 {
		hint = unquoted(n)
	}
	r.problem(n, "%s: expected %s%s", k.Name, k.expects(), hint)
	return ""
}

// unquoted is a hint for a text that YAML takes for something else.
func unquoted(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return ""
	}
	return "; put the value in quotes, or YAML reads it as another type"
}

func (k *Key) expects() string {
	var what string
	switch {
	case k.Expects != "":
		what = k.Expects
	case len(k.Enum) > 0:
		what = strings.Join(k.Enum, " or ")
	case k.Type == Bool:
		what = "true or false"
	case k.Type == Int && k.Max != 0:
		what = fmt.Sprintf("a whole number from %d to %d", k.Min, k.Max)
	case k.Type == Int:
		what = "a whole number"
	default:
		what = "a string"
	}
	if k.NoOptDefault != "" {
		what += ", true or false"
	}
	if k.Many {
		what += ", or a list of these"
	}
	return what
}

// suited returns a value of the right type, and says if it does not suit.
func (r *reader) suited(k *Key, n *yaml.Node, value string) string {
	switch {
	case strings.ContainsFunc(value, unicode.IsControl):
		r.problem(n, "%s: expected %s, without line breaks or other control characters", k.Name, k.expects())
	case len(k.Enum) > 0 && !slices.Contains(k.Enum, value), k.Pattern != "" && !r.matches(k.Pattern, value), !k.within(value):
		r.problem(n, "%s: expected %s", k.Name, k.expects())
	case k.Check != nil:
		if err := k.Check(value); err != nil {
			why := ": " + err.Error()
			hasValue := strings.Contains(why, value) || strings.Contains(why, strings.Trim(strconv.Quote(value), `"`))
			if k.Type != Text || k.Expects != "" || hasValue {
				why = ""
			}
			r.problem(n, "%s: expected %s%s", k.Name, k.expects(), why)
		}
	}
	return value
}

func (r *reader) matches(pattern, value string) bool {
	if r.patterns[pattern] == nil {
		r.patterns[pattern] = regexp.MustCompile(pattern)
	}
	return r.patterns[pattern].MatchString(value)
}

func (k *Key) within(value string) bool {
	if k.Type != Int || k.Max == 0 {
		return true
	}
	n, err := strconv.Atoi(value)
	return err == nil && n >= k.Min && n <= k.Max
}

// How the YAML library words its errors.
var (
	errorInLine   = lazyregexp.New(`(?s)^line (\d+): (.*)$`)
	unknownAnchor = lazyregexp.New(`(?s)^yaml: unknown anchor '(.*)' referenced$`)
)

func syntax(data []byte, err error) *Problem {
	why, line := strings.TrimPrefix(textfile.YAMLError(err).Error(), "yaml: "), 0
	if found := errorInLine.FindStringSubmatch(why); found != nil {
		why = found[2]
		// The parser counts lines from 0 in its errors (yaml.v3 v3.0.1, decode.go, parser.fail).
		fromParser := strings.HasPrefix(why, "did not find expected") || why == "found undefined tag handle"
		if line, err = strconv.Atoi(found[1]); err == nil && fromParser {
			line++
		}
	} else if found := unknownAnchor.FindStringSubmatch(err.Error()); found != nil {
		line = lineAt(data, bytes.Index(data, []byte("*"+found[1])))
	} else {
		line = lineAt(data, unreadable(data))
	}
	return &Problem{Line: max(1, min(line, lineAt(data, len(data)-1))), Text: "not valid YAML: " + why}
}

func lineAt(data []byte, at int) int { return 1 + bytes.Count(data[:max(0, at)], []byte("\n")) }

// unreadable returns where the first character is that YAML does not have, or -1.
func unreadable(data []byte) int {
	for i := 0; i < len(data); {
		c, n := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && n == 1 || unicode.IsControl(c) && !strings.ContainsRune("\t\n\r", c) {
			return i
		}
		i += n
	}
	return -1
}

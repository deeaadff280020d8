package deploy

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// object is a mapping under construction, whose keys stay in their order.
type object struct{ node *yaml.Node }

func newObject() object { return object{&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}} }

func (o object) set(key string, value any, comment ...string) object {
	k := scalar(key)
	k.HeadComment = comments(comment)
	o.node.Content = append(o.node.Content, k, nodeOf(value))
	return o
}

func (o object) setUnless(missing bool, key string, value any, comment ...string) object {
	if missing {
		return o
	}
	return o.set(key, value, comment...)
}

func (o object) get(keys ...string) *yaml.Node {
	n := o.node
	for _, key := range keys {
		n = valueOf(n, key)
	}
	return n
}

func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// labels is a mapping of keys and values that alternate.
func labels(pairs ...string) object {
	o := newObject()
	for i := 0; i+1 < len(pairs); i += 2 {
		o.set(pairs[i], pairs[i+1])
	}
	return o
}

func list(values ...any) *yaml.Node {
	var all []*yaml.Node
	for _, v := range values {
		all = append(all, nodeOf(v))
	}
	return nodeOf(all)
}

func commented(value any, comment ...string) *yaml.Node {
	n := nodeOf(value)
	n.HeadComment = comments(comment)
	return n
}

func nodeOf(value any) *yaml.Node {
	switch v := value.(type) {
	case *yaml.Node:
		return v
	case object:
		return v.node
	case []*yaml.Node:
		return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: v}
	case []string:
		n := list()
		for _, s := range v {
			n.Content = append(n.Content, scalar(s))
		}
		return n
	case string:
		return scalar(v)
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(v)}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	default:
		n := new(yaml.Node)
		if err := n.Encode(v); err != nil {
			panic(fmt.Sprintf("deploy: %T is no value: %v", v, err)) // a defect of this package
		}
		return n
	}
}

// plainForm has strings without quotes, unless they are words that Helm's YAML 1.1 takes for
// something else.
var (
	plainForm = lazyregexp.New(`^[A-Za-z./][A-Za-z0-9./:_@-]*[A-Za-z0-9/]$`)
	words     = lazyregexp.New(`^(?i:yes|no|on|off|true|false|null)$`)
)

// scalar is a string that no reader takes for anything else.
func scalar(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if !plainForm.MatchString(s) || words.MatchString(s) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// comments makes a comment of lines, which may come from outside.
func comments(lines []string) string {
	var out []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, "\n") {
			printable := strings.Map(func(r rune) rune {
				if !unicode.IsPrint(r) {
					return '?'
				}
				return r
			}, part)
			out = append(out, strings.TrimSuffix("# "+printable, " "))
		}
	}
	return strings.Join(out, "\n")
}

func quote(n *yaml.Node, which func(string) bool) {
	if n.Kind == yaml.ScalarNode && which(n.Value) {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		quote(c, which)
	}
}

func marshal(documents ...document) ([]byte, error) {
	var buf bytes.Buffer
	for i, d := range documents {
		if i > 0 {
			buf.WriteString("---\n")
		}
		if len(d.comment) > 0 {
			buf.WriteString(comments(d.comment) + "\n")
		}
		enc := yaml.NewEncoder(&buf)
		enc.SetIndent(2)
		if err := enc.Encode(d.body.node); err != nil {
			return nil, fmt.Errorf("writing YAML: %w", err)
		}
	}
	return buf.Bytes(), nil
}

type document struct {
	comment []string
	body    object
}

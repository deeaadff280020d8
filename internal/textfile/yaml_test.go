package textfile

import (
	"fmt"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestCountMarks(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]int{
		"":          0,
		"abc":       0,
		"[":         1,
		"{a, b: c}": 3,
		"- a":       1,
		"-\n":       1,
		"-":         1,
		"-a":        0,
		"-!":        0,
		"-\x7f":     0,
		"-\x80":     1, // may be a break of Unicode's
		"? a":       1,
		"?":         1,
		"a-b ?c":    0,
	} {
		if got := countMarks([]byte(document)); got != want {
			t.Errorf("%q: %d, want %d", document, got, want)
		}
	}
}

// mapping returns a mapping with different keys, and one that stands several times more.
func mapping(keys, repeated int) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Line: 7}
	for i := range keys + repeated {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(max(0, i-repeated))}, &yaml.Node{Kind: yaml.ScalarNode})
	}
	return n
}

func TestCheckYAMLKeys(t *testing.T) {
	t.Parallel()
	several := func(n, keys int, last *yaml.Node) *yaml.Node {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for range n {
			list.Content = append(list.Content, mapping(keys, 0))
		}
		list.Content = append(list.Content, last)
		return &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{list}}
	}
	const tooMany = "yaml: too many keys, or too many duplicate keys"
	for name, tt := range map[string]struct {
		document *yaml.Node
		want     string
	}{
		"keys":                       {mapping(maxKeys, 0), ""},
		"too many keys":              {mapping(maxKeys+1, 0), "yaml: line 7: a mapping has 1001 keys, but the maximum is 1000"},
		"comparisons":                {several(20, 1000, mapping(1, 0)), ""},
		"too many comparisons":       {several(20, 1000, mapping(2, 0)), tooMany},
		"keys that stand twice":      {several(0, 0, mapping(1, maxRepeated)), ""},
		"too many that stand twice":  {several(0, 0, mapping(1, maxRepeated+1)), tooMany},
		"too many in a value of one": {&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Value: "a"}, mapping(1, maxRepeated+1)}}, tooMany},
		"a list of more than keys":   {&yaml.Node{Kind: yaml.SequenceNode, Content: mapping(maxKeys+1, 200).Content}, ""},
	} {
		err := CheckYAMLKeys(tt.document)
		if err == nil && tt.want != "" || err != nil && err.Error() != tt.want {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// FuzzCountMarks checks that a document has no more nodes than its marks allow.
func FuzzCountMarks(f *testing.F) {
	for _, s := range []string{"a: b", "- - - a", "? a\n: b", "{a,b,c}", "[a: b, ? c]", `{"a":b,"c":"d"}`, "!!set {a,b}", "&a [*a]", "- |\n x\n- >\n y", "?\n?\n", "-", "?", "<<: {a: b}",
		"\xff\xfe-\x00 \x00a\x00", "-\u2028-\u0085?\u2029", "--- a\n--- b", "%TAG ! x\n--- !a"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var n yaml.Node
		if yaml.Unmarshal(data, &n) != nil {
			return
		}
		if nodes, marks := countNodes(&n), countMarks(data); nodes > 3*marks+3 {
			t.Errorf("%d nodes, %d marks", nodes, marks)
		}
	})
}

func countNodes(n *yaml.Node) int {
	sum := 1
	for _, c := range n.Content {
		sum += countNodes(c)
	}
	return sum
}

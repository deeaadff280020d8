package agent

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestCountYAMLMarks(t *testing.T) {
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
		if got := CountYAMLMarks([]byte(document)); got != want {
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
	const tooMany = "yaml: too many keys, or too many that stand twice"
	for name, tt := range map[string]struct {
		document *yaml.Node
		want     string
	}{
		"keys":                       {mapping(maxKeys, 0), ""},
		"too many keys":              {mapping(maxKeys+1, 0), "yaml: line 7: a mapping has 1001 keys; at most 1000 are read"},
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

// TestDocumentBounds gives documents of as many bytes and values as are read, and of one more.
func TestDocumentBounds(t *testing.T) {
	t.Parallel()
	// Commas in a comment count, for what counts has to be quick.
	marks := func(n int, document string) []byte {
		return []byte("#" + strings.Repeat(",", n-CountYAMLMarks([]byte(document))) + "\n" + document)
	}
	if _, err := ReadIndex(marks(maxMarks, "entries: []")); err != nil {
		t.Error(err)
	}
	if _, err := ReadIndex(marks(maxMarks+1, "entries: []")); err == nil || err.Error() != "the index may have more than the 524288 values that are read" {
		t.Error(err)
	}
	if _, err := ParseConfig(marks(maxMarks, "a: b")); err != nil {
		t.Error(err)
	}
	if _, err := ParseConfig(marks(maxMarks+1, "a: b")); err == nil || err.Error() != "it may have more than the 524288 values that are read" {
		t.Error(err)
	}
	if _, err := ParseConfig(bytes.Repeat([]byte(","), MaxConfig)); err == nil || !strings.Contains(err.Error(), "values") {
		t.Error(err)
	}
	if _, err := ParseConfig(bytes.Repeat([]byte(","), MaxConfig+1)); err == nil || err.Error() != "it has 4194305 bytes; at most 4194304 are read" {
		t.Error(err)
	}
}

package manifest

import (
	"fmt"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"values":             {"a: b", "[]"},
		"broken values":      {"a: [", "[]"},
		"nothing":            {"# a comment\n---\n", "[]"},
		"several, in order":  {"# first\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: ns}\n", "[Secret a ConfigMap ns/b]"},
		"lists within lists": {"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: SecretList, items: [{apiVersion: v1, kind: Secret, metadata: {name: a}}]}, {apiVersion: x.io/v1, kind: Thing}]", "[Secret a Thing]"},
		"JSON":               {`{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}`, "[Secret a]"},
		"anchors":            {"apiVersion: v1\nkind: Secret\nmetadata: {name: &n a, namespace: *n}", "[Secret a/a]"},
	} {
		if got, err := Read("f.yaml", []byte(test.text)); err != nil || fmt.Sprint(got) != test.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, test := range map[string]struct{ text, want string }{
		"values behind objects": {"apiVersion: v1\nkind: Secret\n---\na: b\n", "separate files"},
		"values twice":          {"a: b\n---\nc: d\n", "separate files"},
		"no apiVersion":         {"kind: HelmRelease\nmetadata: {name: a}\nspec: {}\n", "has no apiVersion"},
		"broken behind objects": {"apiVersion: v1\nkind: Secret\n---\na: [\n", "f.yaml: "},
		"a name that is none":   {"apiVersion: v1\nkind: Secret\nmetadata: {name: 1}\n", "f.yaml: Secret: metadata.name: it must be a text, not a number"},
		"items that are none":   {"apiVersion: v1\nkind: List\nitems: [s3cret]\n", "items[0]: it must be a mapping, not a text"},
		"metadata that is none": {"apiVersion: v1\nkind: Secret\nmetadata: [s3cret]\n", "metadata: it must be a mapping, not a list"},
		"too many":              {strings.Repeat("---\napiVersion: v1\nkind: Secret\n", maxObjects+1), "more than 10000 objects"},
	} {
		_, err := Read("f.yaml", []byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// TestEntries has data as a cluster has it: stringData counts more, and what is no base64
// has no text.
func TestEntries(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"kind: ConfigMap\ndata: {a: x, b: w}\nbinaryData: {c: eA==}":                  "a=x b=w c=x(binary)",
		"kind: Secret\ndata: {a: eA==, b: \"e\\nA==\"}\nstringData: {a: z, d: clear}": "a=z b=x d=clear",
		"kind: Secret\ndata: {a: '%%'}":                                               "a=?",
	} {
		objects, err := Read("f.yaml", []byte("apiVersion: v1\n"+text))
		if err != nil || len(objects) != 1 {
			t.Fatalf("%v, %v", objects, err)
		}
		entries, err := objects[0].Entries()
		var got []string
		for _, e := range entries {
			s := e.Key + "=" + e.Text
			if e.Binary {
				s += "(binary)"
			}
			if e.Err != nil {
				s = e.Key + "=?"
			}
			got = append(got, s)
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

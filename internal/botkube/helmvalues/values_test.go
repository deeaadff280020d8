package helmvalues

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                        "{}",
		"# nothing":               "{}",
		"null":                    "{}",
		"a: yes\nb: 1\nc: [x]":    `{"a":true,"b":1,"c":["x"]}`,
		"a: b\n---\n# a comment":  `{"a":"b"}`,
		"a: b\n---\nnull\n---\n~": `{"a":"b"}`,
		"---\na: b\n":             `{"a":"b"}`,
	} {
		values, err := Parse([]byte(in))
		if got, _ := json.Marshal(values); err != nil || string(got) != want {
			t.Errorf("%q: %s, %v", in, got, err)
		}
	}
	const several = "it has several documents, and some versions of Helm read only the first: remove the lines --- between them"
	for in, want := range map[string]string{
		"a: b\n---\nc: d":                several,
		"---\n---\nc: d":                 several,
		"a: b\n---\n---\n[]":             several,
		"a: b\n---\n!!map {}":            several,
		"- s3cret":                       "it is not a mapping of keys to values",
		"s3cret":                         "it is not a mapping of keys to values",
		"a: [b":                          "yaml: line 1: did not find expected ',' or ']'",
		"[" + strings.Repeat(",", 1<<18): "it is too large: it may have more than the maximum of 262144 values",
	} {
		if _, err := Parse([]byte(in)); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v, want %s", in, err, want)
		}
	}
	if err := textfile.CheckYAMLSize([]byte(strings.Repeat(",", MaxMarks)), MaxMarks); err != nil {
		t.Error(err)
	}
}

func values(t *testing.T, in string) map[string]any {
	t.Helper()
	v, err := Parse([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMergeAndCoalesce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ under, over, merged, coalesced string }{
		{"{}", "{}", "{}", "{}"},
		{"null", "{a: 1}", `{"a":1}`, `{"a":1}`},
		{"{a: 1}", "null", `{"a":1}`, `{"a":1}`},
		{"{a: 1, b: 2}", "{b: 3, c: 4}", `{"a":1,"b":3,"c":4}`, `{"a":1,"b":3,"c":4}`},
		{"{a: {x: 1, z: 1}}", "{a: {z: 2}}", `{"a":{"x":1,"z":2}}`, `{"a":{"x":1,"z":2}}`},
		// Null is a value among values, and removes a default.
		{"{a: 1, b: {c: 1, d: 1}}", "{a: null, b: {c: null}, e: null}", `{"a":null,"b":{"c":null,"d":1},"e":null}`, `{"b":{"d":1},"e":null}`},
		// Of a mapping and something else, what lies over it counts.
		{"{a: {x: 1}, b: 1}", "{a: 2, b: {x: 2}}", `{"a":2,"b":{"x":2}}`, `{"a":2,"b":{"x":2}}`},
		{"{a: [1, 2]}", "{a: [3]}", `{"a":[3]}`, `{"a":[3]}`},
	} {
		under, over := values(t, tt.under), values(t, tt.over)
		if tt.over == "null" {
			over = map[string]any{}
		}
		if got, _ := json.Marshal(Merge(under, over)); string(got) != tt.merged {
			t.Errorf("%s over %s: %s, want %s", tt.over, tt.under, got, tt.merged)
		}
		if got, _ := json.Marshal(Coalesce(under, over)); string(got) != tt.coalesced {
			t.Errorf("%s over the defaults %s: %s, want %s", tt.over, tt.under, got, tt.coalesced)
		}
		if fmt.Sprint(under) != fmt.Sprint(values(t, tt.under)) {
			t.Errorf("%s is changed: %v", tt.under, under)
		}
	}
}

func TestClone(t *testing.T) {
	t.Parallel()
	original := values(t, "{a: {b: [1, {c: 2}]}}")
	copied := Clone(original)
	copied["a"].(map[string]any)["b"].([]any)[1].(map[string]any)["c"] = 3
	if got, _ := json.Marshal(original); string(got) != `{"a":{"b":[1,{"c":2}]}}` {
		t.Errorf("%s", got)
	}
	if got, _ := json.Marshal(copied); string(got) != `{"a":{"b":[1,{"c":3}]}}` {
		t.Errorf("%s", got)
	}
}

func TestIsTrue(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"null": false, "false": false, "true": true, `""`: false, `"false"`: true, "0": false, "1": true, "-0.5": true,
		"{}": false, "{a: b}": true, "[]": false, "[null]": true,
	} {
		if got := IsTrue(values(t, "a: "+in)["a"]); got != want {
			t.Errorf("%s: %t", in, got)
		}
	}
	for value, want := range map[any]bool{int64(0): false, int64(1): true, struct{}{}: true} {
		if got := IsTrue(value); got != want {
			t.Errorf("%T %v: %t", value, value, got)
		}
	}
}

func TestSetBounds(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		fmt.Sprintf("a[%d]=1", maxIndex):                 "",
		fmt.Sprintf("a[%d]=1", maxIndex+1):               fmt.Sprintf("an index must be from 0 to %d", maxIndex),
		"a[-1]=1":                                        fmt.Sprintf("an index must be from 0 to %d", maxIndex),
		strings.Repeat("a.", maxDepth) + "a=1":           "",
		strings.Repeat("a.", maxDepth+1) + "a=1":         fmt.Sprintf("the path has more than %d levels", maxDepth),
		"a" + strings.Repeat("[0]", maxDepth+1) + "=1":   "",
		"a" + strings.Repeat("[0]", maxDepth+2) + "=1":   fmt.Sprintf("the path has more than %d levels", maxDepth),
		"a[0]" + strings.Repeat(".a", maxDepth) + "=1":   "",
		"a[0]" + strings.Repeat(".a", maxDepth+1) + "=1": fmt.Sprintf("the path has more than %d levels", maxDepth),
		"a":     `"the part after a comma" has no value: a comma starts another assignment; write \, for a comma in a value`,
		"a.b":   `"b" has no value: a comma starts another assignment; write \, for a comma in a value`,
		"a=1,":  "",
		"":      "",
		",":     `"the part after a comma" has no value: a comma starts another assignment; write \, for a comma in a value`,
		`a[0]\`: "an index in brackets has no value",
	} {
		err := Set(map[string]any{}, in, false)
		if err == nil && want != "" || err != nil && (want == "" || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%.40s: %v, want %q", in, err, want)
		}
	}
}

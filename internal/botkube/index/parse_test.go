package index

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// TestParseSaysWhatItIsInstead reads documents that people confuse with an index.
func TestParseSaysWhatItIsInstead(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		"":                      "empty",
		" \r\n":                 "empty",
		"null":                  "empty",
		"~\n":                   "empty",
		"# only a comment\n":    "empty",
		"hello":                 "text",
		"2":                     "text",
		"- a\n":                 "YAML without the key entries: a list",
		"a: 1\n":                "YAML without the key entries",
		"{}":                    "JSON without the key entries",
		"apiVersion: v1\n":      "YAML without the key entries",
		`{"a": 1}`:              "JSON without the key entries",
		`[1]`:                   "JSON without the key entries: a list",
		"<!DOCTYPE html><html>": "a web page",
		"\x1f\x8b":              "gzip-compressed data",
		"entries: {botkube: []}\napiVersion: v1\n": "the index of a Helm chart repository",
	} {
		_, err := Parse([]byte(document))
		none, ok := errors.AsType[*NotIndexError](err)
		if !ok || none.What != want || err.Error() != "it is not a plugin index but "+want {
			t.Errorf("%q: %v, want %q", document, err, want)
		}
	}
}

// An index may list nothing, and keys that no agent knows are no reason to refuse it.
func TestParseTakes(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"entries: []\n", "entries:\n", "entries: [null]\n", "apiVersion: v1\nentries: []\n"} {
		if ix, err := Parse([]byte(document)); err != nil || len(ix.Entries) != 0 {
			t.Errorf("%q: %v", document, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const urls = "urls: [{url: u, platform: {os: linux, architecture: amd64}, dependencies: {%s: {url: d}}}]"
	entry := func(name, version, dependency string) string {
		return fmt.Sprintf("entries:\n- {name: '%s', type: executor, version: '%s', "+urls+"}\n", name, version, dependency)
	}
	long := strings.Repeat("a", 130)
	for name, tt := range map[string]struct{ document, want string }{
		"a scalar":                {"entries: 5", "line 1: expected a list, but there is a number"},
		"a mapping":               {"entries: {a: 1}", "line 1: expected a list, but there is a mapping"},
		"no YAML":                 {"a: b: c", "yaml: mapping values are not allowed in this context"},
		"no name, said once":      {entry("", "v1", "d"), `entries[0] ("executor" "" "v1"): name is empty`},
		"no version, said once":   {entry("a", "", "d"), `entries[0] ("executor" "a" ""): version is empty`},
		"a separator in the name": {entry("a/b", "v1", "d"), `entries[0] ("executor" "a/b" "v1"): name "a/b" contains a path separator`},
		"a version that leads up": {entry("a", "..", "d"), `entries[0] ("executor" "a" ".."): version ".." is not a file name`},
		"a dependency that leads up": {entry("a", "v1", "'../d'"),
			`entries[0] ("executor" "a" "v1"): dependency "../d" contains a path separator`},
		"a dependency without a name": {entry("a", "v1", "''"), `entries[0] ("executor" "a" "v1"): a dependency has no name`},
		"a file name that is too long": {entry(long, long, "d"),
			fmt.Sprintf(`entries[0] ("executor" "%.40s" "%.24s"): the file name of plugin "%.40s…" "%.40s…" would have 275 bytes, and the limit is 243`, long, long, long, long)},
		"a name that is too long by itself, said once": {entry(strings.Repeat("a", 244), "v1", "d"),
			fmt.Sprintf(`entries[0] ("executor" "%.40s" "v1"): name "%.32s"… has 244 bytes: too long for a file name, which has at most 243`, strings.Repeat("a", 40), strings.Repeat("a", 32))},
		"a type that is none": {"entries: [{name: a, type: x, version: v1, urls: [{}]}]", `entries[0] ("x" "a" "v1"): type must be executor or source, not "x"`},
	} {
		if _, err := Parse([]byte(tt.document)); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

func TestParseReportsEveryEntry(t *testing.T) {
	t.Parallel()
	_, err := Parse([]byte(`entries:
- {name: a/b, type: executor, version: v1, urls: [{url: u}]}
- {name: c, type: source, version: "", urls: [{url: u}]}
- {name: d, type: source, version: "..", urls: [{url: u}]}
`))
	want := `entries[1] ("source" "c" ""): version is empty
entries[0] ("executor" "a/b" "v1"): name "a/b" contains a path separator
entries[2] ("source" "d" ".."): version ".." is not a file name`
	if err == nil || err.Error() != want {
		t.Errorf("%v, want\n%s", err, want)
	}
}

// TestBounds gives values at each bound and one above.
func TestBounds(t *testing.T) {
	t.Parallel()
	zipped := func(n int) []byte { return append([]byte("\x1f\x8b"), make([]byte, n-2)...) }
	if _, err := Parse(zipped(MaxSize)); err == nil || !strings.Contains(err.Error(), "gzip") {
		t.Errorf("%v", err)
	}
	if _, err := Parse(zipped(MaxSize + 1)); err == nil || err.Error() != "the index is larger than 16777216 bytes" {
		t.Errorf("%v", err)
	}
	helm := func(n int) []byte {
		const document = "apiVersion: v1\nentries: {}\n"
		return []byte(document + strings.Repeat("\n", n-len(document)))
	}
	if _, err := Parse(helm(maxToldApart)); err == nil || !strings.Contains(err.Error(), "Helm") {
		t.Errorf("%v", err)
	}
	if _, err := Parse(helm(maxToldApart + 1)); err == nil || strings.Contains(err.Error(), "Helm") {
		t.Errorf("%v", err)
	}

	entries := func(n int) *agent.Index { return &agent.Index{Entries: make([]agent.Entry, n)} }
	withURLs := func(n, dependencies int) *agent.Index {
		e := agent.Entry{Name: "a", Type: agent.Source, Version: "v1", URLs: make([]agent.EntryURL, n)}
		for i := range dependencies {
			u := &e.URLs[i%n]
			if u.Dependencies == nil {
				u.Dependencies = map[string]agent.EntryDependency{}
			}
			u.Dependencies[fmt.Sprint(i)] = agent.EntryDependency{}
		}
		return &agent.Index{Entries: []agent.Entry{{}, e}}
	}
	for _, tt := range []struct {
		ix   *agent.Index
		want string
	}{
		{entries(maxEntries), ""},
		{entries(maxEntries + 1), "the index has 10001 entries, and the limit is 10000"},
		{withURLs(maxPerEntry, maxPerEntry), ""},
		{withURLs(maxPerEntry+1, 0), `entries[1] ("source" "a" "v1"): it has 1001 urls with 0 dependencies, and the limit is 1000 of each`},
		{withURLs(2, maxPerEntry+1), `entries[1] ("source" "a" "v1"): it has 2 urls with 1001 dependencies, and the limit is 1000 of each`},
	} {
		if err := checkBounds(tt.ix); err == nil && tt.want != "" || err != nil && err.Error() != tt.want {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	if _, err := Parse([]byte("entries: [" + strings.Repeat("{},", maxEntries+1) + "]")); err == nil || !strings.HasPrefix(err.Error(), "the index has 10001 entries") {
		t.Errorf("%.100v", err)
	}
}

// TestBoundOfAliases unfolds an index to as many values as are read, and to more.
func TestBoundOfAliases(t *testing.T) {
	t.Parallel()
	// Each level has the one before ten times.
	document := "entries: []\na0: &a0 x\n"
	for i := 1; i <= 6; i++ {
		document += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	if _, err := Parse([]byte(document)); err == nil || err.Error() != "the index expands to more than a million values" {
		t.Errorf("%v", err)
	}
	ix := parseText(t, "a: &a x\nb: [*a, *a]\nentries: []\n")
	for _, tt := range []struct {
		budget int
		fits   bool
	}{{9, false}, {10, true}, {11, true}} {
		// A document, a mapping, its three keys, x, two lists, and x twice in one of them.
		if err := expand(ix.document, &tt.budget); (err == nil) != tt.fits {
			t.Errorf("%d left: %v", tt.budget, err)
		}
	}
}

func parseText(t testing.TB, document string) *Index {
	t.Helper()
	ix, err := Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return ix
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	ix := parseText(t, `entries:
- {name: a, type: source, version: v1, urls: [{url: u}], jsonSchema: {refURL: schemas/a.json}}
- {name: b, type: source, version: v1, urls: [{url: u}], jsonSchema: {value: '{}', refURL: unused.json}}
- {name: c, type: source, version: v1, urls: [{url: u}], jsonSchema: {refURL: "https://u:s3cret@f.com/c.json"}, externalRequest: {payload: {jsonSchema: {refURL: schemas/a.json}}}}
- {name: left-out, type: source, version: v1, urls: [{url: u}], jsonSchema: {refURL: d.json}}
- {name: bad, type: source, version: v1, urls: [{url: u}], jsonSchema: {refURL: "https://e.com/%zz"}}
`)
	keep := func(names ...string) func(*agent.Entry) bool {
		return func(e *agent.Entry) bool { return slices.Contains(names, e.Name) }
	}
	found, err := ix.Schemas("https://e.com/dir/index.yaml", keep("a", "b", "c"))
	got := slices.Sorted(maps.Keys(found))
	if want := []string{"https://e.com/dir/schemas/a.json", "https://f.com/c.json"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if _, err := ix.Schemas("https://e.com/dir/index.yaml", keep("bad")); err == nil {
		t.Error("a schema without an address is taken")
	}
	if _, err := ix.Schemas("https://e.com/%zz", keep("a")); err == nil {
		t.Error("an index without an address is taken")
	}
}

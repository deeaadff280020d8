package configfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/test/schematest"
)

// testGrammar has keys of every kind, a command that is called as a key is, and a
// key of which two commands do not take the same.
func testGrammar() Grammar {
	everywhere := []Key{
		{Name: "format", Default: "text", Constraints: Constraints{Enum: []string{"text", "json"}}},
		{Name: "store"},
		{Name: "quiet", Type: Bool, Default: "false"},
	}
	duration := func(s string) error { _, err := time.ParseDuration(s); return err }
	plugin := Key{Name: "plugin", Many: true}
	plain := Key{Name: "mode", Constraints: Constraints{Enum: []string{"a", "b"}}}
	wide := Key{Name: "mode", Constraints: Constraints{Enum: []string{"b", "c"}}}
	return Grammar{Commands: []Command{
		{Name: "list", Summary: "Show", Keys: append([]Key{plugin, wide}, everywhere...)},
		{Name: "lock", Summary: "Pin", Keys: append([]Key{plugin, plain, {Name: "lock"}}, everywhere...)},
		{Name: "pull", Summary: "Mirror", Keys: append([]Key{
			plugin, plain,
			{Name: "lock"},
			{Name: "parallel", Type: Int, Default: "4", Constraints: Constraints{Min: 1, Max: 64}},
			{Name: "count", Type: Int},
			{Name: "stall", Default: "30s", Check: duration, Constraints: Constraints{Expects: "a duration", Pattern: `^([0-9]+(s|m))+$`}},
			{Name: "rate", Check: func(string) error { return errors.New("it is too slow") }, Constraints: Constraints{Number: true}},
			{Name: "leaky", Check: func(s string) error { return fmt.Errorf("%q is bad", s) }},
			{Name: "image", NoOptDefault: "default", Default: ""},
			{Name: "repository", Many: true, Constraints: Constraints{Pattern: `^[^=]+=.+$`, Separators: []string{"="}}},
			{Name: "header", Many: true, Constraints: Constraints{Separators: []string{":", "="}}},
		}, everywhere...)},
	}}
}

// said writes settings as they would stand on a command line.
func said(settings []Setting) string {
	var all []string
	for _, s := range settings {
		for _, v := range s.Values {
			all = append(all, s.Name+"="+v)
		}
		if len(s.Values) == 0 {
			all = append(all, s.Name+" none")
		}
	}
	return strings.Join(all, " ")
}

func TestSettings(t *testing.T) {
	for name, tt := range map[string]struct{ file, command, want string }{
		"what stands at the top":             {"store: x\nquiet: true\nparallel: 8\n", "pull", "parallel=8 quiet=true store=x"},
		"what another command has":           {"store: x\nparallel: 8\n", "list", "store=x"},
		"the section wins":                   {"store: x\npull: {store: y}\n", "pull", "store=y"},
		"whatever the order":                 {"pull: {store: y}\nstore: x\n", "pull", "store=y"},
		"the section of another command":     {"store: x\npull: {store: y}\n", "list", "store=x"},
		"a list in the section replaces":     {"plugin: [a, b]\npull: {plugin: c}\n", "pull", "plugin=c"},
		"an empty list replaces":             {"plugin: [a, b]\npull: {plugin: []}\n", "pull", "plugin none"},
		"one value in the place of a list":   {"plugin: a\n", "pull", "plugin=a"},
		"a value of a key like a command":    {"lock: file\n", "pull", "lock=file"},
		"a section of a key like a command":  {"lock: {lock: file}\n", "lock", "lock=file"},
		"which is not for others":            {"lock: {lock: file}\n", "pull", ""},
		"an anchor":                          {"list: {plugin: &p [a, b]}\npull: {plugin: *p}\n", "pull", "plugin=a plugin=b"},
		"an item that is an alias":           {"store: &s x\nplugin: [*s]\n", "pull", "plugin=x store=x"},
		"false":                              {"quiet: False\n", "pull", "quiet=false"},
		"true for a flag without a value":    {"image: true\n", "pull", "image=default"},
		"false for it":                       {"image: false\n", "pull", "image="},
		"a text for it":                      {"image: x\n", "pull", "image=x"},
		"a number in quotes":                 {"store: '1.10'\n", "pull", "store=1.10"},
		"a mapping":                          {"repository: {b: x, a: 'y=z'}\n", "pull", "repository=b=x repository=a=y=z"},
		"a list in place of a mapping":       {"repository: [b=x]\n", "pull", "repository=b=x"},
		"a mapping of mappings":              {"header: {a: {K: 'v:=', L: w}}\n", "pull", "header=a:K=v:= header=a:L=w"},
		"a mapping of no names":              {"repository: {}\n", "pull", "repository none"},
		"a value that suits all variants":    {"mode: b\n", "list", "mode=b"},
		"a section need suit only its own":   {"pull: {mode: a}\n", "pull", "mode=a"},
		"a duration":                         {"stall: 1m30s\n", "pull", "stall=1m30s"},
		"quoted, folded and with a comment":  {"# c\n---\nstore: >-\n  a\n  b\n", "pull", "store=a b"},
		"JSON":                               {`{"store": "x", "pull": {"parallel": 3}}`, "pull", "parallel=3 store=x"},
		"a byte order mark":                  {"\ufeffstore: x\n", "pull", "store=x"},
		"a section of nothing":               {"store: x\npull: {}\n", "pull", "store=x"},
		"an integer of no bounds":            {"count: -12\n", "pull", "count=-12"},
		"a command that takes nothing of it": {"parallel: 3\n", "none", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, problems := Parse([]byte(tt.file), testGrammar())
			if len(problems) > 0 {
				t.Fatalf("%+v", problems)
			}
			if got := said(f.Settings(tt.command)); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// wrong are files with what must be said of each, "line:column: text" or
// "line: text", of which the text is a part.
var wrong = map[string]struct {
	file string
	want []string
}{
	"nothing":                         {"", []string{"0: the file is empty"}},
	"comments only":                   {"# x\n", []string{"0: the file is empty"}},
	"a document of nothing":           {"---\n", []string{"0: the file is empty"}},
	"a text":                          {"x\n", []string{"1:1: expected a mapping"}},
	"a list":                          {"- store: x\n", []string{"1:1: expected a mapping"}},
	"an unknown key":                  {"store: x\nplugni: y\n", []string{`2:1: unknown key "plugni"; did you mean plugin?`}},
	"a key as others write it":        {"Repository_: y\n", []string{`1:1: unknown key "Repository_"; did you mean repository?`}},
	"nothing like it":                 {"targets-of-all: y\n", []string{`1:1: unknown key "targets-of-all"`}},
	"a command that is not":           {"pul: {store: x}\n", []string{`1:1: unknown key "pul"; did you mean pull?`}},
	"an unknown key of a section":     {"pull:\n  plugni: y\n", []string{`2:3: the command pull has no key "plugni"; did you mean plugin?`}},
	"a key of another command":        {"list:\n  parallel: 3\n", []string{`2:3: the command list has no key "parallel", which pull has`}},
	"a key of other commands":         {"list:\n  lock: 3\n", []string{`2:3: the command list has no key "lock", which lock, pull have`}},
	"a section in a section":          {"pull:\n  list: {}\n", []string{`2:3: the command pull has no key "list"`}},
	"a key twice":                     {"store: x\nquiet: true\nstore: y\n", []string{`3:1: the key "store" is already in line 1`}},
	"a key twice in a section":        {"pull:\n  store: x\n  store: x\n", []string{`3:3: the key "store" is already in line 2`}},
	"a name twice":                    {"repository:\n  a: x\n  a: y\n", []string{`3:3: the key "a" is already in line 2`}},
	"a section twice":                 {"pull: {}\npull: {}\n", []string{`2:1: the key "pull" is already in line 1`}},
	"a section that is a text":        {"pull: x\n", []string{"1:7: pull: expected a mapping of settings for the command pull"}},
	"a section of nothing":            {"pull:\n", []string{"1:6: pull: expected a mapping"}},
	"a value of nothing":              {"store:\n", []string{"1:7: store: expected a string"}},
	"a list for one":                  {"store: [x]\n", []string{"1:8: store: expected a string"}},
	"a mapping for one":               {"store: {a: x}\n", []string{"1:8: store: expected a string"}},
	"a mapping for a list":            {"plugin: {a: x}\n", []string{"1:9: plugin: expected a string, or a list of these"}},
	"a list in a list":                {"plugin: [[x]]\n", []string{"1:10: plugin: expected a string"}},
	"a number for a text":             {"store: 1.10\n", []string{"1:8: store: expected a string; put the value in quotes"}},
	"a date for a text":               {"store: 2001-01-01\n", []string{"1:8: store: expected a string; put the value in quotes"}},
	"a bool for a text":               {"plugin: [true]\n", []string{"1:10: plugin: expected a string, or a list of these; put the value in quotes"}},
	"another tag":                     {"store: !!binary eA==\n", []string{"1:8: store: expected a string"}},
	"a tag of one's own":              {"store: !secret x\n", []string{"1:8: store: expected a string"}},
	"yes":                             {"quiet: yes\n", []string{"1:8: quiet: expected true or false"}},
	"a bool in quotes":                {"quiet: 'true'\n", []string{"1:8: quiet: expected true or false"}},
	"a text for a number":             {"parallel: '4'\n", []string{"1:11: parallel: expected a whole number from 1 to 64"}},
	"a fraction":                      {"parallel: 4.5\n", []string{"1:11: parallel: expected a whole number"}},
	"another base":                    {"parallel: 0x10\n", []string{"1:11: parallel: expected a whole number"}},
	"what is octal to some":           {"parallel: 010\n", []string{"1:11: parallel: expected a whole number"}},
	"too few":                         {"parallel: 0\n", []string{"1:11: parallel: expected a whole number from 1 to 64"}},
	"too many":                        {"parallel: 65\n", []string{"1:11: parallel: expected a whole number from 1 to 64"}},
	"far too many":                    {"parallel: 99999999999999999999999\n", []string{"1:11: parallel: expected a whole number from 1 to 64"}},
	"none of an enumeration":          {"format: yaml\n", []string{"1:9: format: expected text or json"}},
	"no duration":                     {"stall: 30\n", []string{"1:8: stall: expected a duration"}},
	"no pattern":                      {"repository: [a]\n", []string{"1:14: repository: expected a string"}},
	"no URL in a mapping":             {"repository: {a: ''}\n", []string{"1:17: repository: expected a string"}},
	"a number in a mapping":           {"repository: {a: 5}\n", []string{"1:17: repository: expected a string; put the value in quotes"}},
	"a name that is cut":              {"repository: {a=b: c}\n", []string{"1:14: repository: expected a name without ="}},
	"no name":                         {"repository: {'': c}\n", []string{"1:14: repository: expected a name without ="}},
	"a text for a mapping":            {"header: {a: b}\n", []string{"1:13: header: expected a mapping of names to strings"}},
	"a check":                         {"rate: 5\n", []string{"1:7: rate: expected a string: it is too slow"}},
	"a line break":                    {"store: |\n  x\n", []string{"1:8: store: expected a string, without line breaks"}},
	"a terminal's control":            {"store: \"\\e[31m\"\n", []string{"1:8: store: expected a string, without line breaks"}},
	"what does not suit all variants": {"mode: a\n", []string{"1:7: mode: expected b or c"}},
	"what suits no variant":           {"mode: d\n", []string{"1:7: mode: expected a or b", "1:7: mode: expected b or c"}},
	"a merge key":                     {"list: &l {store: x}\npull:\n  <<: *l\n", []string{"3:3: merge keys (<<) are not supported"}},
	"a key that is none":              {"? [a]\n: b\n", []string{"1:3: expected a string as key"}},
	"a key that is an alias":          {"store: &a x\n*a : b\n", []string{"2:1: expected a string as key"}},
	"a key that is a number":          {"1: b\n", []string{"1:1: expected a string as key"}},
	"a name that is a bool":           {"repository: {true: b}\n", []string{"1:14: expected a string as key"}},
	"an anchor in itself":             {"pull: &p\n  header: {a: *p}\n", []string{"2:11: header: expected a string"}},
	"two documents":                   {"store: x\n---\nstore: y\n", []string{"2:1: a second YAML document starts here"}},
	"the second is no YAML":           {"store: x\n---\na: [\n", []string{"3: not valid YAML"}},
	"a bracket that is open":          {"store: x\nplugin: [a\nquiet: true\n", []string{"2: not valid YAML: did not find expected ',' or ']'"}},
	"too far in":                      {"store: x\n  quiet: true\n", []string{"2: not valid YAML: mapping values are not allowed"}},
	"a tabulator":                     {"pull:\n\tquiet: true\n", []string{"2: not valid YAML: found "}},
	"no key":                          {"store: x\nquiet\nplugin: y\n", []string{"2: not valid YAML: could not find expected ':'"}},
	"an end that is missing":          {"store: 'x\n", []string{"1: not valid YAML: found unexpected end of stream"}},
	"no text":                         {"store: x\nquiet: \x01\n", []string{"2: not valid YAML: control characters are not allowed"}},
	"no UTF-8":                        {"store: x\n\nquiet: \xff\n", []string{"3: not valid YAML: "}},
	"no anchor":                       {"store: x\nplugin: *nowhere\n", []string{"2: not valid YAML: an alias has no anchor"}},
	"all of it": {"storr: x\nformat: yaml\npull:\n  parallel: many\n  against: x\nplugin: [1, a, 2]\n", []string{
		`1:1: unknown key "storr"; did you mean store?`,
		"2:9: format: expected text or json",
		"4:13: parallel: expected a whole number",
		`5:3: the command pull has no key "against"`,
		"6:10: plugin: expected a string", "6:16: plugin: expected a string",
	}},
}

func TestProblems(t *testing.T) {
	for name, tt := range wrong {
		t.Run(name, func(t *testing.T) {
			_, problems := Parse([]byte(tt.file), testGrammar())
			var got []string
			for _, p := range problems {
				got = append(got, strings.TrimPrefix(p.In(""), ":"))
				if p.Line == 0 {
					got[len(got)-1] = "0" + p.In("")
				}
			}
			if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("%q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestGoodPartsOfABadFile holds what the form of messages depends on.
func TestGoodPartsOfABadFile(t *testing.T) {
	f, problems := Parse([]byte("format: json\nwrong: x\nparallel: 0\npull: {quiet: true, lock: 5}\n"), testGrammar())
	if got := said(f.Settings("pull")); got != "format=json quiet=true" || len(problems) != 3 {
		t.Errorf("%q, %+v", got, problems)
	}
}

func TestNoValueIsRepeated(t *testing.T) {
	const secret = "s3cret"
	for _, file := range []string{
		"store: [s3cret]", "quiet: s3cret", "parallel: s3cret", "format: s3cret", "stall: s3cret", "leaky: s3cret", "repository: s3cret",
		"repository: [s3cret]", "header: {a: {b: [s3cret]}}", "header: {a: s3cret}", "header: {a: {b: !x s3cret}}", "header: {a: {b: *s3cret}}", "header: {a: {b: 's3cret\n\n'}}",
		"header: [a: s3cret]", "store: !s3cret x", "store: !s3cret!s3cret x", "s3", "header:\n  a:\n  - b: s3cret\n c", "header: {a: {b: \"s3cret\\q\"}}", "pull: s3cret", "- s3cret", "header: {a: {b: s3cret\x01}}", "header: {a: {b: @s3cret}}",
		"header: {a: {b: %s3cret}}",
	} {
		_, problems := Parse([]byte(file), testGrammar())
		if len(problems) == 0 {
			t.Errorf("%q is taken", file)
		}
		for _, p := range problems {
			if strings.Contains(p.In("x"), secret) {
				t.Errorf("of %q: %s", file, p.In("x"))
			}
		}
	}
}

func TestBounds(t *testing.T) {
	many := func(n int, format string) string {
		var out strings.Builder
		for i := range n {
			fmt.Fprintf(&out, format, i)
		}
		return out.String()
	}
	for name, tt := range map[string]struct{ file, want string }{
		"bytes":    {"# " + strings.Repeat("x", MaxSize), "more than the maximum of 262144 bytes"},
		"values":   {"plugin: [" + strings.Repeat("a,", maxMarks) + "]", "more than the maximum of 32768 values"},
		"items":    {"plugin: [" + strings.Repeat("a,", maxItems+1) + "]", "more than the maximum of 1000 items"},
		"keys":     {"repository:\n" + many(maxItems+1, " x%d: y\n"), "more than the maximum of 1000 keys"},
		"problems": {many(500, "wrong%d: y\n"), "unknown key"},
		"aliases":  {"a: &a [x,x,x,x,x,x,x,x,x]\n" + many(1, "b%d: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n") + "plugin: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n", "unknown key"},
		"a depth":  {"plugin: " + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "not valid YAML: "},
		"a long":   {strings.Repeat("k", 1000) + ": x", "kkk…\""},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := Parse([]byte(tt.file), testGrammar())
			if len(problems) == 0 || len(problems) > maxProblems || !strings.Contains(problems[0].Text, tt.want) {
				t.Errorf("%d problems, want %q in the first: %.300s", len(problems), tt.want, fmt.Sprint(problems))
			}
			for _, p := range problems {
				if len(p.Text) > 600 {
					t.Errorf("a problem is told in %d bytes", len(p.Text))
				}
			}
		})
	}
}

// compiled is the schema of a grammar, as a validator has it.
func compiled(t testing.TB, g Grammar) *jsonschema.Schema {
	t.Helper()
	data, err := Schema("test", g)
	if err != nil {
		t.Fatal(err)
	}
	return schematest.Compile(t, data)
}

// beyond are problems of [wrong] that a schema cannot see.
var beyond = []string{
	"another tag", "a tag of one's own", "a merge key", "a check", "a line break", "a terminal's control", "no URL in a mapping", "another base", "what is octal to some", "two documents", "the second is no YAML",
}

// TestSchemaAgrees holds that what the schema refuses is refused, and that it
// refuses what it can.
func TestSchemaAgrees(t *testing.T) {
	schema := compiled(t, testGrammar())
	for name, tt := range wrong {
		var value any
		if err := yaml.Unmarshal([]byte(tt.file), &value); err != nil {
			continue // an editor says so without a schema
		}
		if err := schema.Validate(value); (err == nil) != slices.Contains(beyond, name) {
			t.Errorf("%s: the schema says: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range wrong {
		f.Add([]byte(tt.file))
	}
	for _, s := range []string{
		"store: x\nquiet: true\nparallel: 8\nlock: {lock: x}\n", "header: {a: {b: c}}\nrepository: {a: b}\nplugin: &p [a]\npull: {plugin: *p, image: false, stall: 1m}\n",
	} {
		f.Add([]byte(s))
	}
	g := testGrammar()
	schema := compiled(f, g)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, problems := Parse(data, g)
		text := string(data)
		lines := 1
		for _, br := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
			lines += strings.Count(text, br)
		}
		utf16 := strings.HasPrefix(text, "\xfe\xff") || strings.HasPrefix(text, "\xff\xfe")
		for _, p := range problems {
			if p.Line < 0 || p.Line > lines && !utf16 {
				t.Errorf("line %d of %d: %s", p.Line, lines, p.Text)
			}
		}
		if len(problems) > 0 {
			return
		}
		again, _ := Parse(data, g)
		for _, c := range g.Commands {
			if !reflect.DeepEqual(file.Settings(c.Name), again.Settings(c.Name)) {
				t.Error("another reading says something else")
			}
		}
		var value any
		if err := yaml.Unmarshal(data, &value); err != nil {
			t.Fatalf("it is taken, but: %v", err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("it is taken, but: %v", err)
		}
	})
}

// TestSchemaOfWhatCommandsSayDifferently looks at a key at the top.
func TestSchemaOfWhatCommandsSayDifferently(t *testing.T) {
	key := func(name, usage, standard string) Key { return Key{Name: name, Usage: usage, Default: standard} }
	data, err := Schema("test", Grammar{Commands: []Command{
		{Name: "a", Keys: []Key{key("mount", "where", "/x"), key("store", "dir", "s"), key("plugin", "take", "p")}},
		{Name: "b", Keys: []Key{key("mount", "where", ""), key("store", "dir", "s"), key("plugin", "show", "p")}},
		{Name: "c", Keys: []Key{key("store", "dir", "s"), key("plugin", "take", "p")}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct{ Default, Description string }
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct{ Default, Description string }{
		"mount":  {"", "a, b: where"},
		"store":  {"s", "dir"},
		"plugin": {"p", "a, c: take\nb: show"},
	} {
		if got := schema.Properties[name]; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// TestVariants holds that keys are told apart by all that decides which values suit
// them, and by nothing else.
func TestVariants(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*Key)
		want   int
	}{
		"usage":      {func(k *Key) { k.Usage = "x" }, 1},
		"default":    {func(k *Key) { k.Default = "x" }, 1},
		"type":       {func(k *Key) { k.Type = Int }, 2},
		"many":       {func(k *Key) { k.Many = true }, 2},
		"no value":   {func(k *Key) { k.NoOptDefault = "x" }, 2},
		"enum":       {func(k *Key) { k.Enum = []string{"x"} }, 2},
		"pattern":    {func(k *Key) { k.Pattern = "x" }, 2},
		"minimum":    {func(k *Key) { k.Min = 1 }, 2},
		"maximum":    {func(k *Key) { k.Max = 1 }, 2},
		"number":     {func(k *Key) { k.Number = true }, 2},
		"separators": {func(k *Key) { k.Separators = []string{"="} }, 2},
	} {
		other := Key{Name: "k"}
		tt.change(&other)
		g := Grammar{Commands: []Command{{Name: "a", Keys: []Key{{Name: "k"}}}, {Name: "b", Keys: []Key{other}}}}
		if got := len(g.variants("k")); got != tt.want {
			t.Errorf("%s: %d variants, want %d", name, got, tt.want)
		}
	}
}

// TestWithinBounds holds that what is just within a bound is taken.
func TestWithinBounds(t *testing.T) {
	t.Parallel()
	keys := func(n int) string {
		var out strings.Builder
		for i := range n {
			fmt.Fprintf(&out, " x%d: y\n", i)
		}
		return out.String()
	}
	for name, file := range map[string]string{
		"bytes":   "store: x\n#" + strings.Repeat("x", MaxSize-len("store: x\n#")),
		"values":  "store: x #" + strings.Repeat(",", maxMarks-1),
		"items":   "plugin: [" + strings.Repeat("a,", maxItems) + "]",
		"keys":    "repository:\n" + keys(maxItems),
		"minimum": "parallel: 1",
		"maximum": "parallel: 64",
	} {
		if _, problems := Parse([]byte(file), testGrammar()); len(problems) > 0 {
			t.Errorf("%s: %.300s", name, fmt.Sprint(problems))
		}
	}
	long := strings.Repeat("k", maxName)
	g := Grammar{Commands: []Command{{Name: "pull", Keys: []Key{{Name: long}}}}}
	typed := long[1:] + "x"
	_, problems := Parse([]byte(typed+": x"), g)
	if want := fmt.Sprintf("unknown key %q; did you mean %s?", typed, long); len(problems) != 1 || problems[0].Text != want {
		t.Errorf("%+v, want %s", problems, want)
	}
}

// TestSchemaOfKeys looks at the forms of values, and at defaults.
func TestSchemaOfKeys(t *testing.T) {
	t.Parallel()
	pair := Constraints{Separators: []string{"="}}
	data, err := Schema("test", Grammar{Commands: []Command{{Name: "a", Keys: []Key{
		{Name: "plain"}, {Name: "text", Default: "x"}, {Name: "on", Type: Bool, Default: "true"}, {Name: "off", Type: Bool, Default: "false"},
		{Name: "number", Type: Int, Default: "4"}, {Name: "list", Many: true, Default: "x"}, {Name: "pairs", Many: true, Constraints: pair},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	type properties = map[string]map[string]any
	var schema struct{ Properties properties }
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	text := map[string]any{"type": "string"}
	list := map[string]any{"type": "array", "items": text, "maxItems": 1000.0}
	pairs := map[string]any{"type": "object", "propertyNames": map[string]any{"pattern": "^[^=]+$"}, "additionalProperties": text, "maxProperties": 1000.0}
	want := properties{
		"plain": {"type": "string"}, "text": {"type": "string", "default": "x"}, "on": {"type": "boolean", "default": true}, "off": {"type": "boolean", "default": false},
		"number": {"type": "integer", "default": 4.0}, "list": {"anyOf": []any{text, list}}, "pairs": {"anyOf": []any{text, list, pairs}},
	}
	section, _ := schema.Properties["a"]["properties"].(map[string]any)
	delete(schema.Properties, "a")
	for _, k := range want {
		k["description"] = ""
	}
	for name, got := range schema.Properties {
		if !reflect.DeepEqual(got, want[name]) || !reflect.DeepEqual(section[name], any(want[name])) {
			t.Errorf("%s: at the top %v, in the section %v, want %v", name, got, section[name], want[name])
		}
	}
	if len(schema.Properties) != len(want) || len(section) != len(want) {
		t.Errorf("at the top %d keys, in the section %d, want %d", len(schema.Properties), len(section), len(want))
	}
}

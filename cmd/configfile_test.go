package cmd

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/configfile"
	"github.com/botkube-mirror/botkube-mirror/internal/test/schematest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// bareEnvironment returns an environment without variables.
func bareEnvironment() *Environment {
	return &Environment{Getenv: func(string) string { return "" }}
}

func testGrammar() configfile.Grammar { return (&global{env: bareEnvironment()}).grammar() }

const schemaFile = "../docs/reference/botkube-mirror.schema.json"

// TestSchema checks that the schema in docs is generated from the current flags.
func TestSchema(t *testing.T) {
	got, err := configfile.Schema("Configuration file of botkube-mirror", testGrammar())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not what the flags make; run: go test -run='^TestSchema$' ./cmd -update", schemaFile)
	}
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return schematest.Compile(t, data)
}

// TestSchemaAndProgramAgree checks the examples, correct files and wrong files with the schema and
// with the program.
func TestSchemaAndProgramAgree(t *testing.T) {
	schema, grammar := compiledSchema(t), testGrammar()
	example, err := os.ReadFile("../docs/reference/botkube-mirror.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	good := []string{
		string(example), excerpt(t, "reference/configuration.md"), excerpt(t, "how-to/company-proxy.md"),
		"platform: all", "platform: 'linux/amd64, linux/arm64'", "platform: [linux/amd64, all]", "plugin: a/b@v1.0.0+x", "exclude: [a/b, c/d]",
		"repository: {a: 'https://example.com/x?y=z'}", "repository: [a=x]", "repository: {}", "retries: 0", "parallel: 64", "stall-timeout: 1m30s",
		"max-rate: 500KB", "max-rate: 1000", "max-rate: 1.5 MB", "max-rate: 2mib/s", "max-rate: 2GiB", "max-size: 2GiB", "max-size: 5000", "version: latest", "version: {format: json}", "lock: x.json", "lock: {platform: all}",
		"list: {plugin: a/b}", "push: {skip: [image, chart], source-plain-http: true}", "push: {skip: watcher-image}", "pull: {seeder: none}", "pull: {seeder: {linux/arm64: x}}",
		"pull: {with-chart: false, with-agent-image: 'example.com/x:y'}", "prune: {store: x}", "quiet: true",
		"header: 'a:K=env:V'", "header: {a: {K: 'env:V', L: v}, b: {K: v}}", "header: ['a:K=v', 'b:K=v']", "ca-file: [a, b]",
		"dependency: {a/b: {c: 'x=y:{os}'}, a/b@v1: {d: x}}", "dependency: 'a/b@v1:c=https://x/y'", "dependency: [a/b:c=d]",
	}
	bad := []string{
		"[]", "x", "file: x", "help: true", "platfrom: x", "platform: linux", "platform: 5", "platform: [[all]]", "platform: linux/AMD64", "plugin: kubectl", "plugin: a/b/c", "plugin: [null]", "exclude: ','",
		"repository: a", "repository: [{a: b}]", "repository: {a: {b: c}}", "repository: {a=b: c}", "retries: -1", "retries: '5'", "retries: 1001", "retries: 1.5", "parallel: 0", "parallel: 65", "parallel: true",
		"stall-timeout: 30", "stall-timeout: soon", "stall-timeout: -5s", "max-rate: fast", "max-rate: true", "max-rate: '1,000'", "max-size: huge", "max-size: '1,000'", "version: 1.14", "version: [v1.14.0]", "version: {output: x}", "lock: {output: x}", "lock: [x]", "lock: null",
		"list: {output: x}", "verify: x", "verify: null", "push: {skip: agent}", "pull: {seeder: x}", "pull: {with-chart: 5}", "quiet: yes", "quiet: 1", "format: yaml", "format: {a: b}", "schema: {}", "completion: {}", "bash: {}",
		"pull: {pull: {}}", "pull: {file: x}", "store: {}", "target: x", "header: K=v", "header: a", "header: {a: v}", "header: {a: {K: [v]}}",
		"dependency: a/b=c", "dependency: {a/b: c}", "dependency: {a/b: {c: [d]}}",
	}
	for _, file := range good {
		judge(t, schema, grammar, file, true)
	}
	for _, file := range bad {
		judge(t, schema, grammar, file, false)
	}
}

// excerpt returns the configuration file in a page of the docs.
func excerpt(t *testing.T, page string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	_, excerpt, _ := strings.Cut(string(data), "```yaml\n")
	excerpt, _, found := strings.Cut(excerpt, "```\n")
	if !found {
		t.Fatalf("%s shows no configuration file", page)
	}
	return excerpt
}

func judge(t *testing.T, schema *jsonschema.Schema, grammar configfile.Grammar, file string, good bool) {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(file), &value); err != nil {
		t.Fatalf("%q: %v", file, err)
	}
	if err := schema.Validate(value); (err == nil) != good {
		t.Errorf("%q: the schema says: %v", file, err)
	}
	if _, problems := configfile.Parse([]byte(file), grammar); (len(problems) == 0) != good {
		t.Errorf("%q: the program says: %+v", file, problems)
	}
}

// TestEveryFlagIsAKey tries the default of each flag, or a value, in each section.
func TestEveryFlagIsAKey(t *testing.T) {
	schema, grammar := compiledSchema(t), testGrammar()
	root := (&global{env: bareEnvironment(), logFormat: "text"}).command()
	for _, c := range root.Commands() {
		if !configurable(c) {
			continue
		}
		c.LocalFlags()
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" || f.Name == "file" {
				return
			}
			value := valueFor(f)
			file, err := yaml.Marshal(map[string]any{c.Name(): map[string]any{f.Name: value}})
			if err != nil {
				t.Fatal(err)
			}
			judge(t, schema, grammar, string(file), true)
			said, _ := configfile.Parse(file, grammar)
			if s := said.Settings(c.Name()); len(s) != 1 || assign(f, s[0].Values) != nil || !f.Changed {
				t.Errorf("%s --%s: cannot be set to %v", c.Name(), f.Name, value)
			}
		})
	}
}

// valueFor returns a value that a flag takes.
func valueFor(f *pflag.Flag) any {
	samples := map[string]any{
		"platform": "linux/arm64", "plugin": "a/b", "exclude": "a/b", "repository": "a=b", "header": "a:K=v", "dependency": "a/b:c=d", "seeder": "linux/arm64=x", "skip": "chart", "max-rate": "2MiB", "max-size": "2GiB", "via": "https://a.example=https://b.example",
	}
	if v, ok := samples[f.Name]; ok {
		return v
	}
	switch f.Value.Type() {
	case "bool":
		return true
	case "int":
		n, _ := strconv.Atoi(f.DefValue)
		return n
	case "duration":
		return "2m"
	}
	if s := constraints[f.Name]; len(s.Enum) > 0 {
		return s.Enum[0]
	}
	return "x"
}

// TestShapes checks that each constraint belongs to a flag, and that commands enforce its bounds.
func TestShapes(t *testing.T) {
	grammar := testGrammar()
	flags := map[string]bool{}
	for _, c := range grammar.Commands {
		for _, k := range c.Keys {
			flags[k.Name], flags[c.Name+"/"+k.Name] = true, true
			if len(k.Separators) > 0 && slices.ContainsFunc(grammar.Commands, func(c configfile.Command) bool { return c.Name == k.Name }) {
				t.Errorf("%s may be a mapping, and is a command too: nobody could tell which is meant", k.Name)
			}
		}
	}
	for name := range constraints {
		if !flags[name] {
			t.Errorf("no command has a flag %s", name)
		}
	}
	for n := range 2000 {
		tf := transferFlags{parallel: n, stall: minStall, maxWait: 1}
		if s := constraints["parallel"]; (tf.check() == nil) != (n >= s.Min && n <= s.Max) {
			t.Errorf("--parallel %d: %v", n, tf.check())
		}
		tf = transferFlags{parallel: 1, retries: n, stall: minStall, maxWait: 1}
		if s := constraints["retries"]; (tf.check() == nil) != (n >= s.Min && n <= s.Max) {
			t.Errorf("--retries %d: %v", n, tf.check())
		}
	}
}

// TestPrecedence sets a flag in every combination of places.
func TestPrecedence(t *testing.T) {
	places := []string{"file", "section", "environment", "flag"}
	for _, kind := range []struct {
		flag string
		// the value in each place, and the one if no place has any
		says map[string]string
		none string
	}{
		{"parallel", map[string]string{"file": "11", "section": "12", "environment": "13", "flag": "14"}, "4"},
		{"base-url", map[string]string{"file": "x1", "section": "x2", "environment": "x3", "flag": "x4"}, ""},
		{"stall-timeout", map[string]string{"file": "11s", "section": "12s", "environment": "13s", "flag": "14s"}, "30s"},
		{"max-rate", map[string]string{"file": "11KB", "section": "12KB", "environment": "13KB", "flag": "14KB"}, ""},
		{"output", map[string]string{"file": "[a1,b1]", "section": "[a2,b2]", "environment": "[a3,b3]", "flag": "[a4,b4]"}, "[]"},
		{"dry-run", map[string]string{"file": "true", "section": "true", "environment": "true", "flag": "true"}, "false"},
		{"with-chart", map[string]string{"file": "u1", "section": "u2", "environment": "u3", "flag": "u4"}, ""},
		{"log-format", map[string]string{"file": "json", "section": "json", "environment": "json", "flag": "json"}, "text"},
	} {
		for given := range 1 << len(places) {
			says, want := map[string]string{}, kind.none
			for i, place := range places {
				if given&(1<<i) != 0 {
					says[place] = kind.says[place]
					want = kind.says[place]
				}
			}
			if got := effective(t, kind.flag, says); got != want {
				t.Errorf("--%s where %v: %q, want %q", kind.flag, says, got, want)
			}
		}
	}
}

// TestLowerValuesWin checks that a place wins even if its value is the default, or empty.
func TestLowerValuesWin(t *testing.T) {
	for _, tt := range []struct {
		flag string
		says map[string]string
		want string
	}{
		{"parallel", map[string]string{"file": "9", "flag": "4"}, "4"},
		{"dry-run", map[string]string{"file": "true", "flag": "false"}, "false"},
		{"dry-run", map[string]string{"file": "true", "environment": "false"}, "false"},
		{"dry-run", map[string]string{"file": "true", "section": "false"}, "false"},
		{"log-format", map[string]string{"file": "json", "flag": "text"}, "text"},
		{"log-format", map[string]string{"file": "json", "environment": "text"}, "text"},
		{"output", map[string]string{"file": "[a,b]", "section": "[]"}, "[]"},
		{"base-url", map[string]string{"file": "x", "section": "''"}, ""},
		{"base-url", map[string]string{"file": "x", "flag": ""}, ""},
		{"base-url", map[string]string{"file": "x", "environment": ""}, "x"}, // as if it were not set
	} {
		if got := effective(t, tt.flag, tt.says); got != tt.want {
			t.Errorf("--%s where %v: %q, want %q", tt.flag, tt.says, got, tt.want)
		}
	}
}

// effective returns the value of a flag of pull that is set in some places. A list is [a,b].
func effective(t *testing.T, name string, says map[string]string) string {
	t.Helper()
	values := func(v string) []string {
		if list, ok := strings.CutPrefix(v, "["); ok {
			return strings.Split(strings.TrimSuffix(list, "]"), ",")
		}
		return []string{v}
	}
	args, env := []string{"pull"}, map[string]string{}
	if v, ok := says["flag"]; ok {
		for _, one := range values(v) {
			args = append(args, "--"+name+"="+one)
		}
	}
	if v, ok := says["environment"]; ok {
		env["BOTKUBE_MIRROR_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = strings.Join(values(v), ",")
	}
	var file strings.Builder
	if v, ok := says["file"]; ok {
		file.WriteString(name + ": " + v + "\n")
	}
	if v, ok := says["section"]; ok {
		file.WriteString("pull:\n  " + name + ": " + v + "\n")
	}
	if file.Len() > 0 {
		path := t.TempDir() + "/botkube-mirror.yaml"
		if err := os.WriteFile(path, []byte(file.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		env["BOTKUBE_MIRROR_FILE"] = path
	}
	e := &Environment{Args: args, Getenv: func(name string) string { return env[name] }}
	g := &global{env: e, logFormat: e.logFormat()}
	root := g.command()
	pull, rest, err := root.Find(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := pull.ParseFlags(rest); err != nil {
		t.Fatal(err)
	}
	if err := root.PersistentPreRunE(pull, nil); err != nil {
		t.Fatal(err)
	}
	return pull.Flags().Lookup(name).Value.String()
}

func TestSeparated(t *testing.T) {
	for value, want := range map[string][]string{
		"a": {"a"}, "a,b": {"a", "b"}, "a\nb,c": {"a", "b,c"}, "a,b\n": {"a", "b"}, "\na,b\nc,d\n": {"a,b", "c,d"},
	} {
		got := separated(value)
		for i := range got {
			got[i] = strings.TrimSpace(got[i]) // as who sets the flags does
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

// TestSchemaDescribesTheDefaults checks some descriptions and defaults that editors show.
func TestSchemaDescribesTheDefaults(t *testing.T) {
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct {
			Default     any
			Description string
			Properties  map[string]struct{ Description string }
		}
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"parallel": 4.0, "stall-timeout": "30s", "listen": "127.0.0.1:8080", "mount": nil /* verify has none */, "quiet": false, "format": "text", "log-format": "text", "store": nil} {
		if got := schema.Properties[name].Default; got != want {
			t.Errorf("the default of %s is %v, not %v", name, got, want)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		p := schema.Properties[name]
		for key, inner := range p.Properties {
			if inner.Description == "" || strings.Contains(inner.Description, "`") {
				t.Errorf("%s: %s is described as %q", name, key, inner.Description)
			}
		}
	}
}

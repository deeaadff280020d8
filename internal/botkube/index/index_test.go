package index

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// pointAway rewrites every entry for its first platform.
func pointAway(e *agent.Entry) (Rewritten, bool) {
	platforms := e.Platforms()
	if len(platforms) == 0 {
		return Rewritten{}, false
	}
	p := platforms[0]
	upstream, _ := e.Build(p)
	local := agent.Build{URL: "file:///plugins/x", Checksum: "00", Dependencies: map[string]string{}}
	for name := range upstream.Dependencies {
		local.Dependencies[name] = "file:///plugins/" + name
	}
	schemas := map[string]string{}
	for _, ref := range e.RefURLs() {
		schemas[ref] = "{\n  \"title\": \"inlined\" \n}"
	}
	return Rewritten{Builds: map[agent.Platform]agent.Build{p: local}, Schemas: schemas}, true
}

func parseFile(t testing.TB, name string) *Index {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	ix, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return ix
}

// checkRewritten reports what a rewritten index may not have changed, or has left.
func checkRewritten(t *testing.T, before *Index, rewritten []byte) {
	t.Helper()
	after, err := Parse(rewritten)
	if err != nil {
		t.Fatalf("%v\n%s", err, rewritten)
	}
	kept := slices.DeleteFunc(slices.Clone(before.Entries), func(e agent.Entry) bool { return len(e.Platforms()) == 0 })
	if len(after.Entries) != len(kept) {
		t.Fatalf("%d entries, want %d", len(after.Entries), len(kept))
	}
	for i, got := range after.Entries {
		want := kept[i]
		if got.Name != want.Name || got.Type != want.Type || got.Version != want.Version || got.Description != want.Description ||
			got.DocumentationURL != want.DocumentationURL || got.Recommended != want.Recommended {
			t.Errorf("entry %d: %+v, want %+v", i, got, want)
		}
		if want.JSONSchema.Value != "" && got.JSONSchema.Value != want.JSONSchema.Value {
			t.Errorf("entry %d: schema %q, want %q", i, got.JSONSchema.Value, want.JSONSchema.Value)
		}
		if len(got.RefURLs()) > 0 || got.JSONSchema.RefURL != "" {
			t.Errorf("entry %d still refers to %q", i, got.JSONSchema.RefURL)
		}
		wantBuild, _ := want.Build(want.Platforms()[0])
		build, ok := got.Build(want.Platforms()[0])
		if len(got.URLs) != 1 || !ok || build.URL != "file:///plugins/x" || len(build.Dependencies) != len(wantBuild.Dependencies) {
			t.Errorf("entry %d: URLs %+v", i, got.URLs)
		}
		for name, url := range build.Dependencies {
			if !strings.HasPrefix(url, "file:///plugins/") {
				t.Errorf("entry %d: dependency %q at %q", i, name, url)
			}
		}
	}
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../../../testdata/upstream/plugins-index.yaml", "../../../testdata/upstream/extra/plugins-index.yaml", "testdata/odd.yaml"} {
		ix := parseFile(t, file)
		out, err := ix.Rewrite(pointAway)
		if err != nil {
			t.Fatal(err)
		}
		checkRewritten(t, ix, out)
		again, err := ix.Rewrite(pointAway)
		if err != nil || string(again) != string(out) {
			t.Errorf("%s: a second rewriting differs", file)
		}
	}
}

// TestRewriteKeepsOtherKeys uses an index with anchors, merge keys, comments,
// keys that no agent knows, and a platform that stands twice.
func TestRewriteKeepsOtherKeys(t *testing.T) {
	t.Parallel()
	ix := parseFile(t, "testdata/odd.yaml")
	out, err := ix.Rewrite(pointAway)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/odd.golden.yaml")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile("testdata/odd.golden.yaml", out, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != string(want) {
		t.Errorf("rewritten:\n%s", out)
	}
}

func TestRewriteWantsEverySchema(t *testing.T) {
	t.Parallel()
	ix := parseText(t, `entries:
- {name: a, type: source, version: v1, urls: [{url: u, platform: {os: linux, architecture: amd64}}]}
- {name: b, type: source, version: v1, urls: [{url: u, platform: {os: linux, architecture: amd64}}], jsonSchema: {refURL: "https://u:s3cret@e.com/b.json"}}
`)
	_, err := ix.Rewrite(func(e *agent.Entry) (Rewritten, bool) {
		r, keep := pointAway(e)
		r.Schemas = nil
		return r, keep
	})
	if want := `entries[1] ("source" "b" "v1"): the JSON schema at https://e.com/b.json is missing`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Of the builds and dependencies of an entry, those remain that the replacement names.
func TestRewriteKeepsWhatIsNamed(t *testing.T) {
	t.Parallel()
	ix := parseText(t, `entries:
- name: a
  type: source
  version: v1
  urls:
  - {url: u1, platform: {os: linux, architecture: amd64}, dependencies: {x: {url: x1}, y: {url: y1}}}
  - {url: u2, platform: {os: linux, architecture: arm64}, dependencies: {x: {url: x2}}}
  - {url: u3, platform: {os: darwin, architecture: arm64}}
- {name: b, type: source, version: v1, urls: [{url: u, platform: {os: linux, architecture: amd64}}]}
`)
	out, err := ix.Rewrite(func(e *agent.Entry) (Rewritten, bool) {
		return Rewritten{Builds: map[agent.Platform]agent.Build{
			{OS: "linux", Arch: "amd64"}: {URL: "n1", Checksum: "c1", Dependencies: map[string]string{"y": "m1"}},
			{OS: "linux", Arch: "arm64"}: {URL: "n2", Dependencies: map[string]string{"z": "m2", "true": "m3"}},
		}}, e.Name == "a"
	})
	want := `entries:
    - name: a
      type: source
      version: v1
      urls:
        - {url: n1, platform: {os: linux, architecture: amd64}, dependencies: {y: {url: m1}}, checksum: c1}
        - {url: n2, platform: {os: linux, architecture: arm64}, dependencies: {"true": {url: m3}, z: {url: m2}}, checksum: ""}
`
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSelectReportsAllAtOnce(t *testing.T) {
	t.Parallel()
	ix := parseFile(t, "../../../testdata/upstream/plugins-index.yaml")
	key := func(s string) agent.PluginKey {
		k, err := agent.ParsePluginKey(s)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	_, _, err := Select(map[string]*Index{"demo": ix}, Selection{
		Plugins: []agent.PluginKey{key("demo/hellp"), key("demo/hello@v1.1.1"), key("nowhere/x")}, AllPlatforms: true,
	})
	if err == nil || len(strings.Split(err.Error(), "\n")) != 3 {
		t.Errorf("%v, want three problems", err)
	}
}

func FuzzRewrite(f *testing.F) {
	for _, file := range []string{"../../../testdata/upstream/extra/plugins-index.yaml", "testdata/odd.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("entries:\n  - {name: a, type: source, version: v1, jsonSchema: {value: \"\\n \\n  x\\r\\n\\t\"}, urls: [{url: x, platform: {os: a, architecture: b}}]}\n"))
	f.Add([]byte("entries: []\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, data []byte) {
		ix, err := Parse(data)
		if err != nil {
			return
		}
		var whole bytes.Buffer
		root := ix.document.Content[0]
		if encodeTo(&whole, root) == nil {
			if parts, err := encode(root, 1); err != nil || !bytes.Equal(parts, whole.Bytes()) {
				t.Errorf("%v\n%s\nwant\n%s", err, parts, whole.Bytes())
			}
		}
		out, err := ix.Rewrite(pointAway)
		if err != nil {
			return
		}
		checkRewritten(t, ix, out)
	})
}

func FuzzSelect(f *testing.F) {
	ix := parseFile(f, "../../../testdata/upstream/plugins-index.yaml")
	f.Add("demo/hello", "linux/amd64")
	f.Add("demo/ticker@v1.0.0", "linux/arm64")
	f.Fuzz(func(t *testing.T, plugin, platform string) {
		key, err := agent.ParsePluginKey(plugin)
		if err != nil {
			return
		}
		p, err := agent.ParsePlatform(platform)
		if err != nil {
			return
		}
		selected, platforms, err := Select(map[string]*Index{"demo": ix}, Selection{Plugins: []agent.PluginKey{key}, Platforms: []agent.Platform{p}})
		if err == nil && (len(selected) == 0 || len(platforms) != 1 || selected[0].Name != key.Name) {
			t.Fatalf("%v %v", selected, platforms)
		}
	})
}

// TestEncodeInParts wants the bytes that yaml.v3 writes in one go.
func TestEncodeInParts(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := map[string][]byte{"comments": []byte(commented), "foot": []byte(commented + "# foot\n"), "flow": []byte("{entries: [{name: a}, {name: b}]}"), "none": []byte("a: b\n")}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		documents[name] = data
	}
	for name, data := range documents {
		var document yaml.Node
		if err := yaml.Unmarshal(data, &document); err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := encodeTo(&want, document.Content[0]); err != nil {
			t.Fatal(err)
		}
		for atOnce := range 4 {
			if got, err := encode(document.Content[0], 1+atOnce); err != nil || !bytes.Equal(got, want.Bytes()) {
				t.Errorf("%s, %d at once: %v\n%s\nwant\n%s", name, 1+atOnce, err, got, want.Bytes())
			}
		}
	}
}

const commented = `# of the document

# of what comes first
apiVersion: v1 # behind it
# of the entries
entries: # behind the key
  # of an entry
  - name: a # of its name
    description: |
      several

      lines
  - # behind a hyphen
    name: b
    urls: []
  # of the last
  - {name: c}
# of what follows
other: 1
more: [a, b]
`

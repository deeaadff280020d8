package resolve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// partIndex has versions that need each other's dependencies, names of two types, and schemas.
const partIndex = `entries:
  - {name: tool, type: executor, version: v1.0.0, urls: [{url: t1, platform: {os: linux, architecture: amd64}, dependencies: {own: {url: own}}}, {url: t1b, platform: {os: linux, architecture: arm64}, dependencies: {own: {url: ownb}}}]}
  - {name: tool, type: executor, version: v1.1.0, urls: [{url: t2, platform: {os: linux, architecture: amd64}, dependencies: {between: {url: between}, own: {url: own}}}, {url: t2b, platform: {os: linux, architecture: arm64}, dependencies: {between: {url: betweenb}, own: {url: ownb}}}]}
  - {name: tool, type: executor, version: v1.2.0, urls: [{url: t3, platform: {os: linux, architecture: amd64}, dependencies: {newest: {url: newest}}}, {url: t3b, platform: {os: linux, architecture: arm64}, dependencies: {newest: {url: newestb}}}]}
  - {name: both, type: executor, version: v1.0.0, jsonSchema: {refURL: e.json}, urls: [{url: e, platform: {os: linux, architecture: amd64}}, {url: eb, platform: {os: linux, architecture: arm64}}]}
  - {name: both, type: source, version: v1.0.0, jsonSchema: {refURL: s.json}, urls: [{url: s, platform: {os: linux, architecture: amd64}}, {url: sb, platform: {os: linux, architecture: arm64}}]}
`

// written returns the lock of a plan as a pull writes it, in which every file is its URL.
func written(t *testing.T, p *Plan) string {
	t.Helper()
	for _, plugin := range p.Lock.Plugins {
		for i := range plugin.Templates {
			plugin.Templates[i].Files = []lock.TemplateFile{{Path: "a.yaml", Blob: lock.Blob{Size: 1, SHA256: lock.Sum(nil)}}}
		}
	}
	for i, a := range p.Lock.Artifacts {
		p.Lock.Artifacts[i].Blob = lock.Blob{Size: int64(len(a.URL)), SHA256: lock.Sum([]byte(a.URL))}
	}
	data, err := p.Lock.Marshal()
	check(t, err)
	return string(data)
}

// writing returns a function that writes files to one directory, and returns their paths.
func writing(t *testing.T) func(name, content string) string {
	t.Helper()
	dir := t.TempDir()
	return func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
}

// TestPart wants every part of a lock to be what the same flags select without it, and what is taken
// of a bundle with them.
func TestPart(t *testing.T) {
	r, _ := newResolver(t)
	write := writing(t)
	write("e.json", `{"type": "object"}`)
	write("s.json", `{"type": "array"}`)
	repositories := []agent.Repository{{Name: "demo", URL: write("demo.yaml", partIndex)}}
	both := []agent.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}}
	resolve := func(sel Selection) string {
		t.Helper()
		plan, _, err := r.Select(t.Context(), sel)
		check(t, err)
		return written(t, plan)
	}
	key := func(name, version string) agent.PluginKey {
		return agent.PluginKey{Repository: "demo", Name: name, Version: version}
	}
	choices := []func(*index.Selection){
		func(s *index.Selection) { s.Plugins = append(s.Plugins, key("tool", "v1.0.0")) },
		func(s *index.Selection) { s.Plugins = append(s.Plugins, key("tool", "v1.1.0")) },
		func(s *index.Selection) { s.Plugins = append(s.Plugins, key("tool", "v1.2.0")) },
		func(s *index.Selection) { s.Executors = append(s.Executors, key("both", "")) },
		func(s *index.Selection) { s.Sources = append(s.Sources, key("both", "v1.0.0")) },
	}
	var whole Selection
	whole.Repositories, whole.Platforms = repositories, both
	for _, choose := range choices {
		choose(&whole.Selection)
	}
	text := resolve(whole)
	file := write("whole.json", text)
	l, err := lock.ReadFile(file)
	check(t, err)
	for bits := 1; bits < 1<<len(choices); bits++ {
		for _, platforms := range [][]agent.Platform{both[:1], both[1:], both} {
			var sel Selection
			sel.Repositories, sel.Platforms = repositories, platforms
			for i, choose := range choices {
				if bits>>i&1 == 1 {
					choose(&sel.Selection)
				}
			}
			want := resolve(sel)
			of := lock.Selection{Platforms: platforms, Plugins: sel.Plugins, Executors: sel.Executors, Sources: sel.Sources}
			sel.Lock = write("own.json", want)
			if got := resolve(sel); got != want {
				t.Fatalf("%+v, with its own lock:\n%s\nwant:\n%s", of, got, want)
			}
			sel.Lock = file
			if got := resolve(sel); got != want {
				t.Fatalf("%+v, with the lock of all:\n%s\nwant:\n%s", of, got, want)
			}
			part, err := l.Part("the lock", of)
			check(t, err)
			check(t, part.Narrow(func(lock.Repository) (*index.Index, error) { return index.Parse([]byte(partIndex)) }))
			data, err := part.Marshal()
			check(t, err)
			if string(data) != want {
				t.Fatalf("%+v, of a mirror:\n%s\nwant:\n%s", of, data, want)
			}
		}
	}
	if data, err := l.Marshal(); err != nil || string(data) != text {
		t.Errorf("taking parts changed the whole: %v\n%s", err, data)
	}
}

// TestPartOfTemplates wants templates to be those of the lock, or some of them.
func TestPartOfTemplates(t *testing.T) {
	r, _ := newResolver(t)
	write := writing(t)
	const byDefault, more, other = "github.com/a/b//default?ref=main", "github.com/a/b//more?ref=main", "github.com/a/b//other?ref=main"
	sel := Selection{Repositories: []agent.Repository{{Name: "demo", URL: write("index.yaml", `entries:
  - name: exec
    type: executor
    version: v1.0.0
    jsonSchema: {value: '`+strings.ReplaceAll(schemaOf, "DEFAULT", byDefault)+`'}
    urls: [{url: e, platform: {os: linux, architecture: amd64}}]
`)}}}
	configured := func(refs ...string) Templates {
		return Templates{Configured: map[agent.PluginKey][]string{{Repository: "demo", Name: "exec"}: refs}}
	}
	resolve := func(lock string, templates Templates) (*Plan, error) {
		sel := sel
		sel.Lock, sel.Templates = lock, templates
		plan, _, err := r.Select(t.Context(), sel)
		return plan, err
	}
	both := Templates{Add: []string{more}}
	plan, err := resolve("", both)
	check(t, err)
	whole := written(t, plan)
	file := write("lock.json", whole)
	for name, test := range map[string]struct{ with, without Templates }{
		"all":              {Templates{}, both},
		"as it was locked": {both, both},
		"without any":      {Templates{None: true}, Templates{None: true}},
		"the default":      {configured(""), Templates{}},
		"not the default":  {configured(more), configured(more)},
		"in another order": {configured(more, ""), both},
	} {
		plan, err := resolve("", test.without)
		check(t, err)
		want := written(t, plan)
		if plan, err = resolve(file, test.with); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := written(t, plan); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
		}
	}
	for name, templates := range map[string]Templates{
		"configured": configured("", other),
		"added":      {Add: []string{other}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := resolve(file, templates)
			wantFault(t, err, fault.Usage, "has no source of templates of demo/exec@v1.0.0 ", other, byDefault, more, "--exec-template "+more, "--exec-template "+other)
		})
	}
}

package resolve

import (
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

const schemaOf = `{"properties": {"templates": {"items": {"properties": {"ref": {"default": "DEFAULT"}}}}}}`

func exec(repository, version, byDefault string) index.Selected {
	e := &agent.Entry{Name: "exec", Type: agent.Executor, Version: version}
	if byDefault != "" {
		e.JSONSchema.Value = strings.ReplaceAll(schemaOf, "DEFAULT", byDefault)
	}
	return index.Selected{Repository: repository, Entry: e}
}

func TestTemplatesOf(t *testing.T) {
	const official = "github.com/kubeshop/botkube//cmd/executor/exec/templates?ref="
	key := agent.PluginKey{Repository: "botkubeExtra", Name: "exec"}
	pinned := agent.PluginKey{Repository: "botkubeExtra", Name: "exec", Version: "v1.14.0"}
	other := exec("botkubeExtra", "v1.14.0", "x")
	other.Entry.Type = agent.Source
	for name, test := range map[string]struct {
		templates Templates
		entry     index.Selected
		want      []string
	}{
		"by the schema":         {Templates{}, exec("mine", "v9", "github.com/me/x"), []string{"github.com/me/x"}},
		"no schema, somebody's": {Templates{}, exec("mine", "v1.14.0", ""), nil},
		"no schema, v1.14.0":    {Templates{}, exec("botkubeExtra", "v1.14.0", ""), []string{official + "release-1.8"}},
		"no schema, v1.9.0":     {Templates{}, exec("botkube", "v1.9.0", ""), []string{official + "release-1.8"}},
		"no schema, v1.8.0":     {Templates{}, exec("botkube", "v1.8.0", ""), []string{official + "v1.8.0"}},
		"no schema, v1.2.0":     {Templates{}, exec("botkube", "v1.2.0", ""), []string{official + "v1.2.0"}},
		"before there was one":  {Templates{}, exec("botkube", "v1.1.0", ""), nil},
		"a source of that name": {Templates{}, other, nil},
		"configured":            {Templates{Configured: map[agent.PluginKey][]string{key: {"a", "b"}}}, exec("botkubeExtra", "v1", "d"), []string{"a", "b"}},
		"with the default":      {Templates{Configured: map[agent.PluginKey][]string{key: {"a", ""}}}, exec("botkubeExtra", "v1", "d"), []string{"a", "d"}},
		"for another version":   {Templates{Configured: map[agent.PluginKey][]string{pinned: {"a"}}}, exec("botkubeExtra", "v1", "d"), []string{"d"}},
		"for this version":      {Templates{Configured: map[agent.PluginKey][]string{pinned: {"a"}}}, exec("botkubeExtra", "v1.14.0", "d"), []string{"a"}},
		"of another repository": {Templates{Configured: map[agent.PluginKey][]string{key: {"a"}}}, exec("botkube", "v1", "d"), []string{"d"}},
		"more":                  {Templates{Add: []string{"b"}}, exec("botkube", "v1", "d"), []string{"d", "b"}},
	} {
		if got, _ := test.templates.of(test.entry); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestPinnedURL: a lock has no user's name, which ssh needs.
func TestPinnedURL(t *testing.T) {
	for ref, want := range map[string]string{
		"git@github.com:o/r.git//t?ref=v1":      "git::ssh://git@github.com/o/r.git//t?ref=v1",
		"github.com/o/r//t":                     "git::https://github.com/o/r.git//t",
		"git::https://me:s3cret@e.com/r.git//t": "git::https://e.com/r.git//t",
	} {
		c := &collection{plugins: []lock.Plugin{{}}, artifacts: map[string]*artifact{}}
		if err := c.template(0, ref); err != nil {
			t.Fatal(err)
		}
		pinned := c.plugins[0].Templates[0]
		if strings.Contains(pinned.Ref+pinned.URL, "s3cret") || pinned.Directory != agent.TemplateDirectory(ref) {
			t.Errorf("%+v", pinned)
		}
		if got := pinnedURL(pinned); got != want {
			t.Errorf("%s is fetched from %s, want %s", ref, got, want)
		}
	}
}

// TestOneURLTwoForms: a directory and a file of one URL are no one artifact.
func TestOneURLTwoForms(t *testing.T) {
	c := &collection{plugins: []lock.Plugin{{}}, artifacts: map[string]*artifact{"https://e.com/x.tar.gz": {url: "https://e.com/x.tar.gz"}}}
	if err := c.template(0, "https://e.com/x.tar.gz"); err == nil || !strings.Contains(err.Error(), "both as a file and as a directory") {
		t.Error(err)
	}
}

package index

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// shop is a repository with an executor and a source of one name, several
// versions, and a plugin that cannot start everywhere.
const shop = `entries:
- {name: tool, type: executor, version: v1.0.0, urls: [
    {url: u, platform: {os: linux, architecture: amd64}, dependencies: {jq: {url: old-jq}}},
    {url: u, platform: {os: linux, architecture: arm64}, dependencies: {jq: {url: old-jq}}}]}
- {name: tool, type: executor, version: v1.2.0, urls: [
    {url: u, platform: {os: linux, architecture: amd64}, dependencies: {jq: {url: new-jq}}},
    {url: u, platform: {os: linux, architecture: arm64}, dependencies: {jq: {url: new-jq}}}]}
- {name: tool, type: executor, version: v1.1.0, urls: [
    {url: u, platform: {os: linux, architecture: amd64}},
    {url: u, platform: {os: linux, architecture: arm64}}]}
- {name: tool, type: source, version: v2.0.0, urls: [
    {url: u, platform: {os: linux, architecture: amd64}},
    {url: u, platform: {os: linux, architecture: arm64}}]}
- {name: only, type: source, version: v1.0.0, urls: [
    {url: u, platform: {os: linux, architecture: amd64}},
    {url: "", platform: {os: darwin, architecture: arm64}}]}
- {name: lacks, type: source, version: v1.0.0, urls: [
    {url: u, platform: {os: linux, architecture: amd64}, dependencies: {dep: {url: d}}},
    {url: u, platform: {os: linux, architecture: arm64}}]}
`

const other = `entries:
- {name: tool, type: executor, version: v9.0.0, urls: [{url: u, platform: {os: linux, architecture: amd64}}]}
`

func keys(t testing.TB, names ...string) []agent.PluginKey {
	t.Helper()
	var all []agent.PluginKey
	for _, n := range names {
		k, err := agent.ParsePluginKey(n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	return all
}

func platforms(t testing.TB, names ...string) []agent.Platform {
	t.Helper()
	var all []agent.Platform
	for _, n := range names {
		p, err := agent.ParsePlatform(n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestSelect(t *testing.T) {
	t.Parallel()
	indexes := map[string]*Index{"shop": parseText(t, shop), "other": parseText(t, other)}
	both := platforms(t, "linux/arm64", "linux/amd64", "linux/arm64")
	for name, tt := range map[string]struct {
		selection Selection
		// want has a line for each entry: its type, key and platforms.
		want []string
		// on are the platforms of all.
		on string
	}{
		"the newest of both types": {Selection{Plugins: keys(t, "shop/tool"), Platforms: both}, []string{
			"executor shop/tool@v1.2.0 linux/amd64, linux/arm64", "source shop/tool@v2.0.0 linux/amd64, linux/arm64"}, "linux/amd64, linux/arm64"},
		"an executor": {Selection{Executors: keys(t, "shop/tool"), Platforms: both}, []string{
			"executor shop/tool@v1.2.0 linux/amd64, linux/arm64"}, "linux/amd64, linux/arm64"},
		"a source": {Selection{Sources: keys(t, "shop/tool"), Platforms: both}, []string{
			"source shop/tool@v2.0.0 linux/amd64, linux/arm64"}, "linux/amd64, linux/arm64"},
		"an older version, of an executor alone": {Selection{Plugins: keys(t, "shop/tool@v1.1.0"), Platforms: platforms(t, "linux/amd64")}, []string{
			"executor shop/tool@v1.1.0 linux/amd64"}, "linux/amd64"},
		"versions in order, each once": {Selection{
			Plugins: keys(t, "shop/tool@v1.2.0", "other/tool"), Executors: keys(t, "shop/tool@v1.0.0", "shop/tool"), Platforms: platforms(t, "linux/amd64"),
		}, []string{
			"executor other/tool@v9.0.0 linux/amd64", "executor shop/tool@v1.0.0 linux/amd64", "executor shop/tool@v1.2.0 linux/amd64"}, "linux/amd64"},
		"everything but some": {Selection{Exclude: keys(t, "shop/lacks", "other/tool"), Platforms: platforms(t, "linux/amd64")}, []string{
			"executor shop/tool@v1.2.0 linux/amd64", "source shop/only@v1.0.0 linux/amd64", "source shop/tool@v2.0.0 linux/amd64"}, "linux/amd64"},
		"all but one version": {Selection{
			Executors: keys(t, "shop/tool@v1.0.0", "shop/tool@v1.2.0"), Exclude: keys(t, "shop/tool@v1.0.0"), Platforms: platforms(t, "linux/amd64"),
		}, []string{"executor shop/tool@v1.2.0 linux/amd64"}, "linux/amd64"},
		"every platform": {Selection{Executors: keys(t, "shop/tool"), AllPlatforms: true}, []string{
			"executor shop/tool@v1.2.0 linux/amd64, linux/arm64"}, "linux/amd64, linux/arm64"},
		"where it can start": {Selection{Plugins: keys(t, "shop/only", "shop/lacks"), Platforms: both, WhereStartable: true}, []string{
			"source shop/lacks@v1.0.0 linux/amd64", "source shop/only@v1.0.0 linux/amd64"}, "linux/amd64"},
		"where one can start and another cannot": {Selection{Plugins: keys(t, "shop/only"), Sources: keys(t, "shop/tool"), AllPlatforms: true, WhereStartable: true}, []string{
			"source shop/only@v1.0.0 linux/amd64", "source shop/tool@v2.0.0 linux/amd64, linux/arm64"}, "linux/amd64, linux/arm64"},
	} {
		selected, on, err := Select(indexes, tt.selection)
		var got []string
		for _, s := range selected {
			got = append(got, fmt.Sprintf("%s %s %s", s.Type, s.Key(), agent.JoinPlatforms(s.MirroredFor)))
		}
		if err != nil || strings.Join(got, "\n") != strings.Join(tt.want, "\n") || agent.JoinPlatforms(on) != tt.on {
			t.Errorf("%s: %v, on %s\n%s", name, err, agent.JoinPlatforms(on), strings.Join(got, "\n"))
		}
	}
}

func TestSelectRefuses(t *testing.T) {
	t.Parallel()
	indexes := map[string]*Index{"shop": parseText(t, shop), "other": parseText(t, other)}
	amd64, arm64 := platforms(t, "linux/amd64"), platforms(t, "linux/arm64")
	for name, tt := range map[string]struct {
		selection Selection
		want      string
	}{
		"a repository": {Selection{Plugins: keys(t, "shops/tool"), Platforms: amd64}, `there is no repository "shops"; there is: shop, other; did you mean other/tool or shop/tool?`},
		"a plugin":     {Selection{Plugins: keys(t, "shop/onyl"), Platforms: amd64}, `repository shop has no plugin "onyl"; it has: only, tool, lacks; did you mean shop/only?`},
		"an executor":  {Selection{Executors: keys(t, "shop/only"), Platforms: amd64}, `repository shop has no executor "only"; it has: tool`},
		"a source":     {Selection{Sources: keys(t, "other/tool"), Platforms: amd64}, `repository other has no source "tool"; did you mean shop/tool?`},
		"a version": {Selection{Plugins: keys(t, "shop/tool@v1.2.1"), Platforms: amd64},
			`shop/tool has no version "v1.2.1"; it has: v1.2.0, v1.0.0, v1.1.0, v2.0.0`},
		"an exclusion":                     {Selection{Exclude: keys(t, "shop/tols"), Platforms: amd64}, `repository shop has no plugin "tols"; it has: tool, only, lacks; did you mean shop/tool?`},
		"nothing left":                     {Selection{Plugins: keys(t, "other/tool"), Exclude: keys(t, "other/tool"), Platforms: amd64}, "no plugin is selected"},
		"a platform":                       {Selection{Plugins: keys(t, "shop/only"), Platforms: platforms(t, "linux/amd65")}, `there is no platform "linux/amd65"; there is: linux/amd64, darwin/arm64`},
		"every platform that is not there": {Selection{Plugins: keys(t, "other/tool"), Platforms: platforms(t, "a/b", "c/d")}, "there is no platform \"a/b\"; there is: linux/amd64\nthere is no platform \"c/d\"; there is: linux/amd64"},
		"no binary": {Selection{Plugins: keys(t, "shop/only"), Sources: keys(t, "shop/tool"), Platforms: arm64},
			"shop/only@v1.0.0 (source) cannot start on linux/arm64: the index has it only for darwin/arm64, linux/amd64; leave the plugin out: --exclude shop/only"},
		"no URL": {Selection{Plugins: keys(t, "shop/only"), Platforms: platforms(t, "darwin/arm64")},
			"shop/only@v1.0.0 (source) cannot start on darwin/arm64: the index has it only for darwin/arm64, linux/amd64; leave the plugin out: --exclude shop/only"},
		"a dependency for others only": {Selection{Plugins: keys(t, "shop/lacks"), Platforms: arm64},
			`shop/lacks@v1.0.0 (source) cannot start on linux/arm64: the index has its dependency "dep" only for linux/amd64; leave the plugin out: --exclude shop/lacks, or supply the dependency: --dependency shop/lacks:dep=URL`},
		"nowhere": {Selection{Plugins: keys(t, "shop/lacks"), Platforms: arm64, WhereStartable: true},
			`shop/lacks@v1.0.0 (source) cannot start on linux/arm64: the index has its dependency "dep" only for linux/amd64; leave the plugin out: --exclude shop/lacks, or supply the dependency: --dependency shop/lacks:dep=URL`},
		"no binary and a dependency, both said": {Selection{Plugins: keys(t, "shop/only", "shop/lacks"), Platforms: arm64},
			`shop/lacks@v1.0.0 (source) cannot start on linux/arm64: the index has its dependency "dep" only for linux/amd64; leave the plugin out: --exclude shop/lacks, or supply the dependency: --dependency shop/lacks:dep=URL
shop/only@v1.0.0 (source) cannot start on linux/arm64: the index has it only for darwin/arm64, linux/amd64; leave the plugin out: --exclude shop/only`},
	} {
		if _, _, err := Select(indexes, tt.selection); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want\n%s", name, err, tt.want)
		}
	}
}

// TestDependencies wants an entry's own dependencies and those that only a newer entry
// lists: the newest of all, or the newest of the mirror, whose URLs count.
func TestDependencies(t *testing.T) {
	t.Parallel()
	indexes := map[string]*Index{"r": parseText(t, `entries:
- {name: a, type: source, version: v1, urls: [{url: u, platform: {os: linux, architecture: amd64}, dependencies: {own: {url: o1}, all: {url: a1}}}]}
- {name: a, type: source, version: v2, urls: [{url: u, platform: {os: linux, architecture: amd64}, dependencies: {all: {url: a2}, later: {url: l2}}}]}
- {name: a, type: source, version: v3, urls: [{url: u, platform: {os: linux, architecture: amd64}, dependencies: {all: {url: a3}, later: {url: l3}, last: {url: z3}}}]}
`)}
	for _, tt := range []struct {
		plugins []string
		want    string
	}{
		{[]string{"r/a@v1"}, "all=a1 last=z3* later=l3* own=o1"},
		{[]string{"r/a@v1", "r/a@v2"}, "all=a1 last=z3* later=l2* own=o1"},
		{[]string{"r/a@v2"}, "all=a2 last=z3* later=l2"},
		{[]string{"r/a"}, "all=a3 last=z3 later=l3"},
	} {
		selected, on, err := Select(indexes, Selection{Plugins: keys(t, tt.plugins...), AllPlatforms: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := listed(selected[0], on[0]); got != tt.want {
			t.Errorf("%s: %s, want %s", selected[0].Key(), got, tt.want)
		}
	}
}

// listed returns dependencies as NAME=URL, with * if only a newer entry lists them, and with what
// is replaced in brackets.
func listed(s Selected, p agent.Platform) string {
	all := s.Dependencies(p)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		d := all[name]
		text := name + "=" + d.URL
		if d.FromNewest {
			text += "*"
		}
		if d.Replacement != nil {
			text += "[" + d.Replaced + "]"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// TestReplacements wants them in the place of what entries list, for each platform of the
// plugin, and nowhere else.
func TestReplacements(t *testing.T) {
	t.Parallel()
	indexes := map[string]*Index{"r": parseText(t, `entries:
- name: a
  type: source
  version: v1
  urls:
    - {url: u, platform: {os: linux, architecture: amd64}, dependencies: {own: {url: o1}, all: {url: a1}}}
    - {url: u, platform: {os: linux, architecture: arm64}}
- name: a
  type: source
  version: v2
  urls:
    - {url: u, platform: {os: linux, architecture: amd64}, dependencies: {all: {url: a2}, later: {url: l2}}}
    - {url: u, platform: {os: linux, architecture: arm64}, dependencies: {all: {url: b2}}}
- {name: b, type: source, version: v1, urls: [{url: u, platform: {os: linux, architecture: amd64}, dependencies: {all: {url: b}}}]}
`)}
	both := platforms(t, "linux/amd64", "linux/arm64")
	replace := func(key, dependency, url string) Replacement {
		return Replacement{Plugin: keys(t, key)[0], Dependency: dependency, URL: url}
	}
	every := []Replacement{replace("r/a", "own", "n-{os}-{arch}"), replace("r/a", "later", "n?{arch}"), replace("r/a", "all", "n")}
	only := replace("r/a", "later", "pinned")
	only.Platform = both[1]
	for _, tt := range []struct {
		plugin       string
		replacements []Replacement
		want         []string // of each platform
	}{
		{"r/a@v1", every, []string{"all=n[a1] later=n?amd64*[l2] own=n-linux-amd64[o1]", "all=n[b2] later=n?arm64*[] own=n-linux-arm64[]"}},
		{"r/a", every, []string{"all=n[a2] later=n?amd64[l2]", "all=n[b2] later=n?arm64[]"}},
		{"r/a", append([]Replacement{replace("r/a@v2", "later", "first"), replace("r/a@v1", "all", "x"), replace("r/b", "all", "x")}, every[1]), []string{"all=a2 later=first[l2]", "all=b2 later=first[]"}},
		{"r/a", []Replacement{only}, []string{"all=a2 later=l2", "all=b2 later=pinned[]"}},
	} {
		selected, on, err := Select(indexes, Selection{Plugins: keys(t, tt.plugin), Platforms: both, Replacements: tt.replacements})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range tt.want {
			if got := listed(selected[0], on[i]); got != want {
				t.Errorf("%s for %s: %s, want %s", tt.plugin, on[i], got, want)
			}
		}
	}
	if _, _, err := Select(indexes, Selection{Plugins: keys(t, "r/b"), Platforms: both, Replacements: []Replacement{replace("r/b", "all", "x")}}); err == nil {
		t.Error("a platform was made that the plugin does not have")
	}
	for want, r := range map[string]Replacement{
		"":                               replace("r/a@v1", "later", ""),
		`no repository "s"; there is: r`: replace("s/a", "all", ""),
		`repository r has no plugin "c"; it has: a, b`:          replace("r/c", "all", ""),
		`r/a has no version "v3"; it has: v1, v2`:               replace("r/a@v3", "all", ""),
		`r/a has no dependency "alll"; it has: all, later, own`: replace("r/a", "alll", ""),
		`r/a@v2 has no dependency "own"; it has: all, later`:    replace("r/a@v2", "own", ""),
	} {
		if err := CheckReplacement(indexes, r); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", r, err, want)
		}
	}
	for url, want := range map[string]string{"{os}/{arch}": "", "x": "", "{OS}{os}": "{OS}", "{": "", "a}{": "", "{}": "{}", "{os}{arch }": "{arch }"} {
		if got := replace("r/a", "all", url).UnknownPlaceholder(); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

// TestSelectBoundsProblems wants an error that does not grow with the index.
func TestSelectBoundsProblems(t *testing.T) {
	t.Parallel()
	var s Selection
	document := "entries:\n"
	for i := range 200 {
		document += fmt.Sprintf("- {name: p%d, type: source, version: v1, urls: [{url: x, platform: {os: linux, architecture: amd64}}]}\n", i)
		s.Plugins = append(s.Plugins, agent.PluginKey{Repository: "r", Name: fmt.Sprint("absent-", i)})
	}
	_, _, err := Select(map[string]*Index{"r": parseText(t, document)}, s)
	if err == nil || len(err.Error()) > 50_000 || !strings.Contains(err.Error(), " and 150 more\n") || !strings.HasSuffix(err.Error(), "\nthe names after these were not checked") {
		t.Errorf("%.2000v", err)
	}
}

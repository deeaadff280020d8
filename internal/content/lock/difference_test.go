package lock

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// TestDifferenceString words a difference of each subject and aspect.
func TestDifferenceString(t *testing.T) {
	t.Parallel()
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	plugin := Difference{Change: Changed, Repository: "demo", Type: agent.Executor, Name: "hello", Version: "v1"}
	of := func(change Change, s Subject, a Aspect, d Difference) Difference {
		d.Change, d.Subject, d.Aspect = change, s, a
		return d
	}
	with := func(from, to string, d Difference) Difference {
		d.From, d.To = from, to
		return d
	}
	on := func(d Difference) Difference { d.Platform = &amd64; return d }
	dependency := func(d Difference) Difference { d.Dependency = "jq"; return d }
	templates := func(path string) Difference {
		d := plugin
		d.Source, d.Path = "e.com/t", path
		return d
	}
	for _, tt := range []struct {
		d    Difference
		want string
	}{
		{of(Changed, SubjectBotkube, AspectVersion, with("", "v2", Difference{})), "Botkube: none -> v2"},
		{of(Added, SubjectPlatform, "", on(Difference{})), "platform linux/amd64"},
		{of(Removed, SubjectRepository, "", with("https://e.com/i", "", Difference{Repository: "demo"})), "repository demo: https://e.com/i"},
		{of(Changed, SubjectRepository, AspectURL, with("a", "b", Difference{Repository: "demo"})), "repository demo: a -> b"},
		{of(Changed, SubjectRepository, AspectIndex, with(digest("a"), digest("b"), Difference{Repository: "demo"})), "repository demo: index sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb"},
		{of(Changed, SubjectRepository, AspectSchemas, Difference{Repository: "demo"}), "repository demo: the JSON schemas that its index refers to"},
		{of(Added, SubjectPlugin, "", plugin), "executor demo/hello@v1"},
		{of(Changed, SubjectPlugin, AspectVersion, with("v0", "v1", plugin)), "executor demo/hello: v0 -> v1"},
		{of(Added, SubjectBuild, "", with("", "u", on(plugin))), "executor demo/hello@v1 for linux/amd64: u"},
		{of(Changed, SubjectBuild, AspectVerifiedBy, with("index", "none", on(plugin))), "executor demo/hello@v1 for linux/amd64: checksum from the index -> unverified"},
		{of(Removed, SubjectDependency, "", with("u", "", dependency(on(plugin)))), "executor demo/hello@v1 for linux/amd64: dependency jq: u"},
		{of(Changed, SubjectDependency, AspectFromNewest, with("no", "yes", dependency(plugin))), "executor demo/hello@v1: dependency jq: now only a newer version of the plugin lists it"},
		{of(Changed, SubjectDependency, AspectFromNewest, with("yes", "no", dependency(plugin))), "executor demo/hello@v1: dependency jq: now its own version of the plugin lists it"},
		{of(Changed, SubjectDependency, AspectReplaces, with("", "u", dependency(plugin))), "executor demo/hello@v1: dependency jq: now replaced: the index has u"},
		{of(Changed, SubjectDependency, AspectReplaces, with("", ReplacesNothing, dependency(plugin))), "executor demo/hello@v1: dependency jq: now supplied (the index has none)"},
		{of(Changed, SubjectDependency, AspectReplaces, with("u", "", dependency(plugin))), "executor demo/hello@v1: dependency jq: no longer replaced"},
		{of(Changed, SubjectDependency, AspectReplaces, with("u", "v", dependency(plugin))), "executor demo/hello@v1: dependency jq: replaced: the index has u -> v"},
		{of(Changed, SubjectDependency, AspectVerifiedBy, with("none", "flag", dependency(plugin))), "executor demo/hello@v1: dependency jq: checksum unverified -> from --dependency"},
		{of(Added, SubjectTemplates, "", templates("")), "executor demo/hello@v1: templates e.com/t"},
		{of(Changed, SubjectTemplates, AspectFile, with(digest("a"), digest("b"), templates("a/b.yaml"))), "executor demo/hello@v1: templates e.com/t: a/b.yaml: sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb"},
		{of(Added, SubjectFile, "", with("", digest("a"), Difference{URL: "u"})), "u: sha256:aaaaaaaaaaaa"},
		{of(Changed, SubjectFile, AspectContent, with(digest("a"), digest("b"), Difference{URL: "u"})), "u: other content under the same URL: sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb"},
		{of(Changed, SubjectFile, AspectVerifiedBy, with("publisher", "lock", Difference{URL: "u"})), "u: checksum from the publisher -> from an earlier lock"},
		{of(Changed, SubjectFile, AspectVerifiedWith, with("", "a b", Difference{URL: "u"})), "u: checksum from the publisher, in none -> a b"},
		{of(Changed, SubjectAgentImage, AspectContent, with(digest("a"), digest("b"), on(Difference{}))), "agent image for linux/amd64: other content under the same reference: sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb"},
		{of(Changed, SubjectAgentImage, AspectIndex, with("", digest("b"), Difference{})), "agent image: index none -> sha256:bbbbbbbbbbbb"},
		{of(Changed, SubjectWatcherImage, AspectReference, with("r:1", "r:2", Difference{})), "watcher image: r:1 -> r:2"},
		{of(Changed, SubjectChart, AspectContent, with(digest("a"), digest("b"), Difference{})), "chart: other content under the same version: sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb"},
		{of(Changed, SubjectChart, AspectName, with("a", "b", Difference{})), "chart: name a -> b"},
	} {
		if got := tt.d.String(); got != tt.want {
			t.Errorf("%+v is worded\n%s, want\n%s", tt.d, got, tt.want)
		}
	}
}

// Only what begins like a digest and is long enough is cut.
func TestShortDigest(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"sha256:0123456789ab":                    "sha256:0123456789ab",
		"sha256:0123456789abc":                   "sha256:0123456789ab",
		"sha256:01":                              "sha256:01",
		"https://e.com/0123456789/0123456789abc": "https://e.com/0123456789/0123456789abc",
	} {
		if got := shortDigest(s); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

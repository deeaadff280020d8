package mirror

import (
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// TestFollows has versions with and without an order, and pre-releases.
func TestFollows(t *testing.T) {
	for _, c := range []struct {
		version, have string
		prereleases   bool
		want          bool
	}{
		{"v1.1.0", "v1.0.0", false, true},
		{"1.1.0", "v1.0.0", false, true},
		{"v1.10.0", "v1.9.0", false, true},
		{"v1.0.0", "v1.0.0", false, false},
		{"v0.9.0", "v1.0.0", false, false},
		{"v1.1.0-rc.1", "v1.0.0", false, false},
		{"v1.1.0-rc.1", "v1.0.0", true, true},
		{"v1.1.0-rc.2", "v1.1.0-rc.1", false, true},
		{"v1.1.0", "v1.1.0-rc.1", false, true},
		{"v1.1.0-rc.1", "v1.1.0", true, false},
		{"main", "v1.0.0", false, true},
		{"main", "main", false, false},
	} {
		if got := follows(c.version, c.have, c.prereleases); got != c.want {
			t.Errorf("%s after %s (%t): %t", c.version, c.have, c.prereleases, got)
		}
	}
}

// TestImagesInLockCommand has locks of charts with a second container, and releases after them.
func TestImagesInLockCommand(t *testing.T) {
	image := func(reference string) *lock.Image {
		if reference == "" {
			return nil
		}
		return &lock.Image{Reference: reference}
	}
	const official, mirrored = "ghcr.io/kubeshop/k8s-sidecar:in-cluster-config", "r.example.com/kubeshop/k8s-sidecar:in-cluster-config"
	for _, c := range []struct{ agent, watcher, release, want string }{
		{"ghcr.io/kubeshop/botkube:v1.4.0", official, "v1.4.0", "--with-agent-image"},
		{"ghcr.io/kubeshop/botkube:v1.4.0", official, "v1.4.1", "--with-agent-image"},
		{"ghcr.io/kubeshop/botkube:v1.4.0", "", "v1.4.0", "--with-agent-image --watcher-image none"},
		{"ghcr.io/kubeshop/botkube:v1.4.0", mirrored, "v1.4.0", "--with-agent-image --watcher-image " + mirrored},
		{"r.example.com/botkube:v1.4.0", official, "v1.4.1", "--with-agent-image=r.example.com/botkube:v1.4.1 --watcher-image " + official},
		{"r.example.com/botkube:v1.4.0", mirrored, "v1.14.0", "--with-agent-image=r.example.com/botkube:v1.14.0"},
		{"ghcr.io/kubeshop/botkube:v1.4.0", "", "v1.14.0", "--with-agent-image"},
		{"r.example.com/botkube:v1.4.0@sha256:1", "", "v1.14.0", "--with-agent-image=r.example.com/botkube:v1.14.0"},
		{"r.example.com/botkube:v1.4.0@sha256:1", official, "v1.4.0", "--with-agent-image=r.example.com/botkube:v1.4.0@sha256:1 --watcher-image " + official},
	} {
		o := &outdating{
			pinned:  &lock.Lock{BotkubeVersion: "v1.4.0", AgentImage: image(c.agent), WatcherImage: image(c.watcher)},
			current: new(resolve.Current), found: &Outdated{Release: &NewerRelease{Version: c.release, Newer: true}},
		}
		want := "botkube-mirror lock --version " + c.release + " " + c.want
		if got := strings.Join(o.lockCommand(), " "); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

// TestTemplatesInLockCommand has two versions of exec, each with the same templates or with none.
func TestTemplatesInLockCommand(t *testing.T) {
	entries, schema := "", `{"properties": {"templates": {"items": {"properties": {"ref": {"default": "e.com/default"}}}}}}`
	for _, version := range []string{"v1.0.0", "v1.1.0"} {
		entries += "- {name: exec, type: executor, version: " + version + ", jsonSchema: {value: '" + schema + "'}, urls: [{url: e, platform: {os: linux, architecture: amd64}}]}\n"
	}
	ix, err := index.Parse([]byte("entries:\n" + entries))
	if err != nil {
		t.Fatal(err)
	}
	for want, templates := range map[string][]lock.Template{
		"":                         {{Ref: "e.com/default"}},
		" --no-exec-templates":     nil,
		" --exec-template e.com/t": {{Ref: "e.com/default"}, {Ref: "e.com/t"}},
	} {
		o := &outdating{pinned: new(lock.Lock), current: &resolve.Current{Indexes: map[string]*index.Index{"r": ix}}, found: new(Outdated)}
		for _, version := range []string{"v1.0.0", "v1.1.0"} {
			o.pinned.Plugins = append(o.pinned.Plugins, lock.Plugin{Repository: "r", Type: agent.Executor, Name: "exec", Version: version, Templates: templates})
		}
		if got := strings.TrimPrefix(strings.Join(o.lockCommand(), " "), "botkube-mirror lock"); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

// TestHasAll has locks of all plugins of a release, and of fewer than there are.
func TestHasAll(t *testing.T) {
	ix, err := index.Parse([]byte("entries: [{name: a, type: source, version: v1.0.0, urls: [{url: a, platform: {os: linux, architecture: amd64}}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	var all []lock.Repository
	for _, r := range agent.DefaultRepositories("v1.14.0") {
		all = append(all, lock.Repository{Name: r.Name, URL: r.URL})
	}
	for name, c := range map[string]struct {
		repositories  []lock.Repository
		read, plugins int
		want          bool
	}{
		"all":                  {all, len(all), len(all), true},
		"an index is not read": {all, len(all) - 1, len(all), false},
		"a plugin less":        {all, len(all), len(all) - 1, false},
		"a repository less":    {all[:1], 1, 1, false},
	} {
		o := &outdating{pinned: &lock.Lock{BotkubeVersion: "v1.14.0", Repositories: c.repositories}, current: &resolve.Current{Indexes: map[string]*index.Index{}}}
		for _, r := range all[:c.read] {
			o.current.Indexes[r.Name] = ix
		}
		for _, r := range all[:c.plugins] {
			o.pinned.Plugins = append(o.pinned.Plugins, lock.Plugin{Repository: r.Name, Type: agent.Source, Name: "a"})
		}
		if o.hasAll() != c.want {
			t.Errorf("%s: %t", name, !c.want)
		}
	}
}

// TestReplacementFlags has URLs that differ by platform in every way.
func TestReplacementFlags(t *testing.T) {
	intel, arm := agent.Platform{OS: "linux", Arch: "amd64"}, agent.Platform{OS: "linux", Arch: "arm64"}
	for _, c := range []struct {
		urls map[agent.Platform]string
		want []string
	}{
		{map[agent.Platform]string{intel: "https://e.com/x", arm: "https://e.com/x"}, []string{"d=https://e.com/x"}},
		{map[agent.Platform]string{intel: "https://linux.e.com/amd64/x", arm: "https://linux.e.com/arm64/x"}, []string{"d=https://{os}.e.com/{arch}/x"}},
		{map[agent.Platform]string{intel: "https://e.com/x86_64", arm: "https://e.com/aarch64"}, []string{"d@linux/amd64=https://e.com/x86_64", "d@linux/arm64=https://e.com/aarch64"}},
		{map[agent.Platform]string{arm: "https://e.com/linux-arm64"}, []string{"d@linux/arm64=https://e.com/linux-arm64"}},
		{map[agent.Platform]string{intel: "https://e.com/x?checksum=1", arm: "https://e.com/x?checksum=2"}, []string{"d@linux/amd64=https://e.com/x?checksum=1", "d@linux/arm64=https://e.com/x?checksum=2"}},
	} {
		if got := replacementFlags("d", c.urls, []agent.Platform{intel, arm}); !slices.Equal(got, c.want) {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}

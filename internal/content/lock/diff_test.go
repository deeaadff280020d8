package lock

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

var (
	amd64 = agent.Platform{OS: "linux", Arch: "amd64"}
	arm64 = agent.Platform{OS: "linux", Arch: "arm64"}
)

// parsed returns the sample with every member that a bundle can have.
func parsed(t testing.TB) *Lock {
	t.Helper()
	l, err := Parse(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	manifest := func(p agent.Platform, b byte) ImageManifest {
		return ImageManifest{Platform: p, MediaType: manifestTypes[0], Blob: Blob{7, SHA256{b}}, Blobs: []Blob{{8, SHA256{b, b}}}}
	}
	l.AgentImage = &Image{Reference: "ghcr.io/kubeshop/botkube:v1.14.0", Manifests: []ImageManifest{manifest(amd64, 1), manifest(arm64, 2)}}
	l.Chart = &Chart{Name: "botkube", Version: "1.14.0", URL: "https://e.com/botkube-1.14.0.tgz", Blob: Blob{9, SHA256{3}}, VerifiedBy: ByIndex}
	return l
}

// short is how the table below writes a difference.
func short(d Difference) string {
	parts := []string{string(d.Change), string(d.Subject), string(d.Aspect)}
	if d.Name != "" {
		parts = append(parts, fmt.Sprintf("%s/%s@%s", d.Repository, d.Name, d.Version))
	} else {
		parts = append(parts, d.Repository)
	}
	if d.Platform != nil {
		parts = append(parts, d.Platform.String())
	}
	parts = append(parts, d.Dependency, d.URL)
	if d.From != "" {
		parts = append(parts, clip(d.From), "->")
	}
	parts = append(parts, clip(d.To))
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

func clip(s string) string {
	if len(s) > 34 {
		return s[:11] + "…"
	}
	return s
}

func TestDiff(t *testing.T) {
	t.Parallel()
	removeURL := func(l *Lock, url string) {
		l.Artifacts = slices.DeleteFunc(l.Artifacts, func(a Artifact) bool { return a.URL == url })
	}
	hello := func(l *Lock) *Plugin { return &l.Plugins[0] }
	for _, tt := range []struct {
		name   string
		change func(*Lock)
		want   []string
	}{
		{"nothing", func(*Lock) {}, nil},
		{"Botkube", func(l *Lock) { l.BotkubeVersion = "v1.15.0" }, []string{
			"changed botkube version v1.14.0 -> v1.15.0"}},
		{"a platform less says it all", func(l *Lock) { *l = *l.Subset([]agent.Platform{amd64}, func(Plugin) bool { return true }) }, []string{
			"removed platform linux/arm64"}},
		{"a platform more, with nothing for it", func(l *Lock) { l.Platforms = append(l.Platforms, agent.Platform{OS: "windows", Arch: "amd64"}) }, []string{
			"added platform windows/amd64"}},
		{"a repository", func(l *Lock) {
			l.Repositories = append(l.Repositories, Repository{Name: "extra", URL: "https://e.com/extra.yaml"})
		}, []string{
			"added repository extra https://e.com/extra.yaml"}},
		{"an index elsewhere, with other content and schemas", func(l *Lock) {
			r := &l.Repositories[0]
			r.URL, r.Index.SHA256, r.Schemas = "https://f.com/index.yaml", SHA256{5}, nil
		}, []string{
			"changed repository url demo https://e.com/index.yaml -> https://f.com/index.yaml",
			"changed repository index demo sha256:dddd… -> sha256:0500…",
			"changed repository schemas demo"}},
		{"a plugin less", func(l *Lock) { l.Plugins, l.Artifacts = nil, nil }, []string{
			"removed plugin demo/hello@v1.0.0"}},
		{"a plugin less, with the schemas that it refers to", func(l *Lock) {
			l.Plugins, l.Artifacts, l.Repositories[0].Schemas = nil, nil, nil
		}, []string{
			"removed plugin demo/hello@v1.0.0"}},
		{"a new version, whose URLs are new of course", func(l *Lock) {
			hello(l).Version = "v1.1.0"
			hello(l).Builds[0].URL = "https://e.com/hello-1.1.0.tar.gz"
			l.Artifacts[2].URL = "https://e.com/hello-1.1.0.tar.gz"
		}, []string{
			"changed plugin version demo/hello@v1.1.0 v1.0.0 -> v1.1.0"}},
		{"a new version that nobody vouches for", func(l *Lock) {
			hello(l).Version = "v1.1.0"
			hello(l).Builds[0].URL = "https://e.com/hello-1.1.0.tar.gz"
			l.Artifacts[2].URL, l.Artifacts[2].VerifiedBy = "https://e.com/hello-1.1.0.tar.gz", ByNone
		}, []string{
			"changed plugin version demo/hello@v1.1.0 v1.0.0 -> v1.1.0",
			"changed build verifiedBy demo/hello@v1.1.0 linux/amd64 https://e.com/hello-1.1.0.tar.gz index -> none"}},
		{"a second version", func(l *Lock) {
			second := *hello(l)
			second.Version = "v1.1.0"
			l.Plugins = append(l.Plugins, second)
		}, []string{
			"added plugin demo/hello@v1.1.0"}},
		{"a build less", func(l *Lock) {
			hello(l).Builds = hello(l).Builds[:1]
			removeURL(l, "https://e.com/hello-arm64.tar.gz")
		}, []string{
			"removed build demo/hello@v1.0.0 linux/arm64 https://e.com/hello-arm64.tar.gz ->"}},
		{"a plugin listed in two places", func(l *Lock) {
			second := *hello(l)
			second.Builds, hello(l).Builds = second.Builds[1:], second.Builds[:1]
			l.Plugins = append(l.Plugins, second)
		}, nil},
		{"another URL", func(l *Lock) {
			hello(l).Builds[1].URL, l.Artifacts[1].URL = "https://f.com/hello.tar.gz", "https://f.com/hello.tar.gz"
		}, []string{
			"changed build url demo/hello@v1.0.0 linux/arm64 https://e.com/hello-arm64.tar.gz -> https://f.com/hello.tar.gz"}},
		{"another member of the same archive", func(l *Lock) {
			hello(l).Builds[0].Dependencies[1].URL = "https://e.com/speak.tar.gz//linux-arm64"
		}, []string{
			"changed dependency url demo/hello@v1.0.0 linux/amd64 speak https://e.c… -> https://e.c…"}},
		{"other bytes at the same URL", func(l *Lock) { l.Artifacts[0].SHA256 = SHA256{6} }, []string{
			"changed file content https://e.com/greet sha256:bbbb… -> sha256:0600…"}},
		{"dependencies", func(l *Lock) {
			d := hello(l).Builds[0].Dependencies
			d[0].Name, d[1].FromNewest = "salute", false
		}, []string{
			"removed dependency demo/hello@v1.0.0 linux/amd64 greet https://e.com/greet ->",
			"added dependency demo/hello@v1.0.0 linux/amd64 salute https://e.com/greet",
			"changed dependency fromNewest demo/hello@v1.0.0 linux/amd64 speak yes -> no"}},
		{"who vouches", func(l *Lock) {
			l.Artifacts[0].VerifiedWith = []string{"https://e.com/SHA256SUMS"}
			l.Artifacts[1].VerifiedBy = ByNone
		}, []string{
			"changed file verifiedWith https://e.com/greet https://e.com/greet.sha256 -> https://e.com/SHA256SUMS",
			"changed file verifiedBy https://e.com/hello-arm64.tar.gz index -> none"}},
		{"a file that nothing needs", func(l *Lock) {
			l.Artifacts = append(l.Artifacts, Artifact{URL: "https://e.com/zzz", Blob: Blob{1, SHA256{7}}, VerifiedBy: ByNone})
		}, []string{
			"added file https://e.com/zzz sha256:0700…"}},
		{"no members", func(l *Lock) { l.AgentImage, l.Chart = nil, nil }, []string{
			"removed agentImage ghcr.io/kubeshop/botkube:v1.14.0 ->",
			"removed chart botkube 1.14.0 ->"}},
		{"the next members", func(l *Lock) {
			l.AgentImage.Reference, l.AgentImage.Manifests[0].SHA256 = "ghcr.io/kubeshop/botkube:v1.15.0", SHA256{8}
			l.Chart.Version, l.Chart.URL, l.Chart.SHA256, l.Chart.VerifiedBy = "1.15.0", "https://e.com/botkube-1.15.0.tgz", SHA256{8}, ByNone
		}, []string{
			"changed agentImage reference ghcr.io/kubeshop/botkube:v1.14.0 -> ghcr.io/kubeshop/botkube:v1.15.0",
			"changed chart version 1.14.0 -> 1.15.0",
			"changed chart verifiedBy index -> none"}},
		{"members that were replaced", func(l *Lock) {
			l.AgentImage.Manifests[0].SHA256, l.Chart.SHA256 = SHA256{8}, SHA256{9}
		}, []string{
			"changed agentImage content linux/amd64 sha256:0100… -> sha256:0800…",
			"changed chart content sha256:0300… -> sha256:0900…"}},
		{"a watcher image", func(l *Lock) { l.WatcherImage = &Image{Reference: "e.com/w:1", Manifests: l.AgentImage.Manifests} }, []string{
			"added watcherImage e.com/w:1"}},
		{"an image whose index is upstream's", func(l *Lock) { l.AgentImage.Index = &ImageIndex{SHA256: SHA256{5}} }, []string{
			"changed agentImage index sha256:0500…"}},
		{"an image for a platform less", func(l *Lock) { l.AgentImage.Manifests = l.AgentImage.Manifests[:1] }, []string{
			"removed agentImage linux/arm64 sha256:0200… ->"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := parsed(t), parsed(t)
			tt.change(b)
			b.Sort()
			var got []string
			for _, d := range Diff(a, b) {
				got = append(got, short(d))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			checkMirrored(t, a, b)
		})
	}
}

// checkMirrored compares a difference with that the other way round.
func checkMirrored(t *testing.T, a, b *Lock) {
	t.Helper()
	there, back := Diff(a, b), Diff(b, a)
	if len(there) != len(back) {
		t.Fatalf("%d differences there, %d back", len(there), len(back))
	}
	opposite := map[Change]Change{Added: Removed, Removed: Added, Changed: Changed}
	for i, d := range there {
		e := back[i]
		if e.Change != opposite[d.Change] || e.Subject != d.Subject || e.Aspect != d.Aspect || e.From != d.To || e.To != d.From {
			t.Errorf("%s there, but %s back", short(d), short(e))
		}
	}
}

func TestDiffSaysWhatIsAlarming(t *testing.T) {
	t.Parallel()
	a, b := parsed(t), parsed(t)
	b.Repositories[0].Index.SHA256 = SHA256{1}
	b.Artifacts[0].SHA256 = SHA256{2}
	var alarming []string
	for _, d := range Diff(a, b) {
		if d.Alarming() {
			alarming = append(alarming, d.URL)
		}
	}
	if !slices.Equal(alarming, []string{"https://e.com/greet"}) {
		t.Errorf("alarming: %v", alarming)
	}
}

func FuzzDiff(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add([]byte("\x03\x01\x01\x01\x01\x01\x01"), []byte("\x03\x01\x02\x01\x03\x01\x01"))
	f.Add([]byte("\x07abcdefghijklmnopqrstuvwxyz"), []byte("\x07abcdefghijKlmnopqrstuvwxyz"))
	f.Add([]byte("\x07~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~"), []byte("\x05}}}}}}}}}}}}}}}}}}}}}}}}}}}}}"))
	f.Fuzz(func(t *testing.T, choicesA, choicesB []byte) {
		a, b := made(t, choicesA), made(t, choicesB)
		for _, l := range []*Lock{a, b} {
			if same := Diff(l, l); len(same) > 0 {
				t.Fatalf("a lock differs from itself: %v", same)
			}
		}
		checkMirrored(t, a, b)
		dataA, _ := a.Marshal()
		dataB, _ := b.Marshal()
		if same := bytes.Equal(dataA, dataB); same != (len(Diff(a, b)) == 0) {
			t.Fatalf("that the locks are the same is %t, but the differences are %v of\n%s\nand\n%s", same, Diff(a, b), dataA, dataB)
		}
	})
}

// choices are bytes that decide what a lock is made of.
type choices struct{ data []byte }

// of returns a number below n.
func (c *choices) of(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	choice := int(c.data[0]) % n
	c.data = c.data[1:]
	return choice
}

// made returns a small lock that passes [Lock.Check].
func made(t *testing.T, data []byte) *Lock {
	c := &choices{data}
	l := &Lock{SchemaVersion: SchemaVersion, BotkubeVersion: pick(c, "", "v1", "v2")}
	all := []agent.Platform{amd64, arm64, {OS: "windows", Arch: "amd64"}}
	l.Platforms = append(l.Platforms, all[:1+c.of(3)]...)
	urls := map[string]bool{}
	if c.of(4) == 1 {
		urls["https://e.com/unneeded"] = true
	}
	for _, repository := range []string{"r", "s"}[:c.of(3)] {
		r := Repository{Name: repository, URL: pick(c, "https://e.com/i", "https://e.com/j"), Index: c.blob()}
		for range c.of(2) {
			r.Schemas = append(r.Schemas, Schema{URL: "https://e.com/schema", Blob: c.blob()})
		}
		l.Repositories = append(l.Repositories, r)
		for _, version := range []string{"1", "2", "3"} {
			if c.of(2) == 1 {
				l.Plugins = append(l.Plugins, c.plugin(repository, version, l.Platforms, urls))
			}
		}
	}
	for url := range urls {
		l.Artifacts = append(l.Artifacts, Artifact{URL: url})
	}
	l.Sort()
	for i := range l.Artifacts {
		a := &l.Artifacts[i]
		a.Blob, a.VerifiedBy = c.blob(), ChecksumSource(pick(c, "index", "publisher", "lock", "none"))
		if c.of(3) == 1 {
			a.VerifiedWith = []string{pick(c, "https://e.com/1", "https://e.com/2")}
		}
	}
	c.members(l)
	l.Sort()
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	return l
}

func pick(c *choices, values ...string) string { return values[c.of(len(values))] }

func (c *choices) blob() Blob { return Blob{Size: 1, SHA256: SHA256{byte(c.of(3))}} }

func (c *choices) plugin(repository, version string, platforms []agent.Platform, urls map[string]bool) Plugin {
	p := Plugin{Repository: repository, Type: agent.Executor, Name: "p", Version: version}
	url := func() string {
		artifact := pick(c, "https://e.com/1", "https://e.com/2", "https://e.com/3")
		urls[artifact] = true
		return artifact + pick(c, "", "//sub", "?archive=zip")
	}
	for _, platform := range platforms {
		if c.of(4) == 3 {
			continue
		}
		b := Build{Platform: platform, URL: url()}
		for _, name := range []string{"d", "e"}[:c.of(3)] {
			b.Dependencies = append(b.Dependencies, Dependency{Name: name, URL: url(), FromNewest: c.of(2) == 1})
		}
		p.Builds = append(p.Builds, b)
	}
	return p
}

func (c *choices) members(l *Lock) {
	if c.of(3) == 1 {
		l.AgentImage = &Image{Reference: pick(c, "e.com/b:1", "e.com/b:2")}
		for _, p := range l.Platforms[:1+c.of(len(l.Platforms))] {
			l.AgentImage.Manifests = append(l.AgentImage.Manifests, ImageManifest{Platform: p, MediaType: manifestTypes[c.of(2)], Blob: c.blob(), Blobs: []Blob{c.blob()}})
		}
	}
	if im := l.AgentImage; im != nil && len(im.Manifests) == 1 && c.of(2) == 1 {
		im.Index = &ImageIndex{MediaType: im.Manifests[0].MediaType, SHA256: im.Manifests[0].SHA256}
	}
	if l.AgentImage != nil && c.of(3) == 1 {
		l.WatcherImage = &Image{Reference: pick(c, "e.com/w:1", "e.com/w:2")}
		for _, m := range l.AgentImage.Manifests {
			m.Blob = c.blob()
			l.WatcherImage.Manifests = append(l.WatcherImage.Manifests, m)
		}
	}
	if c.of(3) == 1 {
		l.Chart = &Chart{Name: pick(c, "b", "c"), Version: pick(c, "1", "2"), URL: pick(c, "https://e.com/1", "https://e.com/2"), Blob: c.blob(), VerifiedBy: ByNone}
	}
}

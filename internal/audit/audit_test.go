package audit

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

var (
	amd64 = agent.Platform{OS: "linux", Arch: "amd64"}
	arm64 = agent.Platform{OS: "linux", Arch: "arm64"}
)

func sum(text string) *lock.SHA256 {
	d := lock.Sum([]byte(text))
	return &d
}

// permutations calls with each order of the numbers below n.
func permutations(n int, with func(order []int)) {
	var extend func(order []int)
	extend = func(order []int) {
		if len(order) == n {
			with(order)
			return
		}
		for i := range n {
			if !slices.Contains(order, i) {
				extend(append(slices.Clone(order), i))
			}
		}
	}
	extend(nil)
}

// TestFilesMerged adds files in every order, as goroutines do.
func TestFilesMerged(t *testing.T) {
	from := func(url string) []lock.Artifact { return []lock.Artifact{{URL: url}} }
	added := []File{
		{Path: "b", Content: "two", Platforms: []agent.Platform{arm64}, State: Intact, SHA256: sum("b"), Sources: from("https://b/2")},
		{Path: "b", Content: "one", Platforms: []agent.Platform{amd64}, State: Intact, SHA256: sum("b"), Sources: from("https://b/1")},
		{Path: "b", Content: "one", Platforms: []agent.Platform{amd64}, State: Intact, SHA256: sum("b"), Sources: from("https://b/1")},
		{Path: "a", State: Missing, Expected: sum("2")},
		{Path: "a", State: Missing, Expected: sum("1")},
	}
	first := sum("1")
	if sum("2").String() < first.String() {
		first = sum("2")
	}
	want := []File{
		{Path: "a", State: Missing, Expected: first},
		{Path: "b", Content: "one", Platforms: []agent.Platform{amd64, arm64}, State: Intact, SHA256: sum("b"), Sources: append(from("https://b/1"), from("https://b/2")...)},
	}
	permutations(len(added), func(order []int) {
		var r Report
		for _, i := range order {
			r.Add(added[i], "")
		}
		for range 2 {
			if got := r.Files(); !reflect.DeepEqual(got, want) {
				t.Fatalf("in the order %v: %+v", order, got)
			}
		}
	})
	if len(added[0].Sources) != 1 || len(added[1].Platforms) != 1 {
		t.Error("what was added was changed")
	}
}

func TestFilesApart(t *testing.T) {
	var r Report
	r.Add(File{Path: "a", State: Intact, SHA256: sum("1")}, "")
	r.Add(File{Path: "a", State: Damaged, SHA256: sum("2")}, "it is damaged")
	r.Add(File{Path: "a", State: Damaged, SHA256: sum("1")}, "it is damaged, too")
	if got := r.Files(); len(got) != 3 {
		t.Errorf("%+v", got)
	}
}

func TestProblems(t *testing.T) {
	added := []Problem{
		{Kind: KindMissing, Path: "a", Detail: "it is missing"},
		{Kind: KindDamaged, Path: "b", Detail: "it is damaged"},
		{Kind: KindDamaged, Path: "b", Detail: "it is damaged"},
		{Kind: KindDiffers, Detail: "it differs"},
		{Kind: KindIndex, Path: "a.yaml", Detail: "it leads elsewhere"},
		{Kind: KindUnexpected, Path: "c", Detail: "nobody asked for it"},
	}
	want := []Problem{added[1], added[5], added[4], added[3], added[0]}
	permutations(len(added), func(order []int) {
		var r Report
		for _, i := range order {
			r.Fail(added[i])
		}
		for range 3 { // some look before all is there
			if got := r.Problems(); !slices.Equal(got, want) {
				t.Fatalf("in the order %v: %+v", order, got)
			}
		}
	})
}

func TestNotesAndOutlooks(t *testing.T) {
	var r Report
	for _, text := range []string{"b", "a", "b"} {
		r.Note(text)
	}
	for i, g := range []StartState{{Version: "v2"}, {Version: "v1"}, {Version: "v2"}} {
		g.Lock, g.Platform = new(lock.Lock), arm64
		if i == 2 {
			g.Platform = amd64
		}
		r.Expect(g)
	}
	for range 2 {
		if got := r.Notes(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%q", got)
		}
		var order []string
		for _, o := range r.Predictions() {
			order = append(order, o.Version+" "+o.Platform.String())
		}
		for i, g := range r.StartStates() {
			if got := g.Version + " " + g.Platform.String(); got != order[i] {
				t.Errorf("ground %d is %s, not %s", i, got, order[i])
			}
		}
		if !slices.Equal(order, []string{"v1 linux/arm64", "v2 linux/amd64", "v2 linux/arm64"}) {
			t.Errorf("%q", order)
		}
	}
}

// plugin is one of the lock in [TestPredict].
func plugin(kind agent.PluginType, name, version string, platforms ...agent.Platform) lock.Plugin {
	p := lock.Plugin{Repository: "demo", Type: kind, Name: name, Version: version}
	for _, platform := range platforms {
		p.Builds = append(p.Builds, lock.Build{Platform: platform})
	}
	return p
}

func TestKeys(t *testing.T) {
	l := &lock.Lock{Plugins: []lock.Plugin{
		plugin(agent.Executor, "echo", "v1.0.0", amd64, arm64),
		plugin(agent.Executor, "echo", "v2.0.0", amd64),
		plugin(agent.Source, "echo", "v1.0.0", amd64),
		plugin(agent.Source, "other", "v1.0.0", arm64),
	}}
	for platform, want := range map[agent.Platform]string{
		amd64: "executor demo/echo, executor demo/echo@v1.0.0, executor demo/echo@v2.0.0, source demo/echo",
		arm64: "executor demo/echo, source demo/other",
	} {
		var got []string
		for _, p := range keys(l, platform) {
			got = append(got, string(p.Type)+" "+p.Key)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q", platform, got)
		}
	}
}

func TestPredict(t *testing.T) {
	const index = `entries:
  - {name: echo, type: executor, version: v1.0.0, description: d, urls: [{url: "file:///plugins/demo/executor_v1.0.0_echo", platform: {os: linux, architecture: amd64}, dependencies: {helm: {url: "https://example.com/helm"}}}]}
`
	const (
		binary  = "demo/executor_v1.0.0_echo"
		helm    = binary + "_deps/helm"
		indexAt = "https://example.com/plugins-index.yaml"
	)
	for _, c := range []struct {
		name     string
		files    []string
		index    string
		onDisk   bool
		external []string
		failures int
		mirror   int
	}{
		{"all is there", []string{binary, helm}, index, true, nil, 0, 0},
		{"a dependency leads elsewhere", []string{binary}, index, true, []string{"dependency https://example.com/helm dependency helm is missing"}, 0, 0},
		{"the binary is not on the disk", []string{helm}, index, true, nil, 1, 0},
		{"the binary comes from the mirror", []string{helm}, index, false, nil, 0, 1},
		{"there is no index", nil, "", true, []string{"index " + indexAt + " demo.yaml is missing"}, 1, 0},
		{"the index lacks it", nil, "entries: []\n", true, []string{"index " + indexAt + " the index of the mirror does not have demo/echo, so the agent asks upstream"}, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := StartState{
				Startup: agent.Startup{Platform: amd64, Files: map[string]bool{}, Indexes: map[string][]byte{}, URLs: map[string]string{"demo": indexAt}},
				Lock:    &lock.Lock{Plugins: []lock.Plugin{plugin(agent.Executor, "echo", "v1.0.0", amd64)}},
				Within:  func(url string) bool { return url[:5] == "file:" }, OnDisk: c.onDisk,
			}
			for _, p := range c.files {
				g.Files[p] = true
			}
			if c.index != "" {
				g.Indexes["demo"] = []byte(c.index)
			}
			o := g.Predict()
			var external []string
			for _, call := range o.External {
				external = append(external, string(call.Kind)+" "+call.URL+" "+call.Because)
			}
			if o.Plugins != 1 || !slices.Equal(external, c.external) || len(o.Failures) != c.failures || o.FromMirror != c.mirror {
				t.Errorf("%+v", o)
			}
		})
	}
}

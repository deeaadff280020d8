package lock

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// TestPartLacks wants what a lock does not have to be an error that says what it has, also if it has
// it of another plugin, of another type, or on another platform.
func TestPartLacks(t *testing.T) {
	amd64, arm64 := agent.Platform{OS: "linux", Arch: "amd64"}, agent.Platform{OS: "linux", Arch: "arm64"}
	key := func(s string) []agent.PluginKey {
		k, err := agent.ParsePluginKey(s)
		if err != nil {
			t.Fatal(err)
		}
		return []agent.PluginKey{k}
	}
	l := &Lock{
		Platforms:    []agent.Platform{amd64, arm64},
		Repositories: []Repository{{Name: "r"}},
		Plugins: []Plugin{
			{Repository: "r", Type: agent.Executor, Name: "a", Version: "v1", Builds: []Build{{Platform: amd64}, {Platform: arm64}}},
			{Repository: "r", Type: agent.Source, Name: "b", Version: "v1", Builds: []Build{{Platform: amd64}}},
		},
	}
	for name, test := range map[string]struct {
		Selection
		kind fault.Kind
		says string
	}{
		"a plugin":                    {Selection{Plugins: key("r/c")}, fault.Usage, `the lock has no plugin "r/c"; it has: r/a@v1, r/b@v1`},
		"a version":                   {Selection{Plugins: key("r/a@v2")}, fault.Usage, `r/a in the lock has no version "v2"; it has: v1`},
		"a type":                      {Selection{Executors: key("r/b")}, fault.Usage, `the lock has no executor "r/b"; it has: r/a@v1`},
		"a platform":                  {Selection{Platforms: []agent.Platform{{OS: "darwin", Arch: "arm64"}}}, fault.Incomplete, "the lock is for linux/amd64, linux/arm64"},
		"a platform of one plugin":    {Selection{Platforms: []agent.Platform{arm64}}, fault.Incomplete, "the lock has no build of r/b@v1 for linux/arm64"},
		"everything":                  {Selection{Exclude: append(key("r/a"), key("r/b@v1")...)}, fault.Usage, "no plugin of the lock is selected"},
		"what is wanted and left out": {Selection{Plugins: key("r/a"), Exclude: key("r/a")}, fault.Usage, "no plugin of the lock is selected: --exclude leaves out r/a"},
	} {
		part, err := l.Part("the lock", test.Selection)
		if err == nil || fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, %v", name, part, err)
		}
	}
	part, err := l.Part("the lock", Selection{Platforms: []agent.Platform{arm64}, Plugins: append(key("r/a"), key("r/c")...), Exclude: append(key("r/b"), key("r/c")...)})
	if err != nil || len(part.Plugins) != 1 || len(part.Plugins[0].Builds) != 1 {
		t.Errorf("what is left out is missed: %v, %v", part, err)
	}
}

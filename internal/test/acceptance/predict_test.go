//go:build linux

package acceptance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// start is a world, what the agent asks for in it, and whether it comes up in the end.
type start struct {
	world
	// asks are the URLs, in any order, without [base].
	asks []string
	// fails says that the manager's Start returns an error, though it has a network.
	fails bool
	// obstructed says that it does so for a reason that a prediction does not see, and then need not foresee.
	obstructed bool
}

var starts = map[string]start{
	"complete": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0", "one"), source("bell", "v1.0.0")),
			files:     []string{"acme/executor_v1.0.0_echo", "acme/executor_v1.0.0_echo_deps/one", "acme/source_v1.0.0_bell"},
			executors: []string{"acme/echo"}, sources: []string{"acme/bell"},
		},
	},
	"empty directory": {
		world: world{
			upstream:  acme(executor("echo", "v1.0.0", "one", "two"), source("bell", "v1.0.0", "one")),
			executors: []string{"acme/echo"}, sources: []string{"acme/bell"},
		},
		asks: []string{
			"acme.yaml", "acme/executor_echo_v1.0.0", "acme/executor_echo_v1.0.0_deps/one", "acme/executor_echo_v1.0.0_deps/two",
			"acme/source_bell_v1.0.0", "acme/source_bell_v1.0.0_deps/one",
		},
	},
	"no plugin enabled": {
		world: world{upstream: acme(executor("echo", "v1.0.0"))},
	},
	"archives, and a sub-directory of one": {
		world: world{
			upstream: acme(plugin{
				kind: "executor", name: "echo", version: "v1.0.0",
				needs: []string{"one"}, extension: ".tar.gz", beneath: ".tar.gz//some/where",
			}),
			executors: []string{"acme/echo"},
		},
		asks: []string{"acme.yaml", "acme/executor_echo_v1.0.0.tar.gz", "acme/executor_echo_v1.0.0_deps/one.tar.gz"},
	},
	"index missing": {
		world: world{
			upstream:  acme(executor("echo", "v1.0.0")),
			files:     []string{"acme/executor_v1.0.0_echo"},
			executors: []string{"acme/echo"},
		},
		asks: []string{"acme.yaml"},
	},
	"binary missing": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0", "one")),
			files:     []string{"acme/executor_v1.0.0_echo_deps/one"},
			executors: []string{"acme/echo"},
		},
		asks: []string{"acme/executor_echo_v1.0.0"},
	},
	"dependency missing": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0", "one", "two")),
			files:     []string{"acme/executor_v1.0.0_echo", "acme/executor_v1.0.0_echo_deps/one"},
			executors: []string{"acme/echo"},
		},
		asks: []string{"acme/executor_echo_v1.0.0_deps/two"},
	},
	"pinned to an older version, complete": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0", "one"), executor("echo", "v2.0.0", "one", "two")),
			files:     []string{"acme/executor_v1.0.0_echo", "acme/executor_v1.0.0_echo_deps/one", "acme/executor_v1.0.0_echo_deps/two"},
			executors: []string{"acme/echo@v1.0.0"},
		},
	},
	"pinned to an older version that lacks what the newest needs": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0", "one"), executor("echo", "v2.0.0", "two")),
			files:     []string{"acme/executor_v1.0.0_echo", "acme/executor_v1.0.0_echo_deps/one"},
			executors: []string{"acme/echo@v1.0.0"},
		},
		asks: []string{"acme/executor_echo_v2.0.0_deps/two"},
	},
	"pinned to an older version that is not there": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0", "one"), executor("echo", "v2.0.0", "two")),
			executors: []string{"acme/echo@v1.0.0"},
		},
		asks: []string{"acme/executor_echo_v2.0.0", "acme/executor_echo_v2.0.0_deps/two"},
	},
	"pinned to a version that no index knows": {
		world: world{
			onDisk:    acme(executor("echo", "v2.0.0", "two")),
			files:     []string{"acme/executor_v1.5.0_echo"},
			executors: []string{"acme/echo@v1.5.0"},
		},
		asks: []string{"acme/executor_echo_v2.0.0_deps/two"},
	},
	"pinned to nothing": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0"), executor("echo", "v2.0.0")),
			files:     []string{"acme/executor_v2.0.0_echo"},
			executors: []string{"acme/echo@"},
		},
	},
	"the same plugin pinned and not": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0"), executor("echo", "v2.0.0", "two")),
			files:     []string{"acme/executor_v1.0.0_echo", "acme/executor_v2.0.0_echo_deps/two"},
			executors: []string{"acme/echo@v1.0.0", "acme/echo"},
		},
		asks: []string{"acme/executor_echo_v2.0.0_deps/two", "acme/executor_echo_v2.0.0"},
	},
	"versions are numbers": {
		world: world{
			onDisk:    acme(executor("echo", "v1.9.0"), executor("echo", "1.10.0"), executor("echo", "v1.10.0-rc.1")),
			executors: []string{"acme/echo"},
		},
		asks: []string{"acme/executor_echo_1.10.0"},
	},
	"versions that are none": {
		world: world{
			onDisk:    acme(executor("echo", "nightly"), executor("echo", "v1.0.0"), executor("echo", "stable"), executor("echo", "v2.0.0")),
			executors: []string{"acme/echo"},
		},
		asks: []string{"acme/executor_echo_nightly"},
	},
	"platform missing": {
		world: world{
			onDisk:    acme(plugin{kind: "executor", name: "echo", version: "v1.0.0", on: []platform{elsewhere}}),
			upstream:  acme(plugin{kind: "executor", name: "echo", version: "v1.0.0", on: []platform{elsewhere}}),
			executors: []string{"acme/echo"},
		},
		asks:  []string{"acme.yaml"},
		fails: true,
	},
	"platform missing, binary there": {
		world: world{
			onDisk:    acme(plugin{kind: "executor", name: "echo", version: "v1.0.0", on: []platform{elsewhere}}),
			files:     []string{"acme/executor_v1.0.0_echo"},
			executors: []string{"acme/echo"},
		},
	},
	"platform missing on disk only": {
		world: world{
			onDisk:    acme(plugin{kind: "executor", name: "echo", version: "v1.0.0", on: []platform{elsewhere}}),
			upstream:  acme(executor("echo", "v1.0.0", "one")),
			executors: []string{"acme/echo"},
		},
		asks: []string{"acme.yaml", "acme/executor_echo_v1.0.0", "acme/executor_echo_v1.0.0_deps/one"},
	},
	"dependency for another platform only": {
		world: world{
			onDisk:    acme(plugin{kind: "executor", name: "echo", version: "v1.0.0", needsElsewhere: []string{"one"}}),
			upstream:  acme(plugin{kind: "executor", name: "echo", version: "v1.0.0", needsElsewhere: []string{"one"}}),
			executors: []string{"acme/echo"},
		},
		asks:  []string{"acme/executor_echo_v1.0.0", "acme.yaml"},
		fails: true,
	},
	"dependency for another platform only, but there": {
		world: world{
			onDisk:    acme(plugin{kind: "executor", name: "echo", version: "v1.0.0", needsElsewhere: []string{"one"}}),
			files:     []string{"acme/executor_v1.0.0_echo", "acme/executor_v1.0.0_echo_deps/one"},
			executors: []string{"acme/echo"},
		},
	},
	"plugin in no index": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0")).with("zeta", source("bell", "v1.0.0")),
			upstream:  acme(executor("echo", "v1.0.0")).with("zeta", source("bell", "v1.0.0")),
			files:     []string{"acme/executor_v1.0.0_echo", "zeta/source_v1.0.0_bell"},
			executors: []string{"acme/echo", "acme/ghost"}, sources: []string{"zeta/bell"},
		},
		asks:  []string{"acme.yaml", "zeta.yaml"},
		fails: true,
	},
	"plugin in the new index only": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0")),
			upstream:  acme(executor("echo", "v1.0.0"), executor("ghost", "v1.0.0", "one")),
			files:     []string{"acme/executor_v1.0.0_echo"},
			executors: []string{"acme/echo", "acme/ghost"},
		},
		asks: []string{"acme.yaml", "acme/executor_ghost_v1.0.0", "acme/executor_ghost_v1.0.0_deps/one"},
	},
	"plugin in no index, and a newer one of another upstream": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0")),
			upstream:  acme(executor("echo", "v1.1.0", "one"), source("bell", "v1.0.0")),
			files:     []string{"acme/executor_v1.0.0_echo"},
			executors: []string{"acme/echo"}, sources: []string{"acme/bell"},
		},
		asks: []string{"acme.yaml", "acme/executor_echo_v1.1.0", "acme/executor_echo_v1.1.0_deps/one", "acme/source_bell_v1.0.0"},
	},
	"source in no index, after executors were fetched": {
		world: world{
			upstream:  acme(executor("echo", "v1.0.0", "one")),
			executors: []string{"acme/echo"}, sources: []string{"acme/ghost"},
		},
		asks:  []string{"acme.yaml", "acme/executor_echo_v1.0.0", "acme/executor_echo_v1.0.0_deps/one"},
		fails: true,
	},
	"an executor is no source": {
		world: world{
			onDisk:   acme(executor("echo", "v1.0.0")),
			upstream: acme(executor("echo", "v1.0.0")),
			files:    []string{"acme/executor_v1.0.0_echo"},
			sources:  []string{"acme/echo"},
		},
		asks:  []string{"acme.yaml"},
		fails: true,
	},
	"one name for an executor and a source": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0", "one"), source("echo", "v1.1.0", "two")),
			files:     []string{"acme/executor_v1.0.0_echo", "acme/source_v1.1.0_echo_deps/two"},
			executors: []string{"acme/echo"}, sources: []string{"acme/echo"},
		},
		asks: []string{"acme/executor_echo_v1.0.0_deps/one", "acme/source_echo_v1.1.0"},
	},
	"several repositories with one plugin name": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0", "one")),
			upstream:  documents{}.with("zeta", executor("echo", "v3.0.0", "three")),
			files:     []string{"acme/executor_v1.0.0_echo", "zeta/executor_v1.0.0_echo"},
			executors: []string{"acme/echo", "zeta/echo"},
		},
		asks: []string{"zeta.yaml", "acme/executor_echo_v1.0.0_deps/one", "zeta/executor_echo_v3.0.0", "zeta/executor_echo_v3.0.0_deps/three"},
	},
	"a platform listed twice": {
		world: world{
			onDisk: documents{}.withText("acme", `entries:
    - name: echo
      type: executor
      version: v1.0.0
      urls:
        - url: https://plugins.example.com/acme/executor_first_v1.0.0
          platform: {os: `+here.OS+`, architecture: `+here.Arch+`}
          dependencies:
            one:
                url: https://plugins.example.com/acme/executor_first_v1.0.0_deps/one
        - url: https://plugins.example.com/acme/executor_last_v1.0.0
          platform: {os: `+here.OS+`, architecture: `+here.Arch+`}
          dependencies:
            two:
                url: https://plugins.example.com/acme/executor_last_v1.0.0_deps/two
`),
			executors: []string{"acme/echo"},
		},
		asks: []string{"acme/executor_last_v1.0.0", "acme/executor_first_v1.0.0_deps/one", "acme/executor_last_v1.0.0_deps/two"},
	},
	"directory in place of a binary": {
		world: world{
			onDisk:      acme(executor("echo", "v1.0.0")),
			directories: []string{"acme/executor_v1.0.0_echo"},
			executors:   []string{"acme/echo"},
		},
		asks:       []string{"acme/executor_echo_v1.0.0"},
		obstructed: true,
	},
	"directory in place of a dependency": {
		world: world{
			onDisk:      acme(executor("echo", "v1.0.0", "one")),
			files:       []string{"acme/executor_v1.0.0_echo"},
			directories: []string{"acme/executor_v1.0.0_echo_deps/one"},
			executors:   []string{"acme/echo"},
		},
		asks:       []string{"acme/executor_echo_v1.0.0_deps/one"},
		obstructed: true,
	},
	"duplicate entries on disk": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0"), executor("echo", "v1.0.0")),
			upstream:  acme(executor("echo", "v1.0.0")),
			files:     []string{"acme/executor_v1.0.0_echo"},
			executors: []string{"acme/echo"},
		},
		fails: true,
	},
	"duplicate entries upstream": {
		world: world{
			upstream:  acme(executor("echo", "v1.0.0"), executor("echo", "v1.0.0")),
			executors: []string{"acme/echo"},
		},
		asks:  []string{"acme.yaml"},
		fails: true,
	},
	"an entry without a version": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0"), executor("other", "")),
			files:     []string{"acme/executor_v1.0.0_echo"},
			executors: []string{"acme/echo"},
		},
		fails: true,
	},
	"an index that is no YAML": {
		world: world{
			onDisk:    documents{}.withText("acme", "<html>not found</html>\n\tat all"),
			upstream:  acme(executor("echo", "v1.0.0")),
			executors: []string{"acme/echo"},
		},
		fails: true,
	},
	"an empty index": {
		world: world{
			onDisk:    documents{}.withText("acme", ""),
			upstream:  acme(executor("echo", "v1.0.0")),
			files:     []string{"acme/executor_v1.0.0_echo"},
			executors: []string{"acme/echo"},
		},
		asks: []string{"acme.yaml"},
	},
	"an invalid index of a repository that nobody enabled": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0")).withText("zeta", "entries: none"),
			files:     []string{"acme/executor_v1.0.0_echo"},
			executors: []string{"acme/echo"},
		},
	},
	"an index that cannot be had": {
		world: world{
			upstream:  acme(executor("echo", "v1.0.0")),
			executors: []string{"acme/echo", "zeta/echo"},
		},
		asks:  []string{"acme.yaml", "zeta.yaml"},
		fails: true,
	},
	// The agent writes a fetched index over the old one without truncating it.
	"a new index shorter than the old one": {
		world: world{
			onDisk:    documents{}.withText("acme", "entries: []\nnote: |\n"+strings.Repeat("    once upon a time\n", 100)),
			upstream:  acme(executor("echo", "v1.0.0")),
			executors: []string{"acme/echo"},
		},
		asks:  []string{"acme.yaml"},
		fails: true,
	},
	"a repository that is not configured": {
		world: world{
			onDisk:    acme(executor("echo", "v1.0.0")),
			executors: []string{"acme/echo", "nowhere/echo"},
		},
		fails: true,
	},
	"a key without a repository": {
		world: world{
			upstream:  acme(executor("echo", "v1.0.0")),
			executors: []string{"echo"},
		},
		fails: true,
	},
}

// TestPredictForeseesTheManager compares what the product says the agent would download with what it does download.
func TestPredictForeseesTheManager(t *testing.T) {
	for name, s := range starts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := s.cacheDir(t)
			calls, predictErr := s.startup(t, dir).Predict(s.enabled()...)
			proxy := startProxy(t, s.publish(t))
			report := runOnline(t, proxy, agentConfig{
				CacheDir: dir, Repositories: repositories(s.urls()), Executors: s.executors, Sources: s.sources,
			})

			slices.Sort(s.asks)
			if got := withoutBase(proxy.Fetched()); !slices.Equal(got, s.asks) {
				t.Errorf("the agent asked for\n%q, want\n%q", got, s.asks)
			}
			if got := withoutBase(callURLs(calls)); !slices.Equal(got, s.asks) {
				t.Errorf("the prediction is\n%q, want\n%q", got, s.asks)
			}
			if failed := report.Error != ""; failed != (s.fails || s.obstructed) {
				t.Errorf("the agent's error: %q", report.Error)
			}
			if failed := predictErr != nil; failed != s.fails {
				t.Errorf("the predicted error: %v; the agent's: %q", predictErr, report.Error)
			}
		})
	}
}

// enabled are the plugins that the agent starts.
func (w world) enabled() []agent.EnabledPlugin {
	var all []agent.EnabledPlugin
	for _, key := range w.executors {
		all = append(all, agent.EnabledPlugin{Type: agent.Executor, Key: key})
	}
	for _, key := range w.sources {
		all = append(all, agent.EnabledPlugin{Type: agent.Source, Key: key})
	}
	return all
}

// startup describes dir as the product would see it.
func (w world) startup(t *testing.T, dir string) *agent.Startup {
	t.Helper()
	p := &agent.Startup{
		Files:    map[string]bool{},
		Indexes:  map[string][]byte{},
		Upstream: w.upstream,
		URLs:     w.urls(),
		Platform: agent.Platform{OS: here.OS, Arch: here.Arch},
	}
	for path, line := range readTree(t, dir) {
		if line[0] == '-' {
			p.Files[path] = true
		}
	}
	for repository := range p.URLs {
		if data, err := os.ReadFile(filepath.Join(dir, repository+".yaml")); err == nil {
			p.Indexes[repository] = data
		}
	}
	return p
}

func callURLs(calls []agent.Call) []string {
	urls := []string{}
	for _, c := range calls {
		urls = append(urls, fileURL(c.URL))
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}

func withoutBase(urls []string) []string {
	out := []string{}
	for _, url := range urls {
		out = append(out, strings.TrimPrefix(url, base))
	}
	return out
}

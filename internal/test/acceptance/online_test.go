//go:build linux

package acceptance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// filledByAgent is a cache directory that the real manager filled from the release, and the configuration that made
// it do so. It is shared: tests copy it.
var filledByAgent struct {
	once sync.Once
	dir  string
}

func agentFilledDir(t *testing.T) string {
	t.Helper()
	filledByAgent.once.Do(func() {
		cfg := everything()
		cfg.CacheDir = filepath.Join(scratch, "agent-filled")
		if err := os.Mkdir(cfg.CacheDir, 0o755); err != nil {
			t.Fatal(err)
		}
		checkAnswers(t, cfg, runOnline(t, startProxy(t, release(t)), cfg))
		if !t.Failed() {
			filledByAgent.dir = cfg.CacheDir
		}
	})
	if filledByAgent.dir == "" {
		t.Fatal("the agent could not fill a directory from the release; see the first test that asked for it")
	}
	return filledByAgent.dir
}

// TestAgentFillsAndReusesItsDirectory is about the suite, not the product: the release is one that the agent
// understands, and a directory that it filled itself starts without a network.
func TestAgentFillsAndReusesItsDirectory(t *testing.T) {
	dir := agentFilledDir(t)
	checkAnswers(t, everything(), runIsolated(t, dir, mountFor(t, dir), everything()))
}

// TestAgentReachesForWhatIsMissing shows that taking the network away is noticed: each file removed from a directory
// that the agent filled is one that it asks for.
func TestAgentReachesForWhatIsMissing(t *testing.T) {
	tests := map[string]struct{ remove, asks string }{
		"dependency": {
			remove: "botkube/executor_v1.14.0_kubectl_deps/kubectl",
			asks:   "https://dl.k8s.io/release/v1.28.1/bin/" + here.String() + "/kubectl",
		},
		"binary": {
			remove: "botkubeExtra/source_v1.14.0_prometheus",
			asks:   releaseURL("botkube-plugins") + "source_prometheus_" + here.OS + "_" + here.Arch + ".tar.gz",
		},
		"index": {
			remove: "botkubeExtra.yaml",
			asks:   IndexURLs["botkubeExtra"],
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := copyTree(t, agentFilledDir(t))
			if err := os.Remove(filepath.Join(dir, test.remove)); err != nil {
				t.Fatal(err)
			}
			cfg := everything()
			if report := runIsolated(t, dir, mountFor(t, dir), cfg); report.Error == "" {
				t.Errorf("the agent started without %s and without a network", test.remove)
			}
			cfg.CacheDir = dir
			_, requests := runRefused(t, cfg)
			if !slices.ContainsFunc(requests, func(r Request) bool { return r.URL == test.asks }) {
				t.Errorf("the agent asked for %v, want %s", requests, test.asks)
			}
		})
	}
}

// TestAgentThatStartedOverIsOfNoUse records why a plugin missing from a mirrored index is worse than a download: even
// where the forced update of the indexes succeeds, the manager takes itself for not started and gives out no plugin.
func TestAgentThatStartedOverIsOfNoUse(t *testing.T) {
	w := world{
		onDisk:    acme(executor("echo", "v1.0.0")),
		upstream:  acme(executor("echo", "v1.0.0"), executor("bell", "v1.0.0")),
		files:     []string{"acme/executor_v1.0.0_echo"},
		executors: []string{"acme/bell", "acme/echo"},
	}
	report := runOnline(t, startProxy(t, w.publish(t)), agentConfig{
		CacheDir: w.cacheDir(t), Repositories: repositories(w.urls()), Executors: w.executors,
	})
	if report.Error != "" {
		t.Fatal(report.Error)
	}
	for _, key := range w.executors {
		if got := report.Executors[key].Error; !strings.Contains(got, "not started") {
			t.Errorf("%s: error %q, want that of a manager that is not started", key, got)
		}
	}
}

// mountFor returns where the agent is to see dir when it has no network: a directory to mount it at, or dir itself
// where nothing can be mounted.
func mountFor(t *testing.T, dir string) string {
	t.Helper()
	if namespacesWork() != nil {
		return dir
	}
	return tempDir(t)
}

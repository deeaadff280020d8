//go:build linux

package acceptance

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// bundleAll carries the whole release for this platform in a bundle. What a test gets is shared: it is to be read only.
func bundleAll(t *testing.T) string {
	t.Helper()
	bundled.once.Do(func() {
		file := filepath.Join(scratch, "bundle.tar")
		pullTo(t, release(t), "--version", Version, "-o", file)
		bundled.file = file
	})
	if bundled.file == "" {
		t.Fatal("the release could not be bundled; see the first test that asked for it")
	}
	return bundled.file
}

var bundled struct {
	once sync.Once
	file string
}

// pullTo pulls for this platform, from the store that tests share, with arguments that say what and where to.
func pullTo(t *testing.T, upstream *Upstream, args ...string) {
	t.Helper()
	args = append([]string{"pull", "--platform", here.String(), "--store", filepath.Join(scratch, "store")}, args...)
	if got := runProduct(t, startProxy(t, upstream), args...); got.code != 0 {
		t.Fatalf("botkube-mirror %q: exit code %d", args, got.code)
	}
}

// unpack makes a directory of a bundle that the agent sees where it sees the one of [pullAll].
func unpack(t *testing.T, bundle string, args ...string) mirrored {
	t.Helper()
	m := mirrored{dir: filepath.Join(tempDir(t), "plugins"), mount: pullAll(t).mount}
	runOffline(t, append([]string{"unpack", bundle, "-o", m.dir, "--mount", m.mount}, args...)...)
	return m
}

// checkPulled wants the directory to be what a pull of the whole release writes, to the last bit of a mode.
func (m mirrored) checkPulled(t *testing.T) {
	t.Helper()
	want, got := readTree(t, pullAll(t).dir), readTree(t, m.dir)
	if !equalTrees(want, got) {
		t.Errorf("pull (-) and %s (+) differ:\n%s", m.dir, diffTrees(want, got))
	}
}

// TestAgentStartsFromBundle carries a bundle over the gap in each of its forms.
func TestAgentStartsFromBundle(t *testing.T) {
	t.Parallel()
	layout := filepath.Join(tempDir(t), "layout")
	runOffline(t, "unpack", bundleAll(t), "-o", "oci:"+layout)
	for name, bundle := range map[string]string{"archive": bundleAll(t), "layout": layout} {
		t.Run(name, func(t *testing.T) {
			m := unpack(t, bundle)
			m.checkPulled(t)
			m.checkStarts(t)
		})
	}
}

// TestPartOfBundle unpacks what a pull of that part would have written: one of the platforms, some of the plugins.
func TestPartOfBundle(t *testing.T) {
	t.Parallel()
	bundle := filepath.Join(tempDir(t), "bundle.tar")
	pullTo(t, release(t), "--version", Version, "--platform", "all", "-o", bundle)

	unpack(t, bundle, "--platform", here.String()).checkPulled(t)

	m := unpack(t, bundle, "--platform", here.String(), "--plugin", "botkubeExtra/flux", "--plugin", "botkube/cm-watcher")
	cfg := agentConfig{
		Repositories: repositories(IndexURLs), Executors: []string{"botkubeExtra/flux"}, Sources: []string{"botkube/cm-watcher"},
	}
	checkAnswers(t, cfg, m.start(t, cfg))
	want := pull(t, release(t), "--plugin", "botkubeExtra/flux", "--plugin", "botkube/cm-watcher", "--mount", m.mount)
	if want, got := readTree(t, want.dir), readTree(t, m.dir); !equalTrees(want, got) {
		t.Errorf("pull (-) and unpack (+) of two plugins differ:\n%s", diffTrees(want, got))
	}
}

// TestArchivesInBundle unpacks, on the other side, archives of every kind, and takes out of them what the agent does.
func TestArchivesInBundle(t *testing.T) {
	t.Parallel()
	var plugins []plugin
	cfg := agentConfig{Repositories: repositories(map[string]string{"acme": base + "acme.yaml"})}
	for _, extension := range archiveExtensions {
		p := executor("in"+strings.ReplaceAll(extension, ".", "-"), "v1.0.0", "one")
		p.beneath = extension + "//some/where"
		// A plugin in .xz takes the agent, and who packs it, a quarter of a minute.
		if extension != ".tar.xz" {
			p.extension = extension
		}
		plugins = append(plugins, p)
		cfg.Executors = append(cfg.Executors, "acme/"+p.name)
	}
	upstream := world{upstream: acme(plugins...)}.publish(t)
	check := func(report agentReport) {
		t.Helper()
		for _, p := range plugins {
			want := description{
				Stamp:        "executor_" + p.name + "_v1.0.0" + p.extension,
				Dependencies: map[string]string{"one": "one" + strings.TrimSuffix(p.beneath, "//some/where")},
			}
			checkAnswer(t, "acme/"+p.name, report.Executors["acme/"+p.name], want)
		}
	}

	filled := cfg
	filled.CacheDir = tempDir(t)
	check(runOnline(t, startProxy(t, upstream), filled))

	bundle := filepath.Join(tempDir(t), "bundle.tar")
	pullTo(t, upstream, "--repository", "acme="+base+"acme.yaml", "-o", bundle)
	m := unpack(t, bundle)
	check(m.start(t, cfg))
	if want, got := readTree(t, filled.CacheDir).binaries(), readTree(t, m.dir).binaries(); !equalTrees(want, got) {
		t.Errorf("the agent (-) and unpack (+) differ:\n%s", diffTrees(want, got))
	}
}

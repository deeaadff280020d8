//go:build linux

package acceptance

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestAgentStartsFromWhatPullWrote is what the product is for.
func TestAgentStartsFromWhatPullWrote(t *testing.T) {
	pullAll(t).checkStarts(t)
}

// TestPullWritesWhatTheAgentWould compares with what the real manager makes of the same release.
func TestPullWritesWhatTheAgentWould(t *testing.T) {
	m := pullAll(t)
	want, got := readTree(t, agentFilledDir(t)).binaries(), readTree(t, m.dir).binaries()
	if len(want) == 0 {
		t.Fatal("the agent's own directory has no binaries")
	}
	if !equalTrees(want, got) {
		t.Errorf("the agent (-) and the product (+) differ:\n%s", diffTrees(want, got))
	}
}

// TestPullFetchesOnce wants each file to be downloaded once, however many plugins need it, and none for a platform
// that nobody asked for; a second pull downloads nothing but what it must look at again.
func TestPullFetchesOnce(t *testing.T) {
	proxy := startProxy(t, release(t))
	args := []string{"--platform", here.String(), "--store", filepath.Join(tempDir(t), "store")}
	pullThrough(t, proxy, args...)
	fetches := map[string]int{}
	for _, r := range proxy.Requests() {
		if r.Method == http.MethodGet {
			fetches[r.URL]++
		}
		for _, p := range releasePlatforms {
			if p != here && (strings.Contains(r.URL, p.OS+"_"+p.Arch) || strings.Contains(r.URL, p.OS+"/"+p.Arch)) {
				t.Errorf("pull for %s asked for %s", here, r)
			}
		}
	}
	for at, n := range fetches {
		if n > 1 && !strings.HasSuffix(at, "_checksums.txt") && !isStorage(at) {
			t.Errorf("pull fetched %s %d times", at, n)
		}
	}
	if n := fetches[fileURL(kubectl.url(here))]; n != 1 {
		t.Errorf("pull fetched kubectl, which three plugins need, %d times", n)
	}

	again := startProxy(t, release(t))
	pullThrough(t, again, args...)
	for _, p := range releasePlugins {
		for _, at := range p.files(here) {
			if slices.Contains(again.Requests(), Request{http.MethodGet, at}) {
				t.Errorf("a second pull from the same store fetched %s", at)
			}
		}
	}
}

// files are the URLs of the plugin and its dependencies on one platform.
func (p releasePlugin) files(on platform) []string {
	urls := []string{strings.TrimSuffix(IndexURLs[p.repository], "plugins-index.yaml") +
		fmt.Sprintf("%s_%s_%s_%s.tar.gz", p.kind, p.name, on.OS, on.Arch)}
	for _, d := range p.dependencies {
		urls = append(urls, fileURL(d.url(on)))
	}
	return urls
}

// TestRewrittenIndexStaysInside wants every URL of the indexes to be one of a file that is there, with its checksum.
func TestRewrittenIndexStaysInside(t *testing.T) {
	m := pullAll(t)
	for repository := range IndexURLs {
		data, err := os.ReadFile(filepath.Join(m.dir, repository+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var x index
		if err := yaml.Unmarshal(data, &x); err != nil {
			t.Fatal(err)
		}
		for _, e := range x.Entries {
			m.checkEntry(t, e)
		}
	}
}

func (m mirrored) checkEntry(t *testing.T, e entry) {
	t.Helper()
	if e.JSONSchema.RefURL != "" || e.JSONSchema.Value == "" {
		t.Errorf("%s: the schema is at %q, not inlined", e.Name, e.JSONSchema.RefURL)
	}
	if len(e.URLs) != 1 || e.URLs[0].Platform != here {
		t.Errorf("%s: %d URLs, want one for %s", e.Name, len(e.URLs), here)
		return
	}
	content := m.fileBehind(t, e.URLs[0].URL)
	if sum := fmt.Sprintf("%x", sha256.Sum256(content)); strings.TrimPrefix(e.URLs[0].Checksum, "sha256:") != sum {
		t.Errorf("%s: checksum %q, but the file has %s", e.Name, e.URLs[0].Checksum, sum)
	}
	for _, d := range e.URLs[0].Dependencies {
		m.fileBehind(t, d.URL)
	}
}

// fileBehind reads what a file URL names, as seen through the mount.
func (m mirrored) fileBehind(t *testing.T, at string) []byte {
	t.Helper()
	path, _, _ := strings.Cut(at, "?")
	name, inside := strings.CutPrefix(path, "file://"+m.mount+"/")
	if !inside {
		t.Errorf("URL %s is not below file://%s", at, m.mount)
		return nil
	}
	content, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		t.Error(err)
	}
	return content
}

// TestSeveralPlatforms wants a sub-directory each, of which this machine's starts.
func TestSeveralPlatforms(t *testing.T) {
	if here.OS != "linux" || here.Arch != "amd64" && here.Arch != "arm64" {
		t.Skipf("the release has nothing for %s", here)
	}
	m := pullThrough(t, startProxy(t, release(t)),
		"--platform", "linux/amd64", "--platform", "linux/arm64", "--store", filepath.Join(scratch, "store"))
	for _, p := range []platform{{"linux", "amd64"}, {"linux", "arm64"}} {
		for _, plugin := range releasePlugins {
			name := fmt.Sprintf("%s_%s_%s", plugin.kind, Version, plugin.name)
			content, err := os.ReadFile(filepath.Join(m.dir, p.OS+"-"+p.Arch, plugin.repository, name))
			if err != nil {
				t.Error(err)
			} else if !strings.HasSuffix(string(content), "\n"+plugin.stamp(p)+"\n") {
				t.Errorf("%s of %s is another plugin", name, p)
			}
		}
	}
	sub := mirrored{dir: filepath.Join(m.dir, here.OS+"-"+here.Arch)}
	sub.mount = mountFor(t, sub.dir)
	sub.checkStarts(t)
}

// TestSelection wants the plugins asked for, and those only.
func TestSelection(t *testing.T) {
	m := pull(t, release(t), "--plugin", "botkube/kubectl", "--plugin", "botkubeExtra/helm@"+Version, "--plugin", "botkubeExtra/prometheus", "--exclude", "botkubeExtra/prometheus")
	cfg := agentConfig{Repositories: repositories(IndexURLs), Executors: []string{"botkube/kubectl", "botkubeExtra/helm"}}
	checkAnswers(t, cfg, m.start(t, cfg))
	want := readTree(t, agentFilledDir(t)).binaries()
	for name := range want {
		if !strings.Contains(name, "_kubectl") && !strings.Contains(name, "_helm") {
			delete(want, name)
		}
	}
	if got := readTree(t, m.dir).binaries(); !equalTrees(want, got) {
		t.Errorf("want (-), got (+):\n%s", diffTrees(want, got))
	}
}

// TestLatest wants the newest release, by its name, in the lock.
func TestLatest(t *testing.T) {
	got := runProduct(t, startProxy(t, release(t).Latest(Version)), "lock", "--version", "latest", "--plugin", "botkube/echo",
		"--platform", here.String(), "--store", filepath.Join(scratch, "store"), "-")
	if got.code != 0 || !strings.Contains(got.stdout, `"botkubeVersion": "`+Version+`"`) {
		t.Errorf("exit code %d\n%s", got.code, got.stdout)
	}
	if got := runProduct(t, startProxy(t, release(t)), "lock", "--version", "latest", "--store", tempDir(t), "-"); got.code != 3 {
		t.Errorf("exit code %d where there is no release", got.code)
	}
}

// TestOutdated wants nothing to be newer than the newest release, and an alarm once a publisher gives another
// checksum for a file that it had published.
func TestOutdated(t *testing.T) {
	m := pullAll(t)
	outdated := func(upstream *Upstream) outcome {
		return runProduct(t, startProxy(t, upstream.Latest(Version)), "outdated", m.dir, "--exit-code", "--store", filepath.Join(scratch, "store"))
	}
	if got := outdated(release(t)); got.code != 0 || !strings.Contains(got.stdout, ": up to date, with Botkube "+Version) {
		t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	url := kubectl.url(here)
	other := release(t).But(url+".sha256", []byte(strings.Repeat("0", 64)))
	if got := outdated(other); got.code != 6 || !strings.Contains(got.stdout, "ALARM: ") || !strings.Contains(got.stdout, "~ "+url+"\n") {
		t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}

// TestThirdPartyRepository mirrors raw binaries in two versions from somebody else's host. The agent looks for the
// newest version's dependencies, whichever version it was told to use.
func TestThirdPartyRepository(t *testing.T) {
	w := world{upstream: acme(executor("echo", "v1.0.0", "one"), executor("echo", "v2.0.0", "two"))}
	upstream := w.publish(t)
	type answers map[string]description
	old := description{Stamp: "executor_echo_v1.0.0", Dependencies: map[string]string{"one": "one", "two": "two"}}
	latest := description{Stamp: "executor_echo_v2.0.0", Dependencies: map[string]string{"two": "two"}}
	tests := map[string]struct {
		plugins []string
		answers answers
	}{
		"everything":         {answers: answers{"acme/echo": latest, "acme/echo@v2.0.0": latest}},
		"the newest version": {plugins: []string{"acme/echo"}, answers: answers{"acme/echo": latest}},
		"the older version":  {plugins: []string{"acme/echo@v1.0.0"}, answers: answers{"acme/echo@v1.0.0": old}},
		"both versions": {
			plugins: []string{"acme/echo@v1.0.0", "acme/echo@v2.0.0"},
			answers: answers{"acme/echo@v1.0.0": old, "acme/echo": latest},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			args := []string{"--repository", "acme=" + base + "acme.yaml"}
			for _, key := range test.plugins {
				args = append(args, "--plugin", key)
			}
			m := pull(t, upstream, args...)
			cfg := agentConfig{
				Repositories: repositories(map[string]string{"acme": base + "acme.yaml"}),
				Executors:    slices.Sorted(maps.Keys(test.answers)),
			}
			report := m.start(t, cfg)
			if report.Error != "" {
				t.Fatal(report.Error)
			}
			for key, want := range test.answers {
				checkAnswer(t, key, report.Executors[key], want)
			}
			if _, asked := m.asksFor(t, cfg); len(asked) > 0 {
				t.Errorf("the agent asked for %q", asked)
			}
		})
	}
}

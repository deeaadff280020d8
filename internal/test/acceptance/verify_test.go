//go:build linux

package acceptance

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// verified is what the product says that an agent would do, as far as tests look at it.
type verified struct {
	Intact bool `json:"intact"`
	Agents []struct {
		External []struct {
			URL string `json:"url"`
		} `json:"externalCalls"`
		FromMirror int      `json:"callsToMirror"`
		Failures   []string `json:"failures"`
	} `json:"agents"`
}

// verify runs the product's own check, which needs no network, and wants an exit code.
func verify(t *testing.T, target string, code int) verified {
	t.Helper()
	down := startProxy(t, nil)
	got := runProduct(t, down, "verify", target, "--format", "json")
	if got.code != code {
		t.Errorf("botkube-mirror verify: exit code %d, want %d", got.code, code)
	}
	if asked := down.Requests(); len(asked) > 0 {
		t.Errorf("botkube-mirror verify asked for %v", asked)
	}
	var v verified
	if err := json.Unmarshal([]byte(got.stdout), &v); err != nil {
		t.Fatalf("reading what verify says: %v\n%s", err, got.stdout)
	}
	if len(v.Agents) != 1 || v.Intact != (code == 0) {
		t.Fatalf("verify says of %d agents that the mirror is intact: %v", len(v.Agents), v.Intact)
	}
	return v
}

// external are the URLs that the agent would ask for, without queries.
func (v verified) external() []string {
	urls := []string{}
	for _, c := range v.Agents[0].External {
		urls = append(urls, fileURL(c.URL))
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}

// damage is something wrong with a directory, and what it must come to.
type damage struct {
	// do may change the directory.
	do   func(t *testing.T, m mirrored)
	code int
	// asks are URLs that the agent asks for, of its own accord or for want of a plugin.
	asks []string
	// fails are what verify says that would not start.
	fails []string
	// plugins are those that do not come up.
	plugins []string
}

const (
	echoBinary = "botkube/executor_" + Version + "_echo"
	fluxGH     = "botkubeExtra/executor_" + Version + "_flux_deps/gh"
	strayEcho  = "https://elsewhere.example.com/echo"
)

func remove(names ...string) func(*testing.T, mirrored) {
	return func(t *testing.T, m mirrored) {
		for _, name := range names {
			m.remove(t, name)
		}
	}
}

// rewrite changes an index.
func (m mirrored) rewrite(t *testing.T, repository string, change func(string) string) {
	t.Helper()
	file := filepath.Join(m.dir, repository+".yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := change(string(data))
	if changed == string(data) {
		t.Fatalf("%s is as it was", file)
	}
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}

// upstreamIndex puts the publisher's own index in the place of the rewritten one.
func upstreamIndex(t *testing.T, m mirrored, repository string) {
	t.Helper()
	m.rewrite(t, repository, func(string) string { return string(release(t).files[IndexURLs[repository]].content) })
}

// TestVerifyForeseesTheAgent wants verify to name exactly what the agent then asks for or fails on.
func TestVerifyForeseesTheAgent(t *testing.T) {
	t.Parallel()
	echoArchive := releaseURL("botkube") + "executor_echo_" + here.OS + "_" + here.Arch + ".tar.gz"
	for name, d := range map[string]damage{
		"nothing": {do: func(*testing.T, mirrored) {}},
		"a binary is gone": {
			do: remove(echoBinary), code: 5,
			fails: []string{"executor botkube/echo: its binary is missing"}, plugins: []string{"botkube/echo"},
		},
		"a dependency is gone": {
			do: remove(fluxGH), code: 5,
			fails: []string{"executor botkubeExtra/flux: dependency gh is missing"}, plugins: []string{"botkubeExtra/flux"},
		},
		"an index is gone": {
			do: remove("botkube.yaml"), code: 5, asks: []string{IndexURLs["botkube"]},
			fails:   []string{"executor botkube/echo: the index", "executor botkube/kubectl: the index", "source botkube/cm-watcher: the index", "source botkube/kubernetes: the index"},
			plugins: []string{"botkube/echo", "botkube/kubectl", "botkube/cm-watcher", "botkube/kubernetes"},
		},
		"an index is its publisher's": {
			// It has all that is needed to start from what is there.
			do: func(t *testing.T, m mirrored) { upstreamIndex(t, m, "botkube") }, code: 4,
		},
		"an index is its publisher's, and a binary is gone": {
			do:   func(t *testing.T, m mirrored) { upstreamIndex(t, m, "botkube"); m.remove(t, echoBinary) },
			code: 4, asks: []string{echoArchive}, plugins: []string{"botkube/echo"},
		},
		"an index is its publisher's, and a dependency is gone": {
			do:   func(t *testing.T, m mirrored) { upstreamIndex(t, m, "botkubeExtra"); m.remove(t, fluxGH) },
			code: 4, asks: []string{fileURL(ghCLI("2.32.1").url(here))}, plugins: []string{"botkubeExtra/flux"},
		},
		"an index leads elsewhere": {
			do: func(t *testing.T, m mirrored) {
				m.rewrite(t, "botkube", func(x string) string { return strings.Replace(x, "file://"+m.mount+"/"+echoBinary, strayEcho, 1) })
			},
			code: 4,
		},
		"an index leads elsewhere, and the binary is gone": {
			do: func(t *testing.T, m mirrored) {
				m.rewrite(t, "botkube", func(x string) string { return strings.Replace(x, "file://"+m.mount+"/"+echoBinary, strayEcho, 1) })
				m.remove(t, echoBinary)
			},
			code: 4, asks: []string{strayEcho}, plugins: []string{"botkube/echo"},
		},
		"a plugin is in no index": {
			do: func(t *testing.T, m mirrored) {
				m.rewrite(t, "botkube", func(x string) string { return strings.Replace(x, "name: echo", "name: ohce", 1) })
			},
			code: 4, asks: []string{IndexURLs["botkube"]}, plugins: []string{"botkube/echo"},
			fails: []string{"executor botkube/echo: "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := pull(t, release(t))
			d.do(t, m)
			slices.Sort(d.asks)
			v := verify(t, m.dir, d.code)
			if got := v.external(); !slices.Equal(got, d.asks) {
				t.Errorf("verify says that the agent would ask for %q, want %q", got, d.asks)
			}
			if got := v.Agents[0].Failures; !equalStarts(got, d.fails) {
				t.Errorf("verify says that these would not start: %q, want %q", got, d.fails)
			}
			d.checkAgent(t, m)
		})
	}
}

// equalStarts reports whether texts begin as they should.
func equalStarts(texts, starts []string) bool {
	return slices.EqualFunc(texts, starts, strings.HasPrefix)
}

// checkAgent has the agent start with the plugins that are well, and with the others.
func (d damage) checkAgent(t *testing.T, m mirrored) {
	t.Helper()
	part := func(well bool) agentConfig {
		cfg := everything()
		other := func(key string) bool { return slices.Contains(d.plugins, key) == well }
		cfg.Executors, cfg.Sources = slices.DeleteFunc(cfg.Executors, other), slices.DeleteFunc(cfg.Sources, other)
		return cfg
	}
	well := part(true)
	report, asked := m.asksFor(t, well)
	checkAnswers(t, well, report)
	if len(asked) > 0 {
		t.Errorf("for the plugins that are well, the agent asked for %q", asked)
	}
	if len(d.plugins) == 0 {
		return
	}
	report, asked = m.asksFor(t, part(false))
	if report.Error == "" {
		t.Errorf("the agent started with %q", d.plugins)
	}
	if !slices.Equal(asked, d.asks) {
		t.Errorf("the agent asked for %q, want %q", asked, d.asks)
	}
}

// TestVerifyForeseesCallsToSite serves a site, and wants the agent to ask it for as many files as verify says, and
// nobody else for any.
func TestVerifyForeseesCallsToSite(t *testing.T) {
	t.Parallel()
	const mirror = "https://mirror.example.com/botkube"
	dir := filepath.Join(tempDir(t), "site")
	pullTo(t, release(t), "--version", Version, "-o", "site:"+dir, "--base-url", mirror)
	v := verify(t, dir, 0)
	if asks := v.external(); len(asks) > 0 {
		t.Errorf("verify says that the agent would ask for %q", asks)
	}

	files := http.StripPrefix("/botkube", http.FileServer(http.Dir(dir)))
	proxy := startProxyTo(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "mirror.example.com" {
			refuse(w, r)
			return
		}
		files.ServeHTTP(w, r)
	}))
	cfg := everything()
	cfg.CacheDir = tempDir(t)
	cfg.Repositories = repositories(map[string]string{})
	for name := range IndexURLs {
		cfg.Repositories[name] = agentRepository{URL: mirror + "/" + Version + "/" + name + "/plugins-index.yaml"}
	}
	checkAnswers(t, cfg, runOnline(t, proxy, cfg))
	asked := proxy.Fetched()
	if len(asked) != v.Agents[0].FromMirror {
		t.Errorf("the agent asked for %d files, but verify says %d: %q", len(asked), v.Agents[0].FromMirror, asked)
	}
	for _, url := range asked {
		if !strings.HasPrefix(url, mirror+"/") {
			t.Errorf("the agent asked for %s", url)
		}
	}
}

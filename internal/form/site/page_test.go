package site

import (
	"bytes"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

var update = flag.Bool("update", false, "write testdata anew")

// pageLock has one of each thing that a page shows.
func pageLock() *lock.Lock {
	amd64, arm64 := agent.Platform{OS: "linux", Arch: "amd64"}, agent.Platform{OS: "linux", Arch: "arm64"}
	const at = "https://github.com/acme/plugins/releases/download/v1.2.0/"
	artifact := func(url string, size int64, by lock.ChecksumSource, with ...string) lock.Artifact {
		return lock.Artifact{URL: url, Blob: lock.Blob{Size: size, SHA256: lock.Sum([]byte(url))}, VerifiedBy: by, VerifiedWith: with}
	}
	templates := artifact("git::https://github.com/acme/templates.git//exec?ref=main", 4096, lock.ByNone)
	templates.DirArchive = lock.DirArchiveYAML
	return &lock.Lock{
		SchemaVersion: lock.SchemaVersion, BotkubeVersion: "v1.14.0", Platforms: []agent.Platform{amd64, arm64},
		Repositories: []lock.Repository{{Name: "acme", URL: at + "plugins-index.yaml", Index: lock.Blob{Size: 1, SHA256: lock.Sum(nil)}}},
		Plugins: []lock.Plugin{
			{
				Repository: "acme", Type: agent.Executor, Name: "deploy", Version: "v1.2.0",
				Builds: []lock.Build{
					{Platform: amd64, URL: at + "executor_deploy_linux_amd64.tar.gz", Dependencies: []lock.Dependency{
						{Name: "helm", URL: "https://get.helm.sh/helm-v3.19.0-linux-amd64.tar.gz//linux-amd64", Replaces: "https://get.helm.sh/helm-v3.6.3-linux-amd64.tar.gz"},
						{Name: "jq", URL: at + "jq", FromNewest: true},
					}},
					{Platform: arm64, URL: at + "executor_deploy_linux_arm64.tar.gz", Dependencies: []lock.Dependency{{Name: "jq", URL: at + "jq", FromNewest: true}}},
				},
				Templates: []lock.Template{{Ref: "github.com/acme/templates//exec?ref=main", URL: templates.URL}},
			},
			{Repository: "acme", Type: agent.Source, Name: "events", Version: "v1.2.0", Builds: []lock.Build{{Platform: amd64, URL: at + "source_events_linux_amd64"}}},
		},
		Artifacts: []lock.Artifact{
			artifact(at+"executor_deploy_linux_amd64.tar.gz", 31<<20, lock.ByIndex), artifact(at+"executor_deploy_linux_arm64.tar.gz", 30<<20, lock.ByIndex),
			artifact("https://get.helm.sh/helm-v3.19.0-linux-amd64.tar.gz", 17<<20, lock.ByPublisher, "https://get.helm.sh/helm-v3.19.0-linux-amd64.tar.gz.sha256sum"),
			artifact(at+"jq", 2<<20, lock.ByNone), artifact(at+"source_events_linux_amd64", 25<<20, lock.ByIndex), templates,
		},
	}
}

// TestPage compares pages with those in testdata. A difference there is one that people see.
func TestPage(t *testing.T) {
	older := pageLock()
	older.BotkubeVersion, older.Platforms = "v1.9.0", older.Platforms[:1]
	const base = "https://mirror.example.com/botkube"
	at := func(l *lock.Lock) Paged { return Paged{Lock: l, BaseURL: base, Made: time.Unix(1767225600, 0)} }
	root, err := RootPage([]Paged{at(older), at(pageLock())})
	if err != nil {
		t.Fatal(err)
	}
	version, err := VersionPage(Paged{Lock: older, BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"root.html": root, "version.html": version} {
		checkPage(t, got)
		for _, link := range regexp.MustCompile(`href="\.{1,2}/(files/[^"]*)"`).FindAllSubmatch(got, -1) {
			if !slices.ContainsFunc(Files(pageLock()), func(f File) bool { return f.Path == string(link[1]) }) {
				t.Errorf("%s links to %s, which is no file of the site", name, link[1])
			}
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("the page is not %s. If it should be: go test ./internal/form/site -run TestPage -update", golden)
		}
	}
	again, err := RootPage([]Paged{at(pageLock()), at(older)})
	if err != nil || !bytes.Equal(again, root) {
		t.Errorf("another order of versions makes another page: %v", err)
	}
	if one, err := RootPage([]Paged{at(older)}); err != nil || bytes.Contains(one, []byte(`id="versions"`)) {
		t.Errorf("a list of one version: %v", err)
	}
}

// TestPageWithoutValues is of a mirror for agents that no cluster runs.
func TestPageWithoutValues(t *testing.T) {
	l := pageLock()
	l.Platforms = []agent.Platform{{OS: "darwin", Arch: "arm64"}}
	got, err := VersionPage(Paged{Lock: l, BaseURL: "http://mirror"})
	if err != nil || !bytes.Contains(got, []byte("No Helm values: http://mirror/v1.14.0 is for darwin/arm64 only, but Botkube&#39;s agent runs on Linux nodes.")) {
		t.Errorf("%v\n%s", err, got)
	}
	checkPage(t, got)
}

// hostile are names that would leave their places if they were not escaped.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `javascript:alert(1)`, `//evil.example.com/x`, `</code></pre><h1>`, `</title><script src=//evil>`,
	`]]>`, `<!--`, `-->`, `&lt;b&gt;`, "a\nb", "\u202egnp.exe", `{{.}}`, `</style>`, `#`, `%3Cscript%3E`, "\x00", "\xff", `http://evil.example.com/`,
}

func FuzzPage(f *testing.F) {
	for _, seed := range hostile {
		f.Add(seed, "https://mirror.example.com")
		f.Add("name", "https://mirror.example.com/"+url.PathEscape(seed))
	}
	f.Fuzz(func(t *testing.T, name, base string) {
		l := pageLock()
		l.Repositories[0].URL = name
		l.Platforms = append(l.Platforms, agent.Platform{OS: name, Arch: name})
		for i := range l.Artifacts {
			l.Artifacts[i].VerifiedWith = []string{name, "https://" + name}
		}
		for i := range l.Plugins {
			p := &l.Plugins[i]
			p.Name, p.Version, p.Type = name, name, agent.PluginType(name)
			for j := range p.Builds {
				for k := range p.Builds[j].Dependencies {
					d := &p.Builds[j].Dependencies[k]
					d.Name, d.Replaces = name, "https://"+name
				}
			}
			for j := range p.Templates {
				p.Templates[j].Ref = name
			}
		}
		l.Artifacts[0].URL = "https://upstream.example.com/" + name
		l.Plugins[0].Builds[0].URL = l.Artifacts[0].URL
		root, err := RootPage([]Paged{{Lock: l, BaseURL: base}, {Lock: pageLock(), BaseURL: base}})
		if err != nil {
			return // no base URL, or none that the agent could take
		}
		checkPage(t, root)
	})
}

// checkPage wants well-formed HTML that loads nothing, runs nothing, and can be read aloud.
func checkPage(t *testing.T, data []byte) {
	t.Helper()
	balanced(t, data)
	doc, err := html.Parse(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	ids, targets, count, level := map[string]bool{}, []string{}, map[string]int{}, 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			if n.Type == html.CommentNode {
				t.Errorf("a comment: %s", n.Data)
			}
			continue
		}
		count[n.Data]++
		if !slices.Contains(elements, n.Data) {
			t.Errorf("an element <%s>", n.Data)
		}
		if len(n.Data) == 2 && n.Data[0] == 'h' && n.Data[1] >= '1' && n.Data[1] <= '6' {
			if now := int(n.Data[1] - '0'); now > level+1 {
				t.Errorf("a heading %s below one of level %d", n.Data, level)
			} else {
				level = now
			}
		}
		attributes := map[string]string{}
		for _, a := range n.Attr {
			attributes[a.Key] = a.Val
			switch {
			case a.Key == "id" && (a.Val == "" || ids[a.Val]):
				t.Errorf("the id %q stands twice", a.Val)
			case a.Key == "id":
				ids[a.Val] = true
			case a.Key == "aria-labelledby":
				targets = append(targets, a.Val)
			case a.Key == "href" && n.Data == "a":
				if fragment, ok := strings.CutPrefix(a.Val, "#"); ok {
					targets = append(targets, fragment)
				} else if u, err := url.Parse(a.Val); err != nil || u.Scheme+u.Host != "" || strings.HasPrefix(a.Val, "/") {
					t.Errorf("a link to %q", a.Val)
				}
			case a.Key == "href" && !strings.HasPrefix(a.Val, "data:image/svg+xml,"), a.Key == "src", a.Key == "style", strings.HasPrefix(a.Key, "on"):
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
		switch {
		case n.Data == "td" && attributes["data-label"] == "", n.Data == "th" && attributes["scope"] == "", n.Data == "html" && attributes["lang"] != "en":
			t.Errorf("<%s> without what tells its meaning: %v", n.Data, attributes)
		}
	}
	for _, id := range targets {
		if !ids[id] {
			t.Errorf("there is no id %q", id)
		}
	}
	for _, once := range []string{"h1", "main", "header", "footer", "nav", "title", "style"} {
		if count[once] != 1 {
			t.Errorf("<%s> stands %d times", once, count[once])
		}
	}
}

// elements are all that a page has.
var elements = strings.Fields("html head meta title link style body header main footer nav section h1 h2 h3 p a time ul li dl div dt dd table thead tbody tr th td pre code small span br")

// balanced wants every element to end where it should.
func balanced(t *testing.T, data []byte) {
	t.Helper()
	var open []string
	for z := html.NewTokenizer(bytes.NewReader(data)); ; {
		switch z.Next() {
		case html.ErrorToken:
			if len(open) > 0 {
				t.Errorf("open at the end: %v", open)
			}
			return
		case html.StartTagToken:
			name, _ := z.TagName()
			if !slices.Contains([]string{"meta", "link", "br"}, string(name)) {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				t.Fatalf("</%s> in %v", name, open)
			}
			open = open[:len(open)-1]
		}
	}
}

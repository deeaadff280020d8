package values

import (
	"bytes"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

var (
	amd64 = agent.Platform{OS: "linux", Arch: "amd64"}
	arm64 = agent.Platform{OS: "linux", Arch: "arm64"}
)

// mirrorOf is a mirror with two versions of demo/hello, the newer one for one platform only.
func mirrorOf() *form.Mirror {
	plugin := func(version string, on ...agent.Platform) lock.Plugin {
		p := lock.Plugin{Repository: "demo", Type: agent.Executor, Name: "hello", Version: version}
		for _, platform := range on {
			p.Builds = append(p.Builds, lock.Build{Platform: platform, URL: "https://example.com/" + version})
		}
		return p
	}
	l := &lock.Lock{
		SchemaVersion: lock.SchemaVersion, BotkubeVersion: "v1.14.0", Platforms: []agent.Platform{amd64, arm64},
		Repositories: []lock.Repository{{Name: "demo", URL: "https://example.com/i.yaml"}},
		Plugins:      []lock.Plugin{plugin("v1.0.0", amd64, arm64), plugin("v1.1.0", amd64)},
	}
	for _, version := range []string{"v1.0.0", "v1.1.0"} {
		l.Artifacts = append(l.Artifacts, lock.Artifact{URL: "https://example.com/" + version, Blob: lock.Blob{Size: 1 << 20, SHA256: lock.Sum([]byte(version))}})
	}
	return &form.Mirror{Form: new(form.Form), Place: &form.Place{Target: "b.tar", Path: "b.tar"}, Lock: l}
}

// quiet are values that start demo/hello from a volume at /plugins.
const quiet = `
analytics: {disable: true}
settings: {upgradeNotifier: false}
plugins: {cacheDir: /plugins, repositories: {demo: {url: http://mirror.invalid/demo}}}
executors: {g: {demo/hello: {enabled: true}}}
communications: {c: {mattermost: {enabled: true, botName: b, url: http://chat.svc, token: t, team: t, channels: {x: {name: n, bindings: {executors: [g]}}}}}}
extraVolumes: [{name: v, persistentVolumeClaim: {claimName: c}}]
extraVolumeMounts: [{name: v, mountPath: /plugins}]
`

// grounds are what an agent finds that sees the mirror at /plugins.
func grounds(m *form.Mirror, on agent.Platform) audit.StartState {
	index := "entries:\n"
	files := map[string]bool{}
	for _, p := range slices.Backward(m.Lock.Plugins) {
		files[p.Binary()] = true
		index += "- {name: hello, type: executor, version: " + p.Version + ", description: x, urls: [{url: 'file:///plugins/" + p.Binary() + "', platform: {os: " + on.OS + ", architecture: " + on.Arch + "}}]}\n"
	}
	return audit.StartState{Startup: agent.Startup{Platform: on, Files: files, Indexes: map[string][]byte{"demo": []byte(index)}}, Lock: m.Lock, Within: func(url string) bool { return strings.HasPrefix(url, "file:///plugins/") }}
}

func check(t *testing.T, report *audit.Report, m *form.Mirror, o CheckOptions, texts ...string) *Checked {
	t.Helper()
	for _, text := range texts {
		o.Files = append(o.Files, chart.File{Name: "values.yaml", Data: []byte(text)})
	}
	c, err := Check(report, m, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// details are those of problems, a line each.
func details(c *Checked) string {
	var out strings.Builder
	for _, p := range c.Problems {
		out.WriteString(string(p.Kind) + " " + p.Path + ": " + p.Detail + "\n")
	}
	return out.String()
}

func TestCheckVolume(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ more, says string }{
		"it starts":            {"", ""},
		"of another version":   {"executors: {g: {demo/hello: {enabled: false}, demo/hello@v1.2.0: {enabled: true}}}", "missing : executor demo/hello@v1.2.0 (group g): the mirror has only v1.0.0 and v1.1.0; the agent would look for it at"},
		"not mirrored":         {"executors: {g: {demo/other: {enabled: true}}}", "demo/other (group g): not in the mirror"},
		"no repository":        {"executors: {g: {x/y: {enabled: true}}}", "missing : executor x/y (group g): not in the mirror; the agent would not start"},
		"other nodes":          {"nodeSelector: {kubernetes.io/arch: arm64}", "setting nodeSelector: it selects nodes for linux/arm64, but the mirror is for linux/amd64"},
		"a misspelt name":      {"executors: {g: {dmeo/hello: {enabled: true}}}", "the agent would not start; did you mean demo/hello?"},
		"an empty directory":   {"extraVolumes: [{name: v, emptyDir: {}}]", "setting extraVolumeMounts: no volume with files is mounted at /plugins"},
		"another directory":    {"plugins: {cacheDir: /tmp}", `setting plugins.cacheDir: it is "/tmp", but the mirror's indexes name files below /plugins`},
		"a call home":          {"analytics: {disable: false}", "setting analytics.disable: the agent would connect to"},
		"a variable":           {"extraEnv: [{name: BOTKUBE_PLUGINS_CACHE__DIR, value: /x}]", "; set by the variable BOTKUBE_PLUGINS_CACHE__DIR"},
		"Botkube Cloud":        {"config: {provider: {identifier: x, endpoint: 'https://cloud.example.com'}}", "setting config.provider.identifier: "},
		"refused by the agent": {"actions: {a: {enabled: true}}", "would refuse its configuration"},
	} {
		m := mirrorOf()
		m.Mount = "/plugins"
		var report audit.Report
		report.Expect(grounds(m, amd64))
		c := check(t, &report, m, CheckOptions{}, quiet, test.more)
		if c.Alone != (test.says == "") || !strings.Contains(details(c), test.says) || len(report.Problems()) != len(c.Problems) || (c.Remedy("b.tar") == "") != c.Alone {
			t.Errorf("%s: alone %t, %s, %q", name, c.Alone, details(c), c.Remedy("b.tar"))
		}
	}
}

// TestCheckPlatforms has a plugin be missing on one platform only, and files too.
func TestCheckPlatforms(t *testing.T) {
	t.Parallel()
	m := mirrorOf()
	m.Mount = "/plugins"
	var report audit.Report
	report.Expect(grounds(m, amd64))
	report.Expect(grounds(m, arm64))
	c := check(t, &report, m, CheckOptions{}, quiet, "executors: {g: {demo/hello: {enabled: false}, demo/hello@v1.1.0: {enabled: true}}}")
	if got := details(c); !strings.Contains(got, "the mirror has it for linux/amd64, not for linux/arm64") || strings.Count(got, "\n") != 1 {
		t.Error(got)
	}
	lost := grounds(m, amd64)
	lost.Files, lost.Indexes["demo"] = nil, bytes.ReplaceAll(lost.Indexes["demo"], []byte("file:///plugins"), []byte("https://example.com"))
	report = audit.Report{}
	report.Expect(lost)
	if c := check(t, &report, m, CheckOptions{}, quiet); !strings.Contains(details(c), "would not start offline on linux/amd64") {
		t.Error(details(c))
	}
}

// TestCheckUndecided leaves open what decides: then, it is neither so nor otherwise.
func TestCheckUndecided(t *testing.T) {
	t.Parallel()
	m := mirrorOf()
	m.Mount = "/plugins"
	variable := "extraEnv: [{name: BOTKUBE_PLUGINS_CACHE__DIR, valueFrom: {secretKeyRef: {name: s, key: k}}}]"
	var report audit.Report
	report.Expect(grounds(m, amd64))
	c := check(t, &report, m, CheckOptions{}, quiet, variable)
	err := c.Failure("b.tar")
	if c.Alone || len(c.Problems) != 0 || fault.KindOf(err) != fault.Incomplete || !strings.Contains(err.Error(), "b.tar: with these values, the agent may not start offline") || fault.HintOf(err) == "" {
		t.Errorf("%v: %v, %s", c.Undecided, err, details(c))
	}
	if state, details := c.Verdict(); state != "may not start offline" || !slices.Equal(details, []string{"it depends on the value of the variable BOTKUBE_PLUGINS_CACHE__DIR"}) {
		t.Error(state, details)
	}
	// Where it is known to go wrong, what is not given does not matter.
	if c := check(t, &report, m, CheckOptions{}, quiet, variable, "analytics: {disable: false}"); len(c.Undecided) != 0 || len(c.Problems) != 1 || c.Failure("b.tar") != nil {
		t.Errorf("%v, %s", c.Undecided, details(c))
	}
}

// TestCheckPlaces has a bundle, or a site, be where agents find it.
func TestCheckPlaces(t *testing.T) {
	t.Parallel()
	m := mirrorOf()
	index, err := site.IndexURL("https://m.example.com/b", m.Lock, "demo")
	if err != nil {
		t.Fatal(err)
	}
	served := "plugins: {cacheDir: /tmp, repositories: {demo: {url: '" + index + "'}}}"
	for name, test := range map[string]struct {
		site bool
		o    CheckOptions
		more string
		says string
		note string
	}{
		"a bundle at a volume":      {more: "", note: "assuming that the bundle is unpacked at /plugins"},
		"a bundle that is served":   {more: served, note: "assuming that https://m.example.com/b serves this bundle"},
		"a bundle, served as given": {o: CheckOptions{Location: Location{BaseURL: "https://m.example.com/b"}}, more: served},
		"a bundle nowhere":          {more: "plugins: {cacheDir: /tmp}", says: "where the chart mounts an empty directory"},
		"a bundle at a mount":       {o: CheckOptions{Location: Location{Mount: "/mirror"}}, says: "but --mount is /mirror"},
		"a bundle, elsewhere":       {o: CheckOptions{Location: Location{BaseURL: "https://x.example.com"}}, more: served, says: "the mirror's index is at https://x.example.com/"},
		"a site":                    {site: true, more: served},
		"a site, elsewhere":         {site: true, o: CheckOptions{Location: Location{BaseURL: "https://x.example.com"}}, more: served, says: "the mirror's index is at https://x.example.com/"},
	} {
		m := mirrorOf()
		m.Access = form.Carried
		if test.site {
			m.Access = form.Downloaded
			m.BaseURL = "https://m.example.com/b"
		}
		var report audit.Report
		c := check(t, &report, m, test.o, quiet, test.more)
		if c.Alone != (test.says == "") || !strings.Contains(details(c), test.says) || !strings.Contains(strings.Join(report.Notes(), "\n"), test.note) {
			t.Errorf("%s: %s, notes %q", name, details(c), report.Notes())
		}
		if elsewhere := strings.Contains(c.Remedy("s"), "--served --base-url https://m.example.com/b"); elsewhere != (name == "a site, elsewhere") {
			t.Errorf("%s: %q", name, c.Remedy("s"))
		}
	}
}

// TestCheckVersion judges values by the chart that they say, or else by the mirror's.
func TestCheckVersion(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ mirror, given, want, note string }{
		"the mirror's":       {"v1.14.0", "", "v1.14.0", ""},
		"another than given": {"v1.14.0", "1.13.0", "v1.14.0", "not with v1.13.0"},
		"given":              {"", "1.13.0", "v1.13.0", ""},
		"the same, and no v": {"v1.13.0", "1.13.0", "v1.13.0", ""},
	} {
		m := mirrorOf()
		m.Lock.BotkubeVersion = test.mirror
		var report audit.Report
		c := check(t, &report, m, CheckOptions{Version: test.given}, quiet)
		if c.ChartVersion != test.want || (test.note == "") != !strings.Contains(strings.Join(report.Notes(), "\n"), "the values are checked with") {
			t.Errorf("%s: %s, %q", name, c.ChartVersion, report.Notes())
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	m := mirrorOf()
	m.Mount = "/plugins"
	for name, test := range map[string]struct {
		more, want string
		lost       bool
	}{
		"it starts":           {"", "starts offline, 1 executor, 0 sources", false},
		"a call":              {"analytics: {disable: false}", "would call out, 1 setting to change", false},
		"a plugin":            {"executors: {g: {demo/other: {enabled: true}}}\nanalytics: {disable: false}", "does not start offline, 1 missing plugin or template, 1 setting to change", false},
		"it refuses":          {"actions: {a: {enabled: true}}", "refuses its configuration, 1 setting to change", false},
		"a mirror with holes": {"", "starts offline once the mirror is complete", true},
	} {
		var report audit.Report
		report.Expect(grounds(m, amd64))
		if test.lost {
			report.Fail(audit.Problem{Kind: audit.KindMissing, Path: "x"})
		}
		state, details := check(t, &report, m, CheckOptions{}, quiet, test.more).Verdict()
		if got := strings.Join(append([]string{state}, details...), ", "); got != test.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestDeploy(t *testing.T) {
	t.Parallel()
	user := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(user, []byte(quiet), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		o     Options
		m     func(*form.Mirror)
		want  string
		fails string
	}{
		"a claim":                {o: Options{Claim: "c"}, want: `claimName: "c"`},
		"a claim, one platform":  {o: Options{Claim: "c", Platforms: []agent.Platform{arm64}}, want: "subPath: linux-arm64"},
		"a claim that is filled": {o: Options{Claim: "c", SeedFrom: "r.example/a:v1", AccessMode: "ReadWriteOnce"}, want: "image: r.example/a:v1"},
		"an image":               {o: Options{Image: "r.example/a:v1"}, want: "reference: r.example/a:v1"},
		"the image that was read": {o: Options{Image: "docker://r.example/a:v1"}, m: func(m *form.Mirror) {
			m.Access, m.Target, m.Digest = form.Mounted, "docker://r.example/a:v1", "sha256:"+strings.Repeat("0", 64)
		}, want: "reference: r.example/a:v1@sha256:0000"},
		"a site":                    {o: Options{BaseURL: "https://m.example.com/"}, want: "url: https://m.example.com/v1.14.0/demo/plugins-index.yaml"},
		"a site that says where":    {m: func(m *form.Mirror) { m.BaseURL = "https://m.example.com" }, want: "url: https://m.example.com/"},
		"the user's values":         {o: Options{Claim: "c", Values: []string{user}, Mount: "/mirror"}, want: "mountPath: /mirror"},
		"manifests":                 {o: Options{Claim: "c", Format: Manifests}, want: "kind: ConfigMap"},
		"a patch":                   {o: Options{Claim: "c", Format: Patch}, want: "BOTKUBE_CONFIG_PATHS"},
		"no way":                    {fails: "one of --pvc, --seed-from, --image and --base-url is required"},
		"another mount":             {o: Options{Claim: "c", Mount: "/x"}, m: func(m *form.Mirror) { m.Mount = "/plugins" }, fails: "--mount /x: the indexes of b.tar name files below /plugins"},
		"another platform":          {o: Options{Claim: "c", Platforms: []agent.Platform{{OS: "linux", Arch: "s390x"}}}, fails: "b.tar has no plugins for linux/s390x"},
		"no Linux":                  {o: Options{Claim: "c"}, m: func(m *form.Mirror) { m.Lock.Platforms = []agent.Platform{{OS: "darwin", Arch: "arm64"}} }, fails: "runs on Linux nodes"},
		"an image without a tag":    {o: Options{Image: "r.example/a"}, fails: "no tag and no digest"},
		"a program for none":        {o: Options{Claim: "c", SeedFrom: "r.example/a:v1"}, m: func(m *form.Mirror) { m.MountOnly = []agent.Platform{amd64} }, fails: "no program for linux/amd64"},
		"no agent's image":          {o: Options{Claim: "c", Registry: "r.example"}, m: func(m *form.Mirror) { m.Members = true }, fails: "the agent's image is not below r.example: b.tar does not have it"},
		"the agent's image":         {o: Options{Claim: "c", Registry: "r.example/m"}, want: "repository: m/botkube"},
		"no version for its image":  {o: Options{Claim: "c", Registry: "r.example/m"}, m: func(m *form.Mirror) { m.Lock.BotkubeVersion = "" }, fails: "the tag of the agent's image is unknown"},
		"values that are not there": {o: Options{Claim: "c", Values: []string{user + ".none"}}, fails: "reading values"},
	} {
		m := mirrorOf()
		if test.m != nil {
			test.m(m)
		}
		test.o.Assumed = "/plugins"
		if test.o.Claim != "" && test.o.Platforms == nil && len(m.Lock.Platforms) > 1 {
			test.o.Platforms = []agent.Platform{amd64} // a volume serves agents of one
		}
		made, _, err := Deploy(t.Context(), m, test.o)
		if test.fails != "" {
			if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if text, err := made.YAML(); err != nil || !strings.Contains(string(text), test.want) {
			t.Errorf("%s: %v, %s", name, err, text)
		}
	}
	if err := (&Options{Claim: "a", BaseURL: "b"}).Check(); fault.KindOf(err) != fault.Usage {
		t.Errorf("two ways: %v", err)
	}
}

// TestDeployNotes tells of what the user's values have that the mirror has not.
func TestDeployNotes(t *testing.T) {
	t.Parallel()
	user := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(user, []byte(strings.ReplaceAll(quiet, "demo/hello", "demo/other")), 0o600); err != nil {
		t.Fatal(err)
	}
	m := mirrorOf()
	m.Lock.AgentImage = &lock.Image{Reference: "ghcr.io/kubeshop/botkube:v1.14.0"}
	_, notes, err := Deploy(t.Context(), m, Options{Claim: "c", Mount: "/mirror", Platforms: []agent.Platform{amd64}, Values: []string{user}, Policy: true})
	all := strings.Join(notes, "\n")
	if err != nil || !strings.Contains(all, "your values enable plugins that are not mirrored: demo/other") || !strings.Contains(all, "nodes still pull the agent's image") || !strings.Contains(all, "connections of plugins that are not Botkube's own") {
		t.Errorf("%v, %q", err, notes)
	}
}

// TestPinnedTag keeps the digest in the tag of the user's values, if the registry has that.
func TestPinnedTag(t *testing.T) {
	t.Parallel()
	index, manifest, other := lock.Sum([]byte("index")), lock.Sum([]byte("manifest")), lock.Sum([]byte("other"))
	for digest, kept := range map[lock.SHA256]bool{index: true, manifest: true, other: false} {
		user := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(user, []byte(quiet+"\nimage: {tag: 'v1.14.0@"+digest.OCI()+"'}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		m := mirrorOf()
		m.Lock.AgentImage = &lock.Image{
			Reference: "ghcr.io/kubeshop/botkube:v1.14.0", Index: &lock.ImageIndex{SHA256: index},
			Manifests: []lock.ImageManifest{{Platform: amd64, Blob: lock.Blob{SHA256: manifest}}},
		}
		made, notes, err := Deploy(t.Context(), m, Options{Claim: "c", Mount: "/mirror", Platforms: []agent.Platform{amd64}, Values: []string{user}, Registry: "registry.example/m"})
		if err != nil {
			t.Fatal(err)
		}
		text, err := made.YAML()
		if err != nil || strings.Contains(string(text), "tag: v1.14.0@"+digest.OCI()) != kept || strings.Contains(strings.Join(notes, "\n"), "push published the agent's image as") == kept {
			t.Errorf("%s: %v, %q\n%s", digest, err, notes, text)
		}
	}
}

// TestServedAt finds a source of templates in a site, also by the URL of another place.
func TestServedAt(t *testing.T) {
	t.Parallel()
	const ref = "github.com/kubeshop/botkube//templates?ref=main"
	p := &lock.Plugin{Repository: "demo", Name: "exec", Version: "v1", Templates: []lock.Template{{Ref: ref, Directory: agent.TemplateDirectory(ref)}}}
	served := []form.Template{{Plugin: agent.PluginKey{Repository: "demo", Name: "other", Version: "v1"}, Ref: ref, URL: "https://m/x"}, {Plugin: p.Key(), Ref: ref, URL: "https://m/files/t?checksum=1"}}
	for given, want := range map[string]string{
		ref: "https://m/files/t?checksum=1", "https://m/files/t?checksum=1": "https://m/files/t?checksum=1", "https://old/files/t?checksum=1": "https://m/files/t?checksum=1",
		"https://m/x": "", "https://example.com/t": "",
	} {
		if got := servedAt(served, "https://m", p, given); got != want {
			t.Errorf("%s: %q", given, got)
		}
	}
}

// TestPageHasValues compares what the command prints with what a page for people shows.
func TestPageHasValues(t *testing.T) {
	const base = "https://mirror.example.com/botkube"
	m := mirrorOf()
	m.Path = base + "/v1.14.0" // which the first line names
	made, _, err := Deploy(t.Context(), m, Options{BaseURL: base, Assumed: "/plugins"})
	if err != nil {
		t.Fatal(err)
	}
	want, err := made.YAML()
	if err != nil {
		t.Fatal(err)
	}
	page, err := site.VersionPage(site.Paged{Lock: m.Lock, BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(html.UnescapeString(string(page)), "<code>"+string(want)+"</code>") {
		t.Errorf("%s\nlacks\n%s", page, want)
	}
}

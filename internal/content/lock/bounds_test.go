package lock

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// TestCheckBounds gives a lock values at each bound, and the next value beyond it.
func TestCheckBounds(t *testing.T) {
	t.Parallel()
	platforms := func(n int) func(*Lock) {
		return func(l *Lock) {
			for len(l.Platforms) < n {
				l.Platforms = append(l.Platforms, agent.Platform{OS: "linux", Arch: fmt.Sprintf("a%d", len(l.Platforms))})
			}
		}
	}
	url := func(n int) string { return "https://e.com/" + strings.Repeat("a", n-len("https://e.com/")) }
	for name, tt := range map[string]struct {
		change func(*Lock)
		want   string
	}{
		"platforms":          {platforms(100), ""},
		"too many platforms": {platforms(101), "lock: it has 101 platforms; the limit is 100"},
		"no platform":        {func(l *Lock) { l.Platforms = nil }, "lock: it has no platforms"},

		"no artifact size":         {func(l *Lock) { l.Artifacts[0].Size = 0 }, "lock: artifact https://e.com/greet has no size"},
		"least artifact":           {func(l *Lock) { l.Artifacts[0].Size = 1 }, ""},
		"largest artifact":         {func(l *Lock) { l.Artifacts[0].Size = MaxBlob }, ""},
		"artifact too large":       {func(l *Lock) { l.Artifacts[0].Size = MaxBlob + 1 }, "lock: artifact https://e.com/greet has 68719476737 bytes; the limit is 68719476736"},
		"negative index":           {func(l *Lock) { l.Repositories[0].Index.Size = -1 }, `lock: the index of "demo" has a negative size`},
		"empty index":              {func(l *Lock) { l.Repositories[0].Index.Size = 0 }, ""},
		"largest index":            {func(l *Lock) { l.Repositories[0].Index.Size = MaxBlob }, ""},
		"index too large":          {func(l *Lock) { l.Repositories[0].Index.Size = MaxBlob + 1 }, `lock: the index of "demo" has 68719476737 bytes`},
		"no chart size":            {func(l *Lock) { l.Chart.Size = 0 }, "lock: the chart has no size or no URL"},
		"no chart URL":             {func(l *Lock) { l.Chart.URL = "" }, "lock: the chart has no size or no URL"},
		"image without a size":     {func(l *Lock) { l.AgentImage.Manifests[0].Size = 0 }, "is not valid"},
		"largest image manifest":   {func(l *Lock) { l.AgentImage.Manifests[0].Size = MaxBlob }, ""},
		"image manifest too large": {func(l *Lock) { l.AgentImage.Manifests[0].Size = MaxBlob + 1 }, "is not valid"},
		"layer without a size":     {func(l *Lock) { l.AgentImage.Manifests[0].Blobs[0].Size = 0 }, "is not valid"},

		"longest URL":       {func(l *Lock) { l.Repositories[0].URL = url(maxURL) }, ""},
		"URL too long":      {func(l *Lock) { l.Repositories[0].URL = url(maxURL + 1) }, `lock: the URL of repository "demo" has 8193 bytes; the limit is 8192`},
		"longest reference": {func(l *Lock) { l.AgentImage.Reference = strings.Repeat("a", maxReference) }, ""},
		"reference of ~":    {func(l *Lock) { l.AgentImage.Reference = "~" }, ""},
		"reference of !":    {func(l *Lock) { l.AgentImage.Reference = "!" }, ""},
		"reference of DEL":  {func(l *Lock) { l.AgentImage.Reference = "a\x7f" }, "is not a reference"},

		"a version that makes no tag": {func(l *Lock) { l.BotkubeVersion = "v1 14" }, `lock: "v1 14" is not a Botkube version`},
		"an artifact twice":           {func(l *Lock) { l.Artifacts = append(l.Artifacts, l.Artifacts[0]) }, "lock: artifact https://e.com/greet is listed twice"},
		"a repository twice":          {func(l *Lock) { l.Repositories = append(l.Repositories, l.Repositories[0]) }, `lock: repository "demo" is listed twice`},
		"a hidden repository":         {func(l *Lock) { l.Repositories[0].Name = ".demo" }, `lock: repository ".demo" starts with a dot`},
		"a chart without a name":      {func(l *Lock) { l.Chart.Name = "" }, "lock: chart is empty"},
		"nobody vouches for a chart":  {func(l *Lock) { l.Chart.VerifiedBy = "me" }, `lock: the chart has the unknown verifiedBy "me"`},
		"a schema version to come":    {func(l *Lock) { l.SchemaVersion = 2 }, "the lock has schema version 2, but this program reads version 1"},
	} {
		l := withMembers(t)
		tt.change(l)
		err := l.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains("\n"+err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestCheckTemplateBounds(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1000, 1001} {
		p := strings.Repeat("a/", (n-len(".yaml"))/2) + strings.Repeat("b", (n-len(".yaml"))%2) + ".yaml"
		if len(p) != n {
			t.Fatalf("%d bytes", len(p))
		}
		if err := CheckTemplatePath(p); (err == nil) != (n == 1000) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	bounds := DirArchiveYAML.Bounds()
	files := func(n int, size int64) []TemplateFile {
		all := make([]TemplateFile, n)
		for i := range all {
			all[i] = TemplateFile{Path: fmt.Sprintf("%d.yaml", i), Blob: Blob{Size: size}}
		}
		return all
	}
	for _, tt := range []struct {
		files []TemplateFile
		want  string
	}{
		{files(bounds.Files, 0), ""},
		{files(bounds.Files+1, 0), "[lock: it has 1001 files; the limit is 1000]"},
		{files(1, bounds.File), ""},
		{files(1, bounds.File+1), `[lock: the size of "0.yaml" is not valid]`},
		{files(1, -1), `[lock: the size of "0.yaml" is not valid]`},
	} {
		c := new(checking)
		if c.checkTemplateFiles(tt.files); len(c.problems) == 0 && tt.want != "" || len(c.problems) > 0 && fmt.Sprint(c.problems) != tt.want {
			t.Errorf("%v, want %s", c.problems, tt.want)
		}
	}
	// Only executors have templates.
	for kind, want := range map[agent.PluginType]int{agent.Executor: 0, agent.Source: 1} {
		l := withTemplates(t)
		for _, templates := range [][]Template{l.Plugins[0].Templates, nil} {
			c := &checking{artifacts: map[string]DirArchive{l.Plugins[0].Templates[0].URL: DirArchiveYAML}}
			c.checkTemplates(Plugin{Type: kind, Templates: templates})
			if len(c.problems) != want*len(templates) {
				t.Errorf("%s with %d sources of templates: %v", kind, len(templates), c.problems)
			}
		}
	}
}

func TestParseBound(t *testing.T) {
	t.Parallel()
	pad := func(n int) []byte {
		data := sample(t)
		return append(data, []byte(strings.Repeat(" ", n-len(data)))...)
	}
	if _, err := Parse(pad(MaxSize)); err != nil {
		t.Error(err)
	}
	if _, err := Parse(pad(MaxSize + 1)); err == nil || err.Error() != "the lock has 16777217 bytes; the limit is 16777216" {
		t.Error(err)
	}
}

// Names go into messages as they are, unless they are long or a terminal takes them for more than text.
func TestPrintable(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"demo/hello@v1":          "demo/hello@v1",
		"a\x1b[31m":              `"a\x1b[31m"`,
		strings.Repeat("a", 300): strings.Repeat("a", 300),
		strings.Repeat("a", 301): strings.Repeat("a", 300) + "…",
	} {
		if got := printable(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://u:s3cret@e.com/x?token=t": "https://e.com/x?token=redacted",
		"https://e.com:port/":              "with a malformed URL",
		"https://e.com/\n":                 "with a malformed URL",
	} {
		if got := shown(raw); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestPinned asks what each file of a cache directory must be, by its kind.
func TestPinned(t *testing.T) {
	t.Parallel()
	l, err := Parse(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	l.Plugins[0].Templates = []Template{{Ref: "r", Directory: "d", URL: "u", Files: []TemplateFile{{Path: "t.yaml", Blob: Blob{Size: 3, SHA256: Sum([]byte("abc"))}}}}}
	var got []string
	for _, f := range l.Files(agent.Platform{OS: "linux", Arch: "amd64"}) {
		blob, pinned := f.Pinned()
		got = append(got, fmt.Sprintf("%s: %s, %o, %t %d", path.Base(f.Path), f.What(), f.Mode(), pinned, blob.Size))
	}
	want := []string{
		"executor_v1.0.0_hello: plugin demo/hello@v1.0.0, 755, false 0",
		"t.yaml: templates r of plugin demo/hello@v1.0.0, 644, true 3",
		"greet: dependency greet of plugin demo/hello@v1.0.0, 755, true 46",
		"speak: dependency speak of plugin demo/hello@v1.0.0, 755, false 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestDirArchive(t *testing.T) {
	t.Parallel()
	for archive, want := range map[DirArchive]string{
		DirArchiveYAML: ".yaml files 644 {1000 1048576 16777216}",
		DirArchiveAll:  "files 755 {20000 4294967296 4294967296}",
	} {
		if got := fmt.Sprintf("%s %o %v", archive.Files(), archive.Mode(), archive.Bounds()); got != want {
			t.Errorf("%s: %s, want %s", archive, got, want)
		}
	}
}

// TestBlobs counts what a lock pins, each member of a bundle with what it is made of.
func TestBlobs(t *testing.T) {
	t.Parallel()
	l := withMembers(t)
	if got, want := len(l.Blobs()), 1+1+4+2+1; got != want {
		t.Errorf("%d, want %d", got, want)
	}
	if got, want := len(l.PluginsOnly().Blobs()), 1+1+4; got != want {
		t.Errorf("%d of plugins, want %d", got, want)
	}
	if l.Chart == nil || l.AgentImage == nil {
		t.Error("the lock has lost its members")
	}
}

// TestLostChecksums changes who vouches for a file: only what upstream vouched for can be lost.
func TestLostChecksums(t *testing.T) {
	t.Parallel()
	for before, lost := range map[ChecksumSource]bool{ByIndex: true, ByPublisher: true, ByLock: false, ByNone: false} {
		for _, after := range []ChecksumSource{ByIndex, ByPublisher, ByLock, ByNone} {
			a := &Lock{Artifacts: []Artifact{{URL: "u", VerifiedBy: before}, {URL: "gone", VerifiedBy: ByIndex}}}
			b := &Lock{Artifacts: []Artifact{{URL: "u", VerifiedBy: after}, {URL: "new", VerifiedBy: ByNone}}}
			found := a.LostChecksums(b)
			if want := lost && after == ByNone; (len(found) == 1) != want || len(found) > 1 || want && found[0].URL != "u" {
				t.Errorf("%s, then %s: %v", before, after, found)
			}
		}
	}
}

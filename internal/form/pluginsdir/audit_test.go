package pluginsdir

import (
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
)

const (
	rawPath  = "demo/executor_v1.0.0_raw"
	toolPath = "demo/executor_v1.0.0_raw_deps/tool"
	gzPath   = "demo/source_v1.0.0_gz"

	upstreamIndex = `entries:
  - name: raw
    type: executor
    version: v1.0.0
    description: as it was published
    urls:
      - url: https://example.com/raw
        platform: {os: linux, architecture: amd64}
        dependencies: {tool: {url: "https://example.com/tool.gz"}}
  - name: gz
    type: source
    version: v1.0.0
    description: in an archive
    urls:
      - url: https://example.com/gz.tar.gz
        platform: {os: linux, architecture: amd64}
`
)

var amd64 = agent.Platform{OS: "linux", Arch: "amd64"}

// oneIndex is a [Source] of an index.
type oneIndex struct{ Source }

func (oneIndex) Index(agent.Platform, lock.Repository) (Index, error) {
	return Index{Data: []byte(upstreamIndex)}, nil
}

func blobOf(text string) lock.Blob {
	return lock.Blob{Size: int64(len(text)), SHA256: lock.Sum([]byte(text))}
}

func demoLock() *lock.Lock {
	build := func(url string, d ...lock.Dependency) []lock.Build {
		return []lock.Build{{Platform: amd64, URL: url, Dependencies: d}}
	}
	artifact := func(url, text string) lock.Artifact {
		return lock.Artifact{URL: url, Blob: blobOf(text), VerifiedBy: lock.ByNone}
	}
	return &lock.Lock{
		SchemaVersion: lock.SchemaVersion, Platforms: []agent.Platform{amd64},
		Repositories: []lock.Repository{{Name: "demo", URL: "https://example.com/plugins-index.yaml", Index: blobOf(upstreamIndex)}},
		Plugins: []lock.Plugin{
			{Repository: "demo", Type: agent.Executor, Name: "raw", Version: "v1.0.0", Builds: build("https://example.com/raw", lock.Dependency{Name: "tool", URL: "https://example.com/tool.gz"})},
			{Repository: "demo", Type: agent.Source, Name: "gz", Version: "v1.0.0", Builds: build("https://example.com/gz.tar.gz")},
		},
		Artifacts: []lock.Artifact{artifact("https://example.com/gz.tar.gz", "packed"), artifact("https://example.com/raw", "raw"), artifact("https://example.com/tool.gz", "packed tool")},
	}
}

// demo is a directory as it is written.
type demo struct {
	Audited
}

func newDemo(t *testing.T) *demo {
	t.Helper()
	l := demoLock()
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	l.Sort()
	d := &demo{Audited{Lock: l, Platform: amd64, Found: map[string]entry.Found{}, At: func(p string) string { return "/" + p }}}
	made := map[string]lock.Blob{}
	for p, text := range map[string]string{rawPath: "raw", toolPath: "tool", gzPath: "gz"} {
		d.put(p, text)
		made[p] = blobOf(text)
	}
	documents, err := Documents(l, amd64, "/plugins", made, oneIndex{})
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range documents {
		d.put(doc.Path, string(doc.Data))
	}
	return d
}

func (d *demo) put(p, text string) {
	d.Found[p] = entry.Found{Blob: blobOf(text), Access: disk.Access{Mode: 0o755, User: -1, Group: -1}, Data: []byte(text)}
}

// edit changes the text of a document.
func (d *demo) edit(t *testing.T, p, from, to string) {
	t.Helper()
	text := string(d.Found[p].Data)
	if !strings.Contains(text, from) {
		t.Fatalf("%s has no %q:\n%s", p, from, text)
	}
	d.put(p, strings.Replace(text, from, to, 1))
}

// resum has SHA256SUMS name what is there, as a hand would that covers its traces.
func (d *demo) resum() {
	sums := entry.Sums{}
	for p, f := range d.Found {
		if p != SumsPath {
			sums[p] = f.SHA256
		}
	}
	d.put(SumsPath, string(sums.Marshal()))
}

func TestAudit(t *testing.T) {
	sum := func(text string) string { return blobOf(text).SHA256.String() }
	for _, c := range []struct {
		name   string
		change func(t *testing.T, d *demo)
		// want are the problems: kind, path, and a part of the detail.
		want []string
	}{
		{"nothing", func(*testing.T, *demo) {}, nil},
		{"an upstream file", func(_ *testing.T, d *demo) { d.put(rawPath, "RAW") },
			[]string{"damaged " + rawPath + " but the lock says " + sum("raw")}},
		{"an upstream file, and SHA256SUMS", func(_ *testing.T, d *demo) { d.put(rawPath, "RAW"); d.resum() },
			[]string{"damaged " + SumsPath + " its digest of /" + rawPath, "damaged " + rawPath + " but the lock says " + sum("raw")}},
		{"an unpacked file", func(_ *testing.T, d *demo) { d.put(gzPath, "GZ") },
			[]string{"damaged " + gzPath + " but SHA256SUMS says " + sum("gz")}},
		{"an unpacked file, and SHA256SUMS", func(_ *testing.T, d *demo) { d.put(gzPath, "GZ"); d.resum() },
			[]string{"index demo.yaml has the checksum"}},
		{"a dependency that is missing", func(_ *testing.T, d *demo) { delete(d.Found, toolPath) },
			[]string{"missing " + toolPath + " the file is missing"}},
		{"a file that is a link", func(_ *testing.T, d *demo) {
			d.Found[gzPath] = entry.Found{Problem: "it is a link, not a regular file"}
		},
			[]string{"damaged " + gzPath + " it is a link"}},
		{"a file that cannot be run", func(_ *testing.T, d *demo) {
			f := d.Found[gzPath]
			f.Mode = 0o644
			d.Found[gzPath] = f
		}, []string{"damaged " + gzPath + " its mode is 0644"}},
		{"a file that nobody asked for", func(_ *testing.T, d *demo) { d.put("demo/executor_v9.0.0_raw", "raw") },
			[]string{"unexpected demo/executor_v9.0.0_raw an agent might run it"}},
		{"an index that nobody asked for", func(_ *testing.T, d *demo) { d.put("other.yaml", "entries: []") },
			[]string{"unexpected other.yaml would read it as the index"}},
		{"a file of an earlier version", func(_ *testing.T, d *demo) {
			d.put("demo/executor_v0.9.0_raw", "raw")
			d.Superseded = map[string]bool{"demo/executor_v0.9.0_raw": true}
		}, nil},
		{"a link that an earlier version left", func(_ *testing.T, d *demo) {
			d.Found["demo/executor_v0.9.0_raw"] = entry.Found{Problem: "it is a link, not a regular file"}
			d.Superseded = map[string]bool{"demo/executor_v0.9.0_raw": true}
		}, []string{"unexpected demo/executor_v0.9.0_raw it is a link"}},
		{"the lock", func(t *testing.T, d *demo) { d.edit(t, LockPath, "none", "index") },
			[]string{"damaged " + LockPath + " not the lock that was written to this directory"}},
		{"the lock in SHA256SUMS", func(t *testing.T, d *demo) {
			d.edit(t, SumsPath, d.Found[LockPath].SHA256.String(), sum("other"))
		}, []string{"damaged " + LockPath + " do not agree"}},
		{"the lock, which is missing", func(_ *testing.T, d *demo) { delete(d.Found, LockPath) },
			[]string{"missing " + LockPath + " the file is missing"}},
		{"an upstream file in SHA256SUMS", func(t *testing.T, d *demo) { d.edit(t, SumsPath, sum("raw"), sum("other")) },
			[]string{"damaged " + SumsPath + " its digest of /" + rawPath}},
		{"an unpacked file in SHA256SUMS", func(t *testing.T, d *demo) { d.edit(t, SumsPath, sum("gz"), sum("other")) },
			[]string{"damaged " + gzPath + " but SHA256SUMS says " + sum("other"), "index demo.yaml has the checksum"}},
		{"SHA256SUMS that is missing", func(_ *testing.T, d *demo) { delete(d.Found, SumsPath) },
			[]string{"missing " + SumsPath + " the file is missing"}},
		{"SHA256SUMS that is missing, and an unpacked file", func(_ *testing.T, d *demo) { delete(d.Found, SumsPath); d.put(gzPath, "GZ") },
			[]string{"damaged " + gzPath + " but the index says " + sum("gz"), "missing " + SumsPath + " the file is missing"}},
		{"SHA256SUMS that is missing, and the index of an upstream file", func(t *testing.T, d *demo) {
			delete(d.Found, SumsPath)
			d.edit(t, "demo.yaml", sum("raw"), sum("other"))
		}, []string{"index demo.yaml has the checksum", "missing " + SumsPath + " the file is missing"}},
		{"SHA256SUMS and the index that are missing", func(_ *testing.T, d *demo) { delete(d.Found, SumsPath); delete(d.Found, "demo.yaml") },
			[]string{"damaged " + toolPath + " neither SHA256SUMS nor the index", "damaged " + gzPath + " neither SHA256SUMS nor the index", "missing " + SumsPath, "missing demo.yaml the file is missing"}},
		{"SHA256SUMS that is no list", func(_ *testing.T, d *demo) { d.put(SumsPath, "nothing") },
			[]string{"damaged " + SumsPath + " expected a digest and a path"}},
		{"SHA256SUMS with another order", func(t *testing.T, d *demo) {
			lines := strings.SplitAfter(string(d.Found[SumsPath].Data), "\n")
			slices.Reverse(lines)
			d.put(SumsPath, strings.Join(lines, ""))
		}, []string{"damaged " + SumsPath + " its files or their order"}},
		{"SHA256SUMS with one more", func(_ *testing.T, d *demo) {
			d.put(SumsPath, string(d.Found[SumsPath].Data)+sum("x")+"  zzz\n")
		}, []string{"damaged " + SumsPath + " its files or their order"}},
		{"an index", func(t *testing.T, d *demo) { d.edit(t, "demo.yaml", "published", "PUBLISHED") },
			[]string{"damaged demo.yaml but SHA256SUMS says"}},
		{"an index that the agent refuses", func(_ *testing.T, d *demo) { d.put("demo.yaml", "entries: 1"); d.resum() },
			[]string{"index demo.yaml the agent refuses the index"}},
		{"an index that leads elsewhere", func(t *testing.T, d *demo) {
			d.edit(t, "demo.yaml", "file:///plugins/"+gzPath, "https://evil.example.com/gz")
			d.resum()
		}, []string{`index demo.yaml has the URL "https://evil.example.com/gz", but should have file:///plugins/` + gzPath}},
		{"a dependency that leads elsewhere", func(t *testing.T, d *demo) {
			d.edit(t, "demo.yaml", "file:///plugins/"+toolPath, "https://evil.example.com/tool")
			d.resum()
		}, []string{"index demo.yaml the dependency tool of"}},
		{"an index with one plugin more", func(t *testing.T, d *demo) {
			d.edit(t, "demo.yaml", "entries:\n", "entries:\n    - {name: more, type: source, version: v1.0.0, description: d, urls: [{url: \"file:///x\", platform: {os: linux, architecture: amd64}}]}\n")
			d.resum()
		}, []string{"index demo.yaml which is not in the lock"}},
		{"an index with one plugin less", func(_ *testing.T, d *demo) { d.put("demo.yaml", "entries: []\n"); d.resum() },
			[]string{"index demo.yaml the index lacks executor demo/raw@v1.0.0", "index demo.yaml the index lacks source demo/gz@v1.0.0"}},
		{"nothing, where the agent sees it", func(_ *testing.T, d *demo) { d.Mount = "/plugins" }, nil},
		{"nothing, but the agent sees it elsewhere", func(_ *testing.T, d *demo) { d.Mount = "/other" },
			[]string{"index demo.yaml the index is for a directory at /plugins, but the agent sees the directory at /other"}},
		{"an index for another platform too", func(t *testing.T, d *demo) {
			d.edit(t, "demo.yaml", "urls:\n", "urls:\n        - {url: \"https://evil.example.com/\", platform: {os: linux, architecture: arm64}}\n")
			d.resum()
		}, []string{"index demo.yaml has a build for linux/arm64"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDemo(t)
			c.change(t, d)
			var r audit.Report
			d.Audit(&r)
			problems := r.Problems()
			for i, p := range problems {
				kind, rest, _ := strings.Cut(slices.Concat(c.want, make([]string, len(problems)))[i], " ")
				at, detail, _ := strings.Cut(rest, " ")
				if string(p.Kind) != kind || p.Path != "/"+at || !strings.Contains(p.Detail, detail) {
					t.Errorf("not expected: %s %s: %s", p.Kind, p.Path, p.Detail)
				}
			}
			if len(problems) < len(c.want) {
				t.Errorf("lacking: %q", c.want[len(problems):])
			}
			for _, f := range r.Files() {
				if _, there := d.Found[strings.TrimPrefix(f.Path, "/")]; there != (f.State != audit.Missing) {
					t.Errorf("%s is said to be %s", f.Path, f.State)
				}
				if _, noted := d.Found[SumsPath]; f.Basis == audit.BySums && !noted {
					t.Errorf("of %s, a file says what it is that is not there", f.Path)
				}
			}
			if len(r.Predictions()) != 1 {
				t.Errorf("%+v", r.Predictions())
			}
		})
	}
}

// TestAuditBases wants the report to name whom it believes.
func TestAuditBases(t *testing.T) {
	d := newDemo(t)
	var r audit.Report
	d.Audit(&r)
	want := map[string]audit.Basis{
		rawPath: audit.ByLock, toolPath: audit.BySums, gzPath: audit.BySums, "demo.yaml": audit.BySums, LockPath: audit.BySums, SumsPath: "",
	}
	for _, f := range r.Files() {
		if basis, listed := want[strings.TrimPrefix(f.Path, "/")]; !listed || f.Basis != basis || f.State != audit.Intact || f.Size == 0 || f.SHA256 == nil {
			t.Errorf("%+v", f)
		}
	}
	if n := len(r.Files()); n != len(want) {
		t.Errorf("%d files", n)
	}
	if o := r.Predictions()[0]; o.Plugins != 2 || len(o.External) > 0 || len(o.Failures) > 0 || o.FromMirror > 0 {
		t.Errorf("%+v", o)
	}
}

// TestMounts tells where an index is for, and that two do not agree.
func TestMounts(t *testing.T) {
	d := newDemo(t)
	if got := mountIn(d.Found["demo.yaml"].Data); got != "/plugins" {
		t.Error(got)
	}
	for _, index := range []string{"", "entries: 1", upstreamIndex} {
		if got := mountIn([]byte(index)); got != "" {
			t.Errorf("%q in %q", got, index)
		}
	}
}

func mountIn(index []byte) string {
	ix, err := agent.ReadIndex(index)
	return MountIn(ix, err, "demo", amd64)
}

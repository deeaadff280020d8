package lock

import (
	"reflect"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// withTemplates is a lock of an executor with templates on two platforms.
func withTemplates(t testing.TB) *Lock {
	t.Helper()
	const ref = "github.com/kubeshop/botkube//cmd/executor/exec/templates?ref=release-1.8"
	const u = "git::https://github.com/kubeshop/botkube.git//cmd/executor/exec/templates?ref=release-1.8"
	blob := func(s string) Blob { return Blob{Size: int64(len(s)), SHA256: Sum([]byte(s))} }
	build := func(arch string) Build {
		return Build{Platform: agent.Platform{OS: "linux", Arch: arch}, URL: "https://e.com/exec"}
	}
	l := &Lock{
		SchemaVersion: SchemaVersion,
		Platforms:     []agent.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}},
		Repositories:  []Repository{{Name: "r", URL: "https://e.com/index.yaml", Index: blob("index")}},
		Plugins: []Plugin{{
			Repository: "r", Type: agent.Executor, Name: "exec", Version: "v1", Builds: []Build{build("amd64"), build("arm64")},
			Templates: []Template{{
				Ref: ref, Directory: agent.TemplateDirectory(ref), URL: u,
				Files: []TemplateFile{{"a[1]/a.yaml", blob("a")}, {"b.yaml", blob("")}},
			}},
		}},
		Artifacts: []Artifact{
			{URL: u, DirArchive: DirArchiveYAML, Blob: blob("tar"), VerifiedBy: ByNone},
			{URL: "https://e.com/exec", Blob: blob("exec"), VerifiedBy: ByIndex},
		},
	}
	l.Sort()
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFilesOfTemplates(t *testing.T) {
	t.Parallel()
	l := withTemplates(t)
	const dir = "r/executor_v1_exec_deps/ik1K6CzpTMzAqZkV1zy1gZpezp51uQpErRk5nBkCIrk="
	for _, p := range l.Platforms {
		for _, l := range []*Lock{l, l.ForPlatform(p)} {
			files := l.Files(p)
			if len(files) != 3 {
				t.Fatalf("%+v", files)
			}
			first, second := files[1], files[2]
			if first.Path != dir+"/a[1]/a.yaml" || first.Format != "tar" || first.Member != (agent.Member{Dir: `a\[1]`, Name: "a.yaml"}) || first.Mode() != 0o644 {
				t.Errorf("%+v", first)
			}
			if second.Path != dir+"/b.yaml" || second.Member != (agent.Member{Name: "b.yaml"}) || second.Artifact.DirArchive != DirArchiveYAML {
				t.Errorf("%+v", second)
			}
			if pinned, ok := first.Pinned(); !ok || pinned != l.Plugins[0].Templates[0].Files[0].Blob {
				t.Errorf("%+v, %t", pinned, ok)
			}
			if files[0].Mode() != 0o755 || !strings.Contains(first.What(), "templates github.com") {
				t.Errorf("%v, %s", files[0].Mode(), first.What())
			}
		}
	}
	if none := l.Subset(l.Platforms, func(Plugin) bool { return false }); len(none.Artifacts) != 0 {
		t.Errorf("%+v", none.Artifacts)
	}
}

func TestCheckTemplates(t *testing.T) {
	t.Parallel()
	first := func(l *Lock) *Template { return &l.Plugins[0].Templates[0] }
	for name, test := range map[string]struct {
		change func(l *Lock)
		want   string
	}{
		"a source":            {func(l *Lock) { l.Plugins[0].Type = agent.Source }, "is not an executor"},
		"directory elsewhere": {func(l *Lock) { first(l).Directory = "../x" }, "or is not a valid name"},
		"directory too long":  {func(l *Lock) { first(l).Directory += "=" }, "or is not a valid name"},
		"a line":              {func(l *Lock) { first(l).Directory += "\n" }, "or is not a valid name"},
		"twice":               {func(l *Lock) { l.Plugins[0].Templates = append(l.Plugins[0].Templates, *first(l)) }, "is listed twice"},
		"no source":           {func(l *Lock) { first(l).Ref = "" }, "is empty"},
		"source in colour":    {func(l *Lock) { first(l).Ref = "\x1b[31m" }, "control character"},
		"no artifact":         {func(l *Lock) { first(l).URL += "x" }, "the lock has no artifact with templates"},
		"a file for it":       {func(l *Lock) { first(l).URL = "https://e.com/exec" }, "the lock has no artifact with templates"},
		"other files":         {func(l *Lock) { l.Artifacts[0].DirArchive = DirArchiveAll }, "the lock has no artifact with templates"},
		"unknown tree":        {func(l *Lock) { l.Artifacts[0].DirArchive = "x" }, "has the unknown "},
		"a tree for a plugin": {func(l *Lock) { l.Artifacts[1].DirArchive = DirArchiveYAML }, "the lock has no artifact for"},
		"no files":            {func(l *Lock) { first(l).Files = nil }, "has no files"},
		"file elsewhere":      {func(l *Lock) { first(l).Files[0].Path = "../x.yaml" }, "not the relative path"},
		"absolute file":       {func(l *Lock) { first(l).Files[0].Path = "/x.yaml" }, "not the relative path"},
		"no template":         {func(l *Lock) { first(l).Files[0].Path = "x.sh" }, "not the relative path"},
		"odd name":            {func(l *Lock) { first(l).Files[0].Path = `a\b.yaml` }, "path separator"},
		"name in colour":      {func(l *Lock) { first(l).Files[0].Path = "\x1b.yaml" }, "control character"},
		"file twice":          {func(l *Lock) { first(l).Files[0].Path = "b.yaml" }, "two files"},
		"file in a file":      {func(l *Lock) { first(l).Files[0].Path = "b.yaml/a.yaml" }, "a file and a directory"},
		"negative size":       {func(l *Lock) { first(l).Files[0].Size = -1 }, "is not valid"},
		"too large":           {func(l *Lock) { first(l).Files[0].Size = 2 << 20 }, "is not valid"},
		"too many":            {func(l *Lock) { first(l).Files = make([]TemplateFile, 1001) }, "the limit is 1000"},
		"dependency in its way": {func(l *Lock) {
			l.Plugins[0].Builds[0].Dependencies = []Dependency{{Name: first(l).Directory, URL: "https://e.com/exec"}}
		}, "a file and a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			l := withTemplates(t)
			test.change(l)
			err := l.Check()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v, want %q", err, test.want)
			}
			checkMessage(t, err)
		})
	}
}

func TestDiffTemplates(t *testing.T) {
	t.Parallel()
	a, b := withTemplates(t), withTemplates(t)
	if found := Diff(a, b); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	files := b.Plugins[0].Templates[0].Files
	files[0].Blob = Blob{Size: 3, SHA256: Sum([]byte("new"))}
	files[1].Path = "c.yaml"
	b.Artifacts[0].Blob = Blob{Size: 4, SHA256: Sum([]byte("tar2"))}
	var got []string
	for _, d := range Diff(a, b) {
		got = append(got, string(d.Change)+" "+string(d.Subject)+" "+string(d.Aspect)+" "+d.Path)
		if d.Alarming() || !strings.HasPrefix(d.Source, "github.com/") {
			t.Errorf("%+v", d)
		}
	}
	if want := []string{"changed templates file a[1]/a.yaml", "removed templates  b.yaml", "added templates  c.yaml"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	b.Plugins[0].Templates, b.Artifacts = nil, b.Artifacts[1:]
	if found := Diff(a, b); len(found) != 1 || found[0].Change != Removed || found[0].Subject != SubjectTemplates {
		t.Errorf("%+v", found)
	}
	if found := Diff(b, a); len(found) != 1 || found[0].Change != Added {
		t.Errorf("%+v", found)
	}
}

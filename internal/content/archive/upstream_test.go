package archive_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

var upstream = filepath.Join("..", "..", "..", "testdata", "upstream")

func TestUpstream(t *testing.T) {
	plugins, err := filepath.Glob(filepath.Join(upstream, "archives", "*_*_*.*"))
	check(t, err)
	if len(plugins) == 0 {
		t.Fatal("no archives")
	}
	for _, name := range plugins {
		stem, format, _ := strings.Cut(filepath.Base(name), ".")
		b, err := os.ReadFile(name)
		check(t, err)
		file, body, err := extract(b, format, agent.Member{First: true}, archive.Limits{})
		if err != nil || strings.TrimSuffix(file, ".exe") != stem || !strings.HasPrefix(body, "#!/bin/sh\n") {
			t.Errorf("%s: got %q, %q, %v", name, file, body, err)
		}
	}
	for name, want := range map[string]agent.Member{
		"speak-v1.2.0-linux-amd64.tar.gz": {Dir: "linux-amd64", Name: "speak"},
		"clock_1.0.0_darwin_arm64.zip":    {Dir: "clock_1.0.0_darwin_arm64/bin", Name: "clock"},
		"parcel-1.3.3-linux_amd64.tgz":    {Name: "parcel"},
		"squeeze-0.9.0-linux_amd64.txz":   {Name: "squeeze"},
	} {
		l, err := agent.ParseLocation("https://example.com/" + name)
		check(t, err)
		b, err := os.ReadFile(filepath.Join(upstream, "dependencies", name))
		check(t, err)
		if _, body, err := extract(b, l.Format, want, archive.Limits{}); err != nil || !strings.HasPrefix(body, "#!/bin/sh\n") {
			t.Errorf("%s: got %q, %v", name, body, err)
		}
	}
}

// TestUpstreamsAreGenerated fails when testdata/upstream or testdata/demo is not what their
// generator writes.
func TestUpstreamsAreGenerated(t *testing.T) {
	tier.SkipUnlessThorough(t)
	fresh := t.TempDir()
	out, err := exec.Command("go", "run", filepath.Join(upstream, "generate")+"/", fresh).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, dir := range []string{"upstream", "demo"} {
		want, got := files(t, filepath.Join(fresh, dir)), files(t, filepath.Join(upstream, "..", dir))
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("testdata/%s/%s is stale: go run ./testdata/upstream/generate", dir, name)
			}
			delete(got, name)
		}
		for name := range got {
			t.Errorf("testdata/%s/%s is not generated", dir, name)
		}
	}
}

func files(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == ".gitattributes" || strings.HasPrefix(name, "generate/") {
			return err
		}
		b, err := os.ReadFile(filepath.Join(root, name))
		found[name] = string(b)
		return err
	})
	check(t, err)
	return found
}

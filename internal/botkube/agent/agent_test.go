package agent

import (
	"slices"
	"strings"
	"testing"
)

func TestDefaultRepositories(t *testing.T) {
	const extra = "https://github.com/kubeshop/botkube-plugins/releases/download/"
	for version, want := range map[string]int{"v1.0.0": 1, "v1.13.0": 1, "v1.14.0-rc.1": 2, "v1.13.0-rc.1": 1, "v1.14.0": 2, "v1.15.2": 2, "v2.0.0": 2} {
		got := DefaultRepositories(version)
		if len(got) != want || got[0].Name != "botkube" || got[0].URL != "https://github.com/kubeshop/botkube/releases/download/"+version+"/plugins-index.yaml" {
			t.Errorf("DefaultRepositories(%q) = %v", version, got)
		}
		if len(got) == 2 && (got[1].Name != "botkubeExtra" || got[1].URL != extra+WithoutPrerelease(version)+"/plugins-index.yaml") {
			t.Errorf("DefaultRepositories(%q)[1] = %v", version, got[1])
		}
	}
}

func TestPaths(t *testing.T) {
	binary := BinaryPath("botkube", Executor, "v1.14.0", "kubectl")
	if want := "botkube/executor_v1.14.0_kubectl"; binary != want {
		t.Errorf("binary at %q, want %q", binary, want)
	}
	if got, want := DependencyPath(binary, "kubectl"), "botkube/executor_v1.14.0_kubectl_deps/kubectl"; got != want {
		t.Errorf("dependency at %q, want %q", got, want)
	}
	if got, want := IndexPath("botkube"), "botkube.yaml"; got != want {
		t.Errorf("index at %q, want %q", got, want)
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"kubectl", "v1.0.0+build", "a b", ".hidden", "ä"} {
		if err := CheckName("name", name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", `a\b`, "a\x00", "a\nb", "\xff", strings.Repeat("x", 300)} {
		if CheckName("name", name) == nil {
			t.Errorf("%q passes", name)
		}
	}
	if CheckBinaryName(Executor, strings.Repeat("1", 120), strings.Repeat("x", 120)) == nil {
		t.Error("a file name of more than 255 bytes passes")
	}
}

func TestVersionsNewestFirst(t *testing.T) {
	ix := new(Index)
	for _, v := range []string{"1.9.0", "v1.10.0", "v1.2.0", "1.10.0-rc.1", "v2.0.0"} {
		ix.Entries = append(ix.Entries, Entry{Name: "x", Type: Executor, Version: v}, Entry{Name: "x", Type: Source, Version: v})
	}
	var got []string
	for _, e := range ix.Versions(Executor, "x") {
		got = append(got, e.Version)
	}
	if want := []string{"v2.0.0", "v1.10.0", "1.10.0-rc.1", "1.9.0", "v1.2.0"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestParsePluginKey(t *testing.T) {
	for _, s := range []string{"botkube/kubectl", "botkube/kubectl@v1.14.0"} {
		if k, err := ParsePluginKey(s); err != nil || k.String() != s {
			t.Errorf("ParsePluginKey(%q) = %v, %v", s, k, err)
		}
	}
	for _, s := range []string{"", "kubectl", "/kubectl", "botkube/", "botkube/@v1", "botkube/kubectl@"} {
		if k, err := ParsePluginKey(s); err == nil {
			t.Errorf("ParsePluginKey(%q) = %v, want an error", s, k)
		}
	}
}

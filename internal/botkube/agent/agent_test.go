package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestDefaultRepositories(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// TestNameBounds wants the exact bounds of a file name, and the words where it is too long.
func TestNameBounds(t *testing.T) {
	t.Parallel()
	a := func(n int) string { return strings.Repeat("a", n) }
	for _, tt := range []struct {
		err  error
		want string
	}{
		{CheckName("name", a(243)), ""},
		{CheckName("name", a(244)), `name "` + a(32) + `"… has 244 bytes: too long for a file name, which has at most 243`},
		{CheckName("name", ""), "name is empty"},
		{CheckName("name", "."), `name "." is not a file name`},
		{CheckName("name", ".."), `name ".." is not a file name`},
		{CheckName("name", "..."), ""},
		{CheckName("name", " a"), `name " a" starts or ends with a space`},
		{CheckName("name", "a\t"), `name "a\t" starts or ends with a space`},
		{CheckName("name", "a/b"), `name "a/b" contains a path separator`},
		{CheckName("name", "a\x7fb"), `name "a\x7fb" contains a control character`},
		{CheckRepository(".a"), `repository ".a" starts with a dot`},
		{CheckRepository("a."), ""},
		{CheckRepository(""), "repository is empty"},
		// executor_v1_ and _deps have 17 bytes.
		{CheckBinaryName(Executor, "v1", a(243-17)), ""},
		{CheckBinaryName(Executor, "v1", a(244-17)), `the file name of plugin "` + a(40) + `…" "v1" would have 244 bytes, and the limit is 243`},
		{CheckBinaryName(Executor, a(244-55), a(40)), `the file name of plugin "` + a(40) + `" "` + a(40) + `…" would have 244 bytes, and the limit is 243`},
	} {
		if tt.err == nil && tt.want != "" || tt.err != nil && tt.err.Error() != tt.want {
			t.Errorf("%v, want %s", tt.err, tt.want)
		}
	}
}

func TestPlatform(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 32)
	for s, want := range map[string]bool{
		"linux/amd64": true, "az/09": true, "a_b/c": true, long + "/a": true, "a/" + long: true,
		"": false, "linux": false, "linux/": false, "/amd64": false, "linux/arm/v7": false, "Linux/amd64": false, "linux/amd64 ": false,
		"a`/b": false, "a{/b": false, "a:/b": false, "a./b": false, "a-b/c": false, long + "a/b": false, "a/" + long + "a": false,
	} {
		var p, decoded Platform
		p, err := ParsePlatform(s)
		if (err == nil) != want || err == nil && p.String() != s {
			t.Errorf("%q: %v, %v", s, p, err)
		}
		if err != nil && err.Error() != fmt.Sprintf("platform %q must be OS/ARCH, for example linux/amd64", s) {
			t.Errorf("%q: %v", s, err)
		}
		if err := decoded.UnmarshalText([]byte(s)); (err == nil) != want || decoded != p {
			t.Errorf("%q is decoded as %v, %v", s, decoded, err)
		}
	}
	if got := (Platform{"linux", "amd64"}).Dir(); got != "linux-amd64" {
		t.Error(got)
	}
}

func TestPluginTypeValid(t *testing.T) {
	t.Parallel()
	for kind, want := range map[PluginType]bool{Executor: true, Source: true, "": false, "Executor": false} {
		if got := kind.Valid(); got != want {
			t.Errorf("%q: %t", kind, got)
		}
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	ix := new(Index)
	for _, v := range []string{"1.9.0", "v1.10.0", "v1.2.0", "1.10.0-rc.1", "v2.0.0"} {
		ix.Entries = append(ix.Entries, Entry{Name: "x", Type: Executor, Version: v}, Entry{Name: "x", Type: Source, Version: v})
	}
	ix.sortVersions()
	var got []string
	for _, e := range ix.Versions(Executor, "x") {
		got = append(got, e.Version)
	}
	if want := []string{"v2.0.0", "v1.10.0", "1.10.0-rc.1", "1.9.0", "v1.2.0"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestParsePluginKey(t *testing.T) {
	t.Parallel()
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

func TestGuessPlatform(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"linux/amd64": "linux/amd64", "linux-amd64": "linux/amd64", "linux_arm64": "linux/arm64", "Linux/AMD64": "linux/amd64", "amd64": "linux/amd64",
		"x86_64": "linux/amd64", "linux/x86_64": "linux/amd64", "linux/aarch64": "linux/arm64", "linux/arm64/v8": "linux/arm64", "linux": "linux/amd64",
		"macos/arm64": "darwin/arm64", " darwin:x64 ": "darwin/amd64", "windows/amd64": "windows/amd64",
		"": "", "all": "", "linux/arm": "", "plan9/amd64": "", "a/b/c": "", "linux/amd64/x": "",
	} {
		p, ok := GuessPlatform(s)
		if ok != (want != "") || ok && p.String() != want {
			t.Errorf("%q: %s, %t, want %q", s, p, ok, want)
		}
	}
}

package lock

import (
	"fmt"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// large returns a lock of so many plugins, each with a build and a dependency for two
// platforms.
func large(tb testing.TB, plugins int) *Lock {
	tb.Helper()
	l := &Lock{SchemaVersion: SchemaVersion, BotkubeVersion: "v1.14.0", Platforms: []agent.Platform{amd64, arm64}}
	l.Repositories = []Repository{{Name: "demo", URL: "https://example.com/plugins-index.yaml", Index: Blob{Size: 1, SHA256: Sum(nil)}}}
	for i := range plugins {
		p := Plugin{Repository: "demo", Type: agent.Executor, Name: fmt.Sprintf("plugin-%d", i), Version: "v1.0.0"}
		for _, platform := range l.Platforms {
			url := func(what string) string {
				u := fmt.Sprintf("https://example.com/releases/download/v1.0.0/%s_%s_%s_%s.tar.gz", what, p.Name, platform.OS, platform.Arch)
				l.Artifacts = append(l.Artifacts, Artifact{URL: u, Blob: Blob{Size: 1 << 20, SHA256: Sum([]byte(u))}, VerifiedBy: ByIndex})
				return u
			}
			p.Builds = append(p.Builds, Build{Platform: platform, URL: url("executor"), Dependencies: []Dependency{{Name: "tool", URL: url("tool") + "//bin"}}})
		}
		l.Plugins = append(l.Plugins, p)
	}
	l.Sort()
	return l
}

// BenchmarkLock has a lock of 10,000 artifacts, those of 2,500 plugins.
func BenchmarkLock(b *testing.B) {
	l := large(b, 2_500)
	data, err := l.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	other := large(b, 2_500)
	other.Artifacts[0].SHA256 = SHA256{1}
	for name, run := range map[string]func() error{
		"encode": func() error { _, err := l.Marshal(); return err },
		"decode": func() error { _, err := Parse(data); return err },
		"check":  l.Check,
		"files":  func() error { l.Files(amd64); return nil },
		"digest": func() error { _, err := l.Digest(); return err },
		"subset": func() error { l.ForPlatform(amd64); return nil },
		"diff":   func() error { Diff(l, other); return nil },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package index

import (
	"fmt"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// largest is an index with as many entries as are read, for two platforms each.
func largest() []byte {
	var out strings.Builder
	out.WriteString("entries:\n")
	for i := range maxEntries {
		fmt.Fprintf(&out, `    - name: plugin-%d
      type: executor
      description: "Plugin %d does one thing, and does it well."
      documentationUrl: https://example.com/plugins/%d
      version: v1.%d.0
      urls:
        - url: https://example.com/download/v1/executor_plugin-%d_linux_amd64.tar.gz
          checksum: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
          platform: {os: linux, architecture: amd64}
          dependencies: {tool: {url: "https://example.com/tool-%d"}}
        - url: https://example.com/download/v1/executor_plugin-%d_linux_arm64.tar.gz
          platform: {os: linux, architecture: arm64}
          dependencies: {tool: {url: "https://example.com/tool-%d-arm64"}}
      jsonSchema: {value: "{\"type\": \"object\"}"}
`, i, i, i, i, i, i, i, i)
	}
	return []byte(out.String())
}

func BenchmarkParse(b *testing.B) {
	data := largest()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRewrite(b *testing.B) {
	ix, err := Parse(largest())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ix.Rewrite(pointAway); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSelect(b *testing.B) {
	ix, err := Parse(largest())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Select(map[string]*Index{"r": ix}, Selection{Platforms: []agent.Platform{{OS: "linux", Arch: "amd64"}}}); err != nil {
			b.Fatal(err)
		}
	}
}

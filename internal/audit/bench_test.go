package audit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// BenchmarkPredict predicts an agent over a directory of 3000 plugins, each with a
// dependency.
func BenchmarkPredict(b *testing.B) {
	const plugins = 3000
	l, files := new(lock.Lock), map[string]bool{}
	var index strings.Builder
	index.WriteString("entries:\n")
	for i := range plugins {
		name := fmt.Sprintf("p%04d", i)
		l.Plugins = append(l.Plugins, plugin(agent.Executor, name, "v1.0.0", amd64))
		binary := agent.BinaryPath("demo", agent.Executor, "v1.0.0", name)
		files[binary], files[agent.DependencyPath(binary, "jq")] = true, true
		fmt.Fprintf(&index, "  - {name: %s, type: executor, version: v1.0.0, description: d, urls: [{url: \"file:///plugins/%s\", platform: {os: linux, architecture: amd64}, dependencies: {jq: {url: \"file:///plugins/%s\"}}}]}\n",
			name, binary, agent.DependencyPath(binary, "jq"))
	}
	for b.Loop() {
		g := StartState{
			Startup: agent.Startup{
				Platform: amd64, Files: files, Indexes: map[string][]byte{"demo": []byte(index.String())},
				URLs: map[string]string{"demo": "https://example.com/plugins-index.yaml"},
			},
			Lock: l, Within: func(string) bool { return false }, OnDisk: true,
		}
		if o := g.Predict(); o.Plugins != plugins || len(o.External)+len(o.Failures) > 0 {
			b.Fatalf("%d plugins, %v, %v", o.Plugins, o.External, o.Failures)
		}
	}
}

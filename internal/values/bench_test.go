package values

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// manyPlugins is a mirror of n plugins, what an agent finds of it, and values that start all.
func manyPlugins(n int) (*form.Mirror, audit.StartState, string) {
	m := mirrorOf()
	m.Mount = "/plugins"
	m.Lock.Plugins, m.Lock.Platforms = nil, []agent.Platform{amd64}
	g := audit.StartState{
		Startup: agent.Startup{Platform: amd64, Files: map[string]bool{}}, Lock: m.Lock,
		Within: func(url string) bool { return strings.HasPrefix(url, "file:///plugins/") },
	}
	var index, groups strings.Builder
	var names []string
	index.WriteString("entries:\n")
	for i := range n {
		p := lock.Plugin{Repository: "demo", Type: agent.Executor, Name: fmt.Sprint("p", i), Version: "v1.0.0", Builds: []lock.Build{{Platform: amd64, URL: "https://example.com/v1.0.0"}}}
		m.Lock.Plugins = append(m.Lock.Plugins, p)
		g.Files[p.Binary()] = true
		fmt.Fprintf(&index, "- {name: p%d, type: executor, version: v1.0.0, urls: [{url: 'file:///plugins/%s', platform: {os: linux, architecture: amd64}}]}\n", i, p.Binary())
		if i%500 == 0 { // a mapping has at most 1000 keys
			names = append(names, fmt.Sprint("g", i))
			groups.WriteString("}, g" + fmt.Sprint(i) + ": {")
		}
		fmt.Fprintf(&groups, "demo/p%d: {enabled: true}, ", i)
	}
	g.Indexes = map[string][]byte{"demo": []byte(index.String())}
	return m, g, strings.NewReplacer("g: {demo/hello: {enabled: true}", strings.TrimPrefix(groups.String(), "}, "), "executors: [g]", "executors: ["+strings.Join(names, ", ")+"]").Replace(quiet)
}

func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{100, 1000, 3000} {
		m, g, text := manyPlugins(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var report audit.Report
				report.Expect(g)
				c, err := Check(&report, m, CheckOptions{Files: []chart.File{{Name: "values.yaml", Data: []byte(text)}}})
				if err != nil || !c.Alone {
					b.Fatal(err, report.Problems())
				}
			}
		})
	}
}

func BenchmarkDeploy(b *testing.B) {
	for _, n := range []int{100, 1000, 3000} {
		m, _, text := manyPlugins(n)
		user := filepath.Join(b.TempDir(), "values.yaml")
		if err := os.WriteFile(user, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Deploy(b.Context(), m, Options{Claim: "c", Values: []string{user}, Policy: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

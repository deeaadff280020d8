package agent

import (
	"fmt"
	"strings"
	"testing"
)

// The scenarios in which a prediction is compared with what the real agent
// does are in internal/test/acceptance; here stand those that need no agent.
func TestPredict(t *testing.T) {
	t.Parallel()
	const index = `
entries:
  - name: x
    type: executor
    version: v1
    urls: [{url: "https://e/x1", platform: {os: linux, architecture: amd64}}]
  - name: x
    type: executor
    version: v2
    urls:
      - {url: "https://e/x2", platform: {os: linux, architecture: amd64}, dependencies: {jq: {url: "https://e/jq"}}}
      - {url: "file:///x2", platform: {os: linux, architecture: arm64}, dependencies: {jq: {url: "file:///jq"}}}
`
	amd64, arm64 := Platform{"linux", "amd64"}, Platform{"linux", "arm64"}
	tests := []struct {
		name     string
		key      string
		platform Platform
		files    string
		onDisk   bool
		want     string
		fails    bool
	}{
		{name: "all there", key: "r/x", platform: amd64, files: "r/executor_v2_x r/executor_v2_x_deps/jq", onDisk: true},
		{name: "nothing there", key: "r/x", platform: amd64, want: "index https://e/index, plugin https://e/x2, dependency https://e/jq"},
		{name: "pinned needs the newest's dependencies", key: "r/x@v1", platform: amd64, files: "r/executor_v1_x", onDisk: true, want: "dependency https://e/jq"},
		{name: "pinned and absent fetches the newest", key: "r/x@v0", platform: amd64, onDisk: true, want: "plugin https://e/x2, dependency https://e/jq"},
		{name: "not in the index", key: "r/y", platform: amd64, onDisk: true, want: "index https://e/index", fails: true},
		{name: "no such platform", key: "r/x", platform: Platform{"linux", "s390x"}, onDisk: true, want: "index https://e/index", fails: true},
		{name: "local URLs", key: "r/x", platform: arm64, onDisk: true, want: ""},
		{name: "empty version", key: "r/x@", platform: amd64, files: "r/executor_v2_x r/executor_v2_x_deps/jq", onDisk: true},
		{name: "no such repository", key: "q/x", platform: amd64, onDisk: true, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Startup{
				Files: map[string]bool{}, Indexes: map[string][]byte{}, Upstream: map[string][]byte{"r": []byte(index)},
				URLs: map[string]string{"r": "https://e/index"}, Platform: tt.platform,
			}
			for _, f := range strings.Fields(tt.files) {
				p.Files[f] = true
			}
			if tt.onDisk {
				p.Indexes["r"] = []byte(index)
			}
			calls, err := p.Predict(EnabledPlugin{Type: Executor, Key: tt.key})
			var got []string
			for _, c := range calls {
				if c.External() {
					got = append(got, fmt.Sprint(c.Kind, " ", c.URL))
				}
			}
			if s := strings.Join(got, ", "); s != tt.want || (err != nil) != tt.fails {
				t.Errorf("%s (%v), want %s", s, err, tt.want)
			}
		})
	}
}

package resolve

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// TestSettleWatcher says which image of the second container a request takes along.
func TestSettleWatcher(t *testing.T) {
	const official = "ghcr.io/kubeshop/k8s-sidecar:"
	locked := &lock.Lock{AgentImage: &lock.Image{}, WatcherImage: &lock.Image{Reference: "e.com/w:1"}}
	for name, test := range map[string]struct {
		version, agent, given, values string
		lock                          *lock.Lock
		want, refused                 string
	}{
		"Botkube's":              {version: "v1.4.1", agent: Default, want: official + "in-cluster-config"},
		"the first":              {version: "v1.0.0", agent: Default, want: official + "ignore-initial-events"},
		"a release candidate":    {version: "v1.4.1-rc.1", agent: Default, want: official + "in-cluster-config"},
		"of a later chart":       {version: "v1.5.0", agent: Default},
		"beside the agent's":     {version: "v1.4.1", agent: "r.example:5000/a/b/botkube:x", want: "r.example:5000/a/b/k8s-sidecar:in-cluster-config"},
		"by the agent's tag":     {agent: "r.example/botkube:v1.3.0", want: "r.example/k8s-sidecar:in-cluster-config"},
		"no version":             {agent: "r.example/botkube:latest"},
		"no agent image":         {version: "v1.4.1"},
		"a flag":                 {version: "v1.4.1", agent: Default, given: "r.example/w:1", want: "r.example/w:1"},
		"a flag says none":       {version: "v1.4.1", agent: Default, given: "none"},
		"none of none":           {version: "v1.14.0", given: "none"},
		"a flag alone":           {version: "v1.4.1", given: "r.example/w:1", refused: "without --with-agent-image"},
		"a flag, a later chart":  {version: "v1.14.0", agent: Default, given: "r.example/w:1", refused: "the version is v1.14.0"},
		"an older Botkube":       {version: "v0.18.0", agent: Default, refused: "v0.18.0 is too old"},
		"values say nothing":     {version: "v1.4.1", agent: Default, values: "{}", want: official + "in-cluster-config"},
		"values switch it off":   {version: "v1.4.1", agent: Default, values: "configWatcher: {enabled: false}"},
		"values have a tag":      {version: "v1.4.1", agent: "r.example/a/botkube:v1.4.1", values: "configWatcher: {image: {tag: x}}", want: "r.example/a/k8s-sidecar:x"},
		"values have a registry": {version: "v1.4.1", agent: Default, values: "configWatcher: {image: {registry: r.example}}", want: official + "in-cluster-config"},
		"a flag over values":     {version: "v1.4.1", agent: Default, given: "r.example/w:1", values: "configWatcher: {enabled: false}", want: "r.example/w:1"},
		"a lock":                 {version: "v1.4.1", agent: "e.com/b:1", lock: locked, want: "e.com/w:1"},
		"a lock without":         {version: "v1.4.1", agent: "e.com/b:1", lock: &lock.Lock{AgentImage: &lock.Image{}}},
		"a lock without images":  {version: "v1.4.1", agent: "e.com/b:1", lock: &lock.Lock{}, want: "e.com/k8s-sidecar:in-cluster-config"},
		"a lock, and none":       {version: "v1.4.1", agent: "e.com/b:1", given: "none", lock: locked, refused: "the lock pins e.com/w:1"},
		"a lock without, a flag": {version: "v1.4.1", agent: "e.com/b:1", given: "e.com/w:1", lock: &lock.Lock{AgentImage: &lock.Image{}}, refused: "the lock pins no watcher image"},
	} {
		req := Selection{Version: test.version, pinned: test.lock, Members: Members{AgentImage: test.agent, WatcherImage: test.given}}
		var c *configured.Agent
		if test.values != "" {
			var err error
			if c, err = configured.Read(test.version, []chart.File{{Name: "values.yaml", Data: []byte(test.values)}}, false); err != nil {
				t.Fatal(err)
			}
		}
		err := req.settleWatcher(c)
		if test.refused != "" {
			if err == nil || !strings.Contains(err.Error(), test.refused) || fault.HintOf(err) == "" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || req.Members.WatcherImage != test.want {
			t.Errorf("%s: %q, %v", name, req.Members.WatcherImage, err)
		}
		if told := c != nil && strings.Contains(strings.Join(c.Notes, "\n"), "--watcher-image=r.example/kubeshop/k8s-sidecar:in-cluster-config"); told != strings.Contains(test.values, "registry") {
			t.Errorf("%s: notes %q", name, c.Notes)
		}
	}
}

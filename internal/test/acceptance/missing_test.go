//go:build linux

package acceptance

import (
	"slices"
	"testing"
)

// TestLostFileIsNoNetworkCall removes what the product wrote. The agent fails, but for want of the file: the
// rewritten index gives it no other place to look.
func TestLostFileIsNoNetworkCall(t *testing.T) {
	tests := map[string]string{
		"dependency": "botkubeExtra/executor_v1.14.0_flux_deps/gh",
		"binary":     "botkube/source_v1.14.0_kubernetes",
	}
	for name, lost := range tests {
		t.Run(name, func(t *testing.T) {
			m := pull(t, release(t))
			m.remove(t, lost)
			if report := m.start(t, everything()); report.Error == "" {
				t.Errorf("the agent started without %s", lost)
			}
			report, asked := m.asksFor(t, everything())
			if report.Error == "" {
				t.Errorf("the agent started without %s, in a directory that it can write to", lost)
			}
			if len(asked) > 0 {
				t.Errorf("the agent asked for %q", asked)
			}
		})
	}
}

// TestLostIndexIsFetched shows the one file that the agent cannot but ask its publisher for.
func TestLostIndexIsFetched(t *testing.T) {
	m := pull(t, release(t))
	m.remove(t, "botkube.yaml")
	if report := m.start(t, everything()); report.Error == "" {
		t.Error("the agent started without an index")
	}
	if _, asked := m.asksFor(t, everything()); !slices.Equal(asked, []string{IndexURLs["botkube"]}) {
		t.Errorf("the agent asked for %q, want %s", asked, IndexURLs["botkube"])
	}
}

// TestPluginThatWasNotMirrored turns into a forced download of the first index that the agent comes to, and of the
// others after it if there is a network.
func TestPluginThatWasNotMirrored(t *testing.T) {
	m := pull(t, release(t), "--exclude", "botkubeExtra/prometheus")
	cfg := everything()
	if report := m.start(t, cfg); report.Error == "" {
		t.Error("the agent started without an enabled plugin")
	}
	if _, asked := m.asksFor(t, cfg); !slices.Equal(asked, []string{IndexURLs["botkube"]}) {
		t.Errorf("the agent asked for %q, want %s", asked, IndexURLs["botkube"])
	}

	cfg.Sources = slices.DeleteFunc(cfg.Sources, func(key string) bool { return key == "botkubeExtra/prometheus" })
	checkAnswers(t, cfg, m.start(t, cfg))
}

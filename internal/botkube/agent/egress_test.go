package agent

import "testing"

func TestStoppedBy(t *testing.T) {
	const plugin = "botkubeExtra/ai-brain"
	for want, e := range map[string]Egress{
		"analytics.disable: true":                             {Setting: "analytics.disable", Stop: "analytics.disable: true"},
		"communications.c.webhook.enabled: false":             {Setting: "communications.c.webhook.enabled"},
		"sources.a." + plugin + ".enabled: false":             {Plugin: plugin, Setting: "sources.a." + plugin + ".config.openAIBaseURL"},
		"sources.a." + plugin + `.config.honeycombAPIKey: ""`: {Plugin: plugin, Setting: "sources.a." + plugin + ".config.honeycombAPIKey"},
		"": {Setting: "image", Stop: "image.registry and image.repository", ByNode: true},
	} {
		if got := e.StoppedBy(); got != want {
			t.Errorf("%+v: got %q, want %q", e, got, want)
		}
	}
}

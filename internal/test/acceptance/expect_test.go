//go:build linux

package acceptance

import (
	"encoding/json"
	"maps"
	"testing"
)

// enabled returns the keys of the release's plugins of one kind.
func enabled(kind string) []string {
	var keys []string
	for _, p := range releasePlugins {
		if p.kind == kind {
			keys = append(keys, p.key())
		}
	}
	return keys
}

// everything is the configuration of an agent with every plugin of the release enabled.
func everything() agentConfig {
	return agentConfig{Repositories: repositories(IndexURLs), Executors: enabled("executor"), Sources: enabled("source")}
}

// checkAnswers wants every enabled plugin of the release to say who it is, and to have run its dependencies.
func checkAnswers(t *testing.T, cfg agentConfig, report agentReport) {
	t.Helper()
	if report.Error != "" {
		t.Errorf("the agent did not start: %s", report.Error)
		return
	}
	for _, p := range releasePlugins {
		answers, keys := report.Executors, cfg.Executors
		if p.kind == "source" {
			answers, keys = report.Sources, cfg.Sources
		}
		for _, key := range keys {
			if key == p.key() {
				checkAnswer(t, key, answers[key], p.describe(here))
			}
		}
	}
}

func (p releasePlugin) describe(on platform) description {
	d := description{Stamp: p.stamp(on), Dependencies: map[string]string{}}
	for _, dep := range p.dependencies {
		d.Dependencies[dep.name] = dep.says(on)
	}
	return d
}

func checkAnswer(t *testing.T, key string, answer agentAnswer, want description) {
	t.Helper()
	if answer.Error != "" {
		t.Errorf("%s: %s", key, answer.Error)
		return
	}
	var got description
	if err := json.Unmarshal([]byte(answer.Text), &got); err != nil {
		t.Errorf("%s answers %q: %v", key, answer.Text, err)
		return
	}
	if got.Stamp != want.Stamp || !maps.Equal(got.Dependencies, want.Dependencies) {
		t.Errorf("%s answers\n%+v, want\n%+v", key, got, want)
	}
}

package agent

import (
	"slices"
	"strings"
	"testing"
)

// Of keys that differ in case only, a right one is read here, and by the agent any.
func TestPassedOver(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		document, cacheDir string
		want               []PassedOver
	}{
		"all known":    {"plugins: {cacheDir: /x, healthCheckInterval: 1m}\nexecutors: {a: {displayName: A, r/p: {enabled: true, config: {enable: true}}}}", "/x", nil},
		"another case": {"executors: {a: {r/p: {ENABLED: true}}}", "/tmp", nil},
		"the source's": {"Plugins: {cacheDir: /x}", "/x", []PassedOver{{"plugins", "Plugins", Overridden}}},
		"beside":       {"plugins: {cachedir: /y}", "/tmp", []PassedOver{{"plugins.cachedir", "cacheDir", ByChance}}},
		"two others":   {"sources: {a: {r/p: {ENABLED: true, enableD: false}}}", "/tmp", []PassedOver{{"sources.a.r/p.enableD", "ENABLED", ByChance}}},
		"names":        {"plugins: {repositories: {a: {url: x}, A: {url: y}}}", "/tmp", nil},
		"misspelt":     {"plugins: {repositorys: {}}\nsources: {a: {r/p: {enable: true}}}", "/tmp", []PassedOver{{"plugins.repositorys", "repositories", NoEffect}, {"sources.a.r/p.enable", "enabled", NoEffect}}},
		"in a list":    {"communications: {g: {cloudTeams: {teams: [{chanels: {}}]}}}", "/tmp", []PassedOver{{"communications.g.cloudTeams.teams.chanels", "channels", NoEffect}}},
		"like nothing": {"plugins: {x: 1}\nanything: {enable: true}\ncommunications: {g: {socketSlak: {}}}", "/tmp", nil},
		"too long":     {"plugins: {repositories" + strings.Repeat("s", maxKey) + ": 1}", "/tmp", nil},
	} {
		document, err := ParseConfig([]byte(tt.document))
		if err != nil {
			t.Fatal(err)
		}
		c, err := ReadConfig([]map[string]any{document}, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c.Plugins.CacheDir != tt.cacheDir || !slices.Equal(c.PassedOver(), tt.want) {
			t.Errorf("%s: cacheDir %s, passed over %v, want %s, %v", name, c.Plugins.CacheDir, c.PassedOver(), tt.cacheDir, tt.want)
		}
	}
}

package mirror

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
)

// TestKnownUpstream wants the index at the URL that is asked for, else the one that was read last.
func TestKnownUpstream(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	note := func(hour int, name, url, plugin string) {
		t.Helper()
		d, err := s.Put(fmt.Appendf(nil, "entries: [{name: %s, type: executor, version: v1, urls: [{url: u, platform: {os: linux, architecture: amd64}}]}]", plugin))
		if err == nil {
			err = s.NoteIndex(store.Index{Repository: name, URL: url, SHA256: d, Seen: time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC)})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for hour, version := range []string{"v1.13.0", "v1.15.0", "v1.14.0"} {
		for _, r := range agent.DefaultRepositories(version) {
			note(hour, r.Name, r.URL, "of-"+version)
		}
	}
	note(5, "mine", "https://example.com/v9.9.9/plugins-index.yaml", "own")

	for _, tt := range []struct {
		wanted []agent.Repository
		want   []string
	}{
		{nil, []string{"botkube/of-v1.14.0", "botkubeExtra/of-v1.14.0", "mine/own"}},
		{agent.DefaultRepositories("v1.15.0"), []string{"botkube/of-v1.15.0", "botkubeExtra/of-v1.15.0"}},
		{agent.DefaultRepositories("v1.13.0"), []string{"botkube/of-v1.13.0"}},
		{agent.DefaultRepositories("v1.16.0"), []string{"botkube/of-v1.14.0", "botkubeExtra/of-v1.14.0"}},
		{[]agent.Repository{{Name: "mine", URL: "./index.yaml"}}, []string{"mine/own"}},
		{[]agent.Repository{{Name: "other", URL: "https://example.com/v9.9.9/plugins-index.yaml"}}, nil},
	} {
		plugins, versions := KnownUpstream(dir, tt.wanted)
		var got []string
		for _, p := range plugins {
			got = append(got, p.Repository+"/"+p.Name)
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v: %q, want %q", tt.wanted, got, tt.want)
		}
		if want := []string{"v1.14.0", "v1.15.0", "v1.13.0"}; !slices.Equal(versions, want) {
			t.Errorf("versions %q, want %q", versions, want)
		}
	}
}

package resolve

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
)

// TestApplyRepositories has repositories that are given otherwise, for example by a
// lock, which has no credentials.
func TestApplyRepositories(t *testing.T) {
	const inValues = "https://user:s3cret@example.com/index.yaml?token=s3cret"
	for given, want := range map[string]agent.Repository{
		"":                     {URL: inValues, Headers: map[string]string{"X-Key": "k3y"}},
		agent.Redact(inValues): {URL: inValues, Headers: map[string]string{"X-Key": "k3y"}},
		inValues:               {URL: inValues, Headers: map[string]string{"X-Key": "k3y"}},
		"https://other:pw@example.com/index.yaml?token=redacted": {URL: "https://other:pw@example.com/index.yaml?token=redacted", Headers: map[string]string{"X-Key": "k3y"}},
		"https://example.org/index.yaml":                         {URL: "https://example.org/index.yaml"},
	} {
		var c configured.Agent
		c.Values = &chart.Values{Config: &agent.Config{Plugins: agent.PluginManagement{Repositories: map[string]agent.Repository{
			"private": {URL: inValues, Headers: map[string]string{"X-Key": "k3y"}},
		}}}}
		req := Selection{}
		req.Selection.Plugins = []agent.PluginKey{{Repository: "private", Name: "x"}}
		if given != "" {
			req.Repositories = []agent.Repository{{Name: "private", URL: given}}
		}
		if err := req.applyRepositories(&c); err != nil {
			t.Fatal(err)
		}
		if got := req.Repositories; len(got) != 1 || got[0].URL != want.URL || len(got[0].Headers) != len(want.Headers) {
			t.Errorf("given %q, it is %+v", given, got)
		}
	}
}

// TestApplyImages has the values say the tag of the agent's image, and not where it is
// pulled from.
func TestApplyImages(t *testing.T) {
	for text, want := range map[string]struct{ version, tag, note string }{
		"{}":                           {"v1.14.0", "", ""},
		"image: {tag: v1.13.0}":        {"v1.14.0", "v1.13.0", "image.tag in the values"},
		"image: {registry: r.example}": {"v1.14.0", "", "--with-agent-image=r.example/kubeshop/botkube:v1.14.0"},
	} {
		c, err := configured.Read(want.version, []chart.File{{Name: "values.yaml", Data: []byte(text)}}, false)
		if err != nil {
			t.Fatal(err)
		}
		req := Selection{Members: Members{AgentImage: Default}}
		req.applyImages(c)
		if req.Members.AgentTag != want.tag || (want.note == "") != (len(c.Notes) == 0) || len(c.Notes) > 0 && !strings.Contains(c.Notes[0], want.note) {
			t.Errorf("%s: the tag %q, notes %q", text, req.Members.AgentTag, c.Notes)
		}
	}
}

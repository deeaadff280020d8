package resolve

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// TestTemplates has header fields that only the agent could fill in: that is an error
// if the index has to be requested, and none if a lock pins it and the store has it.
func TestTemplates(t *testing.T) {
	for template, hint := range map[string]string{
		"{{ .Remote.APIKey }}":     "--header cloud:X-Some-Field=env:BOTKUBE_API_KEY",
		"{{ .Remote.Identifier }}": "--header cloud:X-Some-Field=env:BOTKUBE_IDENTIFIER",
		"Bearer {{ .Other }}":      "--header cloud:X-Some-Field=env:X_SOME_FIELD",
	} {
		_, err := header(agent.Repository{Name: "cloud", Headers: map[string]string{"A": "a", "X-Some-Field": template}})
		if fault.KindOf(err) != fault.Usage || !strings.HasSuffix(fault.HintOf(err), hint) {
			t.Errorf("%s: %v\n%s", template, err, fault.HintOf(err))
		}
	}

	upstream := newSite(t)
	upstream.files["/index.yaml"] = `entries:
  - {name: a, type: executor, version: v1.0.0, urls: [{url: a, checksum: 7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730, platform: {os: linux, architecture: amd64}}]}
`
	r, _ := newResolver(t)
	repo := agent.Repository{Name: "cloud", URL: upstream.URL + "/index.yaml"}
	req := Selection{Repositories: []agent.Repository{repo}}
	req.Selection.Platforms = []agent.Platform{{OS: "linux", Arch: "amd64"}}
	plan, err := r.Resolve(t.Context(), req)
	check(t, err)
	req.Repositories[0].Headers = map[string]string{"X-API-Key": "{{ .Remote.APIKey }}"}
	if _, err = r.Resolve(t.Context(), req); !strings.Contains(err.Error(), `repository "cloud": the header field X-API-Key is a template`) {
		t.Errorf("%v", err)
	}
	req.pinned = plan.Lock
	_, err = r.Resolve(t.Context(), req)
	check(t, err)
}

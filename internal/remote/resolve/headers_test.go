package resolve

import (
	"maps"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func TestCheckHeader(t *testing.T) {
	for _, name := range []string{"X-API-Key", "x", "Authorization", "Private-Token", "a.b_c~1", "User-Agent"} {
		if err := (Header{Name: name, Value: "a b\tc ä"}).Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, h := range []Header{
		{Name: "", Value: "x"}, {Name: "a b", Value: "x"}, {Name: "a:", Value: "x"}, {Name: "ä", Value: "x"}, {Name: "a\n", Value: "x"}, {Name: "a/b", Value: "x"},
		{Name: "x", Value: ""}, {Name: "x", Value: "s3cret\n"}, {Name: "x", Value: " s3cret"}, {Name: "x", Value: "s3\r\ncret: y"}, {Name: "x", Value: "s3\x00cret"}, {Name: "x", Value: "s3\x7fcret"},
		{Name: "host", Value: "x"}, {Name: "Content-length", Value: "1"}, {Name: "TE", Value: "x"},
	} {
		if err := h.Check(); err == nil || strings.Contains(err.Error(), "s3") {
			t.Errorf("%q: %v", h, err)
		}
	}
}

func TestAddHeaders(t *testing.T) {
	configured := map[string]string{"X-API-Key": "{{ .Remote.APIKey }}", "X-Deployment-ID": "{{ .Remote.Identifier }}"}
	given := []agent.Repository{{Name: "cloud", Headers: configured}, {Name: "demo"}}
	repositories := append([]agent.Repository{}, given...)
	if err := addHeaders(repositories, []Header{{"cloud", "x-api-key", "k3y"}, {"demo", "Token", "t"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := repositories[0].Headers, map[string]string{"x-api-key": "k3y", "X-Deployment-ID": "{{ .Remote.Identifier }}"}; !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if got, want := repositories[1].Headers, map[string]string{"Token": "t"}; !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if len(configured) != 2 || configured["X-API-Key"] != "{{ .Remote.APIKey }}" {
		t.Errorf("the configuration is now %v", configured)
	}
	for says, headers := range map[string][]Header{
		`no repository "dem"; there is: demo, cloud`: {{"dem", "X", "s3cret"}},
		"demo:X-Key is given twice":                  {{"demo", "x-key", "s3cret"}, {"demo", "X-Key", "s3cret"}},
	} {
		err := addHeaders(append([]agent.Repository{}, given...), headers)
		if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), says) || strings.Contains(err.Error()+fault.HintOf(err), "s3cret") {
			t.Errorf("%v", err)
		}
	}
	err := addHeaders([]agent.Repository{{Name: "demo", Headers: map[string]string{"X": "s3cret\n"}}}, nil)
	if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), `"X" of repository "demo"`) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
}

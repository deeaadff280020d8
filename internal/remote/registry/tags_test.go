package registry_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

func TestTags(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		want   []string
		fails  bool
	}{
		"some":        {`{"name":"mirror/botkube","tags":["v1.14.0","latest"]}`, []string{"v1.14.0", "latest"}, false},
		"none":        {`{"name":"mirror/botkube","tags":null}`, nil, false},
		"odd ones":    {`{"tags":["v1","$(touch x)","","a b","-x","../y"]}`, []string{"v1"}, false},
		"too many":    {`{"tags":["` + strings.Repeat("a", 1<<20) + `"]}`, nil, true},
		"a web page":  {"<html>", nil, true},
		"other types": {`{"tags":{"a":1}}`, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/tags/list") {
					_, _ = io.WriteString(w, tt.answer)
				}
			}))
			t.Cleanup(s.Close)
			host := strings.TrimPrefix(s.URL, "http://")
			got, err := open(t, newClient(t, registry.Config{PlainHTTP: true}), host, false).Tags(t.Context())
			if !slices.Equal(got, tt.want) || (err != nil) != tt.fails {
				t.Errorf("%q, %v", got, err)
			}
			if tt.fails && !strings.Contains(fmt.Sprint(err), "listing the tags of "+host+"/mirror/botkube") {
				t.Error(err)
			}
		})
	}
}

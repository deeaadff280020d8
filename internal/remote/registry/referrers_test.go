package registry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

const listType = "application/vnd.oci.image.index.v1+json"

// TestReferrersAPI reads lists as registries give them, in parts too, and looks at the tag where
// there is no list.
func TestReferrersAPI(t *testing.T) {
	t.Parallel()
	subject := lock.Sum([]byte("subject"))
	digest := lock.Sum([]byte("referrer")).OCI()
	entry := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":7,"artifactType":"application/x","annotations":{"a":"b"}}`, manifestType, digest)
	list := func(entries ...string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, listType, strings.Join(entries, ","))
	}
	give := func(w http.ResponseWriter, contentType, body string) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(body))
	}
	for name, tt := range map[string]struct {
		// api and tag answer the two questions.
		api, tag func(w http.ResponseWriter, req *http.Request)
		found    int
		keeps    bool
		fails    string
	}{
		"a list":   {api: func(w http.ResponseWriter, _ *http.Request) { give(w, listType, list(entry)) }, found: 1, keeps: true},
		"an empty": {api: func(w http.ResponseWriter, _ *http.Request) { give(w, listType, list()) }, keeps: true},
		"in parts": {api: func(w http.ResponseWriter, req *http.Request) {
			if n := req.URL.Query().Get("n"); n != "2" {
				w.Header().Set("Link", `<http://inner.invalid/v2/mirror/botkube/referrers/`+subject.OCI()+`?n=2>; rel="next"`)
			}
			give(w, listType, list(entry))
		}, found: 2, keeps: true},
		"in parts, of which one is none": {api: func(w http.ResponseWriter, req *http.Request) {
			if req.URL.RawQuery != "" {
				give(w, "text/html", "<html>")
				return
			}
			w.Header().Set("Link", `<?n=2>; rel="next"`)
			give(w, listType, list(entry))
		}, fails: "not a list of referrers"},
		"without end": {api: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `<?n=2>; rel="next"`)
			give(w, listType, list())
		}, fails: "more than 1000 referrers"},
		"going elsewhere": {api: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `</v2/other/referrers/x>; rel="next"`)
			give(w, listType, list())
		}, fails: "at another path"},
		"too many": {api: func(w http.ResponseWriter, _ *http.Request) {
			give(w, listType, list(strings.Split(strings.Repeat(entry+"|", 1001), "|")[:1001]...))
		}, fails: "more than 1000 referrers"},
		"no JSON":     {api: func(w http.ResponseWriter, _ *http.Request) { give(w, listType, "x") }, fails: "is not valid"},
		"a web page":  {api: func(w http.ResponseWriter, _ *http.Request) { give(w, "text/html", "<html>") }},
		"refused":     {api: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, fails: "403 Forbidden"},
		"not known":   {api: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }},
		"only a tag":  {tag: func(w http.ResponseWriter, _ *http.Request) { give(w, listType, list(entry)) }, found: 1},
		"a taken tag": {tag: func(w http.ResponseWriter, _ *http.Request) { give(w, manifestType, "{}") }, fails: "not a list of referrers"},
		"a broken tag": {tag: func(w http.ResponseWriter, _ *http.Request) {
			give(w, listType, `{"mediaType":"`+listType+`","manifests":[1]}`)
		}, fails: "is not valid"},
	} {
		r := plain(t, serve(t, func(w http.ResponseWriter, req *http.Request) {
			answer := tt.tag
			if strings.Contains(req.URL.Path, "/referrers/") {
				answer = tt.api
			}
			if answer == nil {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			answer(w, req)
		}))
		all, keeps, err := r.Referrers(t.Context(), subject)
		if tt.fails != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || len(all) != tt.found || keeps != tt.keeps {
			t.Errorf("%s: %+v, %v, %v", name, all, keeps, err)
			continue
		}
		if tt.found > 0 && (all[0].Digest != digest || all[0].Size != 7 || all[0].Annotations["a"] != "b" || all[0].ArtifactType != "application/x") {
			t.Errorf("%s: %+v", name, all[0])
		}
	}
}

// TestPushRedirect has a registry lead elsewhere during a push: a --via rule is for what is read,
// so nothing of the push goes to the proxy.
func TestPushRedirect(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		t.Errorf("the proxy is asked: %s %s", req.Method, req.URL)
	}))
	defer proxy.Close()
	storage := serve(t, func(http.ResponseWriter, *http.Request) {})
	via, err := transfer.ParseVia([]string{"http://" + storage + "/=" + proxy.URL + "/"})
	check(t, err)
	host := serve(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/v2/" {
			http.Redirect(w, req, "http://"+storage+req.URL.Path, http.StatusTemporaryRedirect)
		}
	})
	r := open(t, newClient(t, registry.Config{PlainHTTP: true, Options: transfer.Options{Via: via}}), host, true)
	_, there, err := r.HasBlob(t.Context(), lock.Sum([]byte("x")))
	if err != nil || !there {
		t.Errorf("%v, %v", there, err)
	}
	_ = r.PutManifest(t.Context(), "v1", manifestType, []byte("{}")) // that storage keeps nothing
}

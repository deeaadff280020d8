package registry_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
)

// A blob that a proxy finds too large goes in pieces, and those after it do so at
// once; one that the registry wants in larger pieces is told.
func TestUploadPieces(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	p := reg.Proxy(t, registrytest.Habits["limit1m"]...)
	r := plain(t, p.Host)
	blob, data := content(t, 9<<20+1)
	_, err := r.Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	// 9 MiB, 4 MiB are refused; 1 MiB passes.
	if n := len(p.Requests("PATCH", "")); n != 2+10 {
		t.Errorf("%d pieces", n)
	}
	pull(t, r, blob, data)
	blob, data = content(t, 2<<20)
	before := len(p.Requests("PATCH", ""))
	_, err = r.Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	if n := len(p.Requests("PATCH", "")) - before; n != 2 {
		t.Errorf("%d more pieces", n)
	}
	pull(t, r, blob, data)

	p = reg.Proxy(t, registrytest.Habits["minlength"]...)
	blob, data = content(t, 6<<20)
	_, err = plain(t, p.Host).Upload(t.Context(), blob, opener(data), nil)
	checkFails(t, err, fault.Upstream, "413", "client_max_body_size")
}

// Pieces that break go on, or begin again.
func TestUploadPiecesBreak(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	faults := append([]registrytest.Fault{{Method: "PATCH", Do: registrytest.CutRequest, At: 1000, Skip: 3, Times: 1}}, registrytest.Habits["limit1m"]...)
	p := reg.Proxy(t, faults...)
	r := plain(t, p.Host)
	blob, data := content(t, 5<<20)
	_, err := r.Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	pull(t, r, blob, data)
}

// What a registry does not take in a PATCH goes with the request that ends the
// upload, whole, and what is altered here is noticed there, too.
func TestUploadWhole(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	for _, habit := range []string{"nopatch", "nopatch2"} {
		p := reg.Proxy(t, registrytest.Habits[habit]...)
		r := plain(t, p.Host)
		for range 2 {
			blob, data := content(t, 3<<20)
			_, err := r.Upload(t.Context(), blob, opener(data), nil)
			check(t, err)
			pull(t, r, blob, data)
		}
		if n := len(p.Requests("PATCH", "")); n != 1 {
			t.Errorf("%s: %d PATCH requests", habit, n)
		}
		blob, data := content(t, 1000)
		data[500]++
		_, err := r.Upload(t.Context(), blob, opener(data), nil)
		checkFails(t, err, fault.Integrity, "sha256:"+blob.SHA256.String())
	}
}

// A location at another host is followed there only if it is not one of the
// registry's own, whatever it calls itself.
func TestUploadLocation(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	for _, habit := range []string{"inner", "noport", "clear", "relative"} {
		p := reg.Proxy(t, registrytest.Habits[habit]...)
		blob, data := content(t, 1<<20)
		_, err := plain(t, p.Host).Upload(t.Context(), blob, opener(data), nil)
		check(t, err)
		if n := len(p.Requests("PUT", "")); n != 1 {
			t.Errorf("%s: %d PUT requests", habit, n)
		}
	}
	p := reg.Proxy(t, registrytest.Habits["led"]...)
	blob, data := content(t, 100)
	_, err := plain(t, p.Host).Upload(t.Context(), blob, opener(data), nil)
	checkFails(t, err, fault.Upstream, "redirected to storage.invalid: ", "the registry redirects to storage.invalid")
	if strings.Contains(fault.HintOf(err), "spelt") {
		t.Error("it blames the registry's name")
	}
}

// A token server at the registry's own address, but at another port, is asked,
// though the address is a private one.
func TestTokenAtAnotherPort(t *testing.T) {
	t.Parallel()
	asked := 0
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked++
		user, password, _ := req.BasicAuth()
		if req.URL.Path != "/jwt/auth" || req.URL.Query().Get("service") != "x" || user != registrytest.User || password != registrytest.Password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"token":"t"}`)
	}))
	defer tokens.Close()
	reg := registrytest.Start(t, registrytest.Options{})
	p := reg.Proxy(t, registrytest.Fault{Path: "/v2/", Unless: "Bearer t", Status: 401, Header: http.Header{"Www-Authenticate": {`Bearer realm="` + tokens.URL + `/jwt/auth",service="x"`}}})
	r := open(t, newClient(t, registry.Config{PlainHTTP: true, Credentials: login}), p.Host, true)
	blob, data := content(t, 1000)
	_, err := r.Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	if asked == 0 {
		t.Error("the token server was not asked")
	}
	n, err := registry.ParseRepository(p.Host + "/x")
	check(t, err)
	_, err = newClient(t, registry.Config{PlainHTTP: true}).Repository(t.Context(), n, true)
	checkFails(t, err, fault.Upstream, "the token server "+strings.TrimPrefix(tokens.URL, "http://")+" answers 401")
}

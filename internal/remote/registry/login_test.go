package registry_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// Credentials are for the token server that the registry names, not for the host to
// which it redirects.
func TestTokenServerRedirects(t *testing.T) {
	t.Parallel()
	var got []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		got = append(got, req.Header.Get("Authorization")+string(body))
		_, _ = io.WriteString(w, `{"token": "t"}`)
	}))
	defer elsewhere.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/token" {
			http.Redirect(w, req, elsewhere.URL+"/token", http.StatusTemporaryRedirect)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+req.Host+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer srv.Close()
	n, err := registry.ParseRepository(strings.TrimPrefix(srv.URL, "http://") + "/x")
	check(t, err)
	_, err = newClient(t, registry.Config{PlainHTTP: true, Credentials: login}).Repository(t.Context(), n, false)
	check(t, err)
	if len(got) != 1 || got[0] != "" {
		t.Errorf("a password went along: %q", got)
	}
	got = nil
	_, err = newClient(t, registry.Config{PlainHTTP: true, Credentials: func(context.Context, string, string) (registry.Credentials, error) {
		return registry.Credentials{IdentityToken: "secret"}, nil
	}}).Repository(t.Context(), n, false)
	checkFails(t, err, fault.Upstream, "the token server redirects an identity token to another host, "+strings.TrimPrefix(elsewhere.URL, "http://"))
	if got != nil {
		t.Errorf("an identity token went along: %q", got)
	}
}

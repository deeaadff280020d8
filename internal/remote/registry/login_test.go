package registry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
)

// wantToken refuses a request that has no token of a host's token server, /token.
func wantToken(w http.ResponseWriter, host string) {
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="x"`, host))
	w.WriteHeader(http.StatusUnauthorized)
}

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
		wantToken(w, req.Host)
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

// A token server that cannot be reached, when a token has expired, says nothing of a blob.
func TestTokenServerGone(t *testing.T) {
	t.Parallel()
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"token": "t"}`)
	}))
	defer tokens.Close()
	expired := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		wantToken(w, strings.TrimPrefix(tokens.URL, "http://"))
	}))
	defer expired.Close()
	r := plain(t, strings.TrimPrefix(expired.URL, "http://"))
	tokens.Close()
	blob, _ := content(t, 10)
	_, there, err := r.HasBlob(t.Context(), blob.SHA256)
	if there {
		t.Error("a blob that nobody asked for is there")
	}
	checkFails(t, err, fault.Upstream, "redirected to "+strings.TrimPrefix(tokens.URL, "http://")+": ", "the registry redirects to")
}

// A registry that wants a token of a token server never sees the password.
func TestPasswordForTokenServer(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	p := reg.Proxy(t, registrytest.Habits["token"]...)
	r := open(t, newClient(t, registry.Config{PlainHTTP: true, Credentials: login}), p.Host, true)
	blob, data := content(t, 10)
	_, err := r.Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	for _, req := range p.Requests("", "/v2/") {
		if strings.HasPrefix(req.Header.Get("Authorization"), "Basic ") {
			t.Errorf("%s %s has the password", req.Method, req.Path)
		}
	}
	if n := len(p.Requests("", "/v2/")); n < 3 {
		t.Errorf("%d requests", n)
	}
}

// That a token server is not there, says nothing of what is asked for; nor is it asked again.
func TestTokenServerNotFound(t *testing.T) {
	t.Parallel()
	asked := 0
	r := plain(t, serve(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/token" {
			asked++
			w.WriteHeader(http.StatusNotFound)
			return
		}
		wantToken(w, req.Host)
	}))
	_, err := r.Manifest(t.Context(), "latest")
	checkFails(t, err, fault.Upstream, "the token server "+r.Name().Host()+" answers 404")
	if registry.IsNotFound(err) {
		t.Error("the tag is said not to be there")
	}
	blob, _ := content(t, 10)
	_, _, err = r.HasBlob(t.Context(), blob.SHA256)
	checkFails(t, err, fault.Upstream, "the token server "+r.Name().Host()+" answers 404")
	if asked != 2 {
		t.Errorf("the token server was asked %d times", asked)
	}
}

// A long refusal of a token server is not read to its end, and its connection does not stay.
func TestTokenServerRefusesAtLength(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/token" {
			defer close(ended)
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write(make([]byte, 64<<20))
			return
		}
		wantToken(w, req.Host)
	}))
	defer srv.Close()
	n, err := registry.ParseRepository(strings.TrimPrefix(srv.URL, "http://") + "/x")
	check(t, err)
	_, err = newClient(t, registry.Config{PlainHTTP: true}).Repository(t.Context(), n, false)
	checkFails(t, err, fault.Upstream, "answers 403")
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the connection is open")
		srv.CloseClientConnections()
	}
}

// A token that has expired is renewed once for all requests that find that out together.
func TestTokenRenewedOnce(t *testing.T) {
	t.Parallel()
	const parallel = 8
	var tokens, refused atomic.Int32
	all := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch authorization := req.Header.Get("Authorization"); {
		case req.URL.Path == "/token":
			n := tokens.Add(1)
			time.Sleep(50 * time.Millisecond)
			_, _ = fmt.Fprintf(w, `{"token": "t%d"}`, n)
		case authorization == "Bearer t2":
			w.WriteHeader(http.StatusNotFound)
		default:
			if authorization == "Bearer t1" {
				if refused.Add(1) == parallel {
					close(all)
				}
				<-all
			}
			wantToken(w, req.Host)
		}
	}))
	defer srv.Close()
	r := plain(t, strings.TrimPrefix(srv.URL, "http://"))
	blob, _ := content(t, 10)
	var asking sync.WaitGroup
	for range parallel {
		asking.Go(func() {
			if _, there, err := r.HasBlob(t.Context(), blob.SHA256); there || err != nil {
				t.Error(there, err)
			}
		})
	}
	asking.Wait()
	if n := tokens.Load(); n != 2 {
		t.Errorf("%d tokens were asked for, want 2", n)
	}
}

package registry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// TestVia asks a proxy, with its credentials, in the place of a registry that is read.
func TestVia(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var paths []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		paths = append(paths, req.URL.Path)
		mu.Unlock()
		if req.URL.Path == "/v2/" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if user, password, _ := req.BasicAuth(); user != "joe" || password != "secret" {
			t.Errorf("%s without the proxy's credentials", req.URL)
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer proxy.Close()
	host := strings.TrimPrefix(proxy.URL, "http://")
	via, err := transfer.ParseVia([]string{"docker://ghcr.io=docker://" + host + "/ghcr", "docker://index.docker.io/=docker://" + host + "/hub", "docker://bad.example=docker://" + host + "/UPPER"})
	check(t, err)
	c := newClient(t, registry.Config{PlainHTTP: true, Options: transfer.Options{Via: via}, Credentials: func(_ context.Context, at, path string) (registry.Credentials, error) {
		if at != host {
			return registry.Credentials{}, nil
		}
		return registry.Credentials{Username: "joe", Password: "secret"}, nil
	}})
	for name, path := range map[string]string{
		"ghcr.io/kubeshop/botkube": "ghcr/kubeshop/botkube", "docker.io/library/alpine": "hub/library/alpine", "docker.io/alpine": "hub/library/alpine", "registry-1.docker.io/a/b": "hub/a/b",
	} {
		n, err := registry.ParseRepository(name)
		check(t, err)
		r, err := c.Repository(t.Context(), n, false)
		check(t, err)
		if r.Name() != n || r.Instead() != host+"/"+path {
			t.Errorf("%s: %s from %s", name, r.Name(), r.Instead())
		}
		_, err = r.Manifest(t.Context(), "v1")
		checkFails(t, err, fault.Upstream, "reading "+name+":v1 from "+host+"/"+path, "check the rule --via docker://")
		if want := "/v2/" + path + "/manifests/v1"; paths[len(paths)-1] != want {
			t.Errorf("%s: %s", name, paths)
		}
		_, _, err = r.HasBlob(t.Context(), lock.SHA256{})
		check(t, err)
	}
	n, err := registry.ParseRepository("bad.example/x")
	check(t, err)
	_, err = c.Repository(t.Context(), n, false)
	checkFails(t, err, fault.Usage, "access to x: repository", "the path is malformed", "--via docker://bad.example")
	// A push follows no rule. A registry that no rule matches is requested itself.
	n, err = registry.ParseRepository(host + "/own/x")
	check(t, err)
	for _, push := range []bool{true, false} {
		r, err := c.Repository(t.Context(), n, push)
		check(t, err)
		if r.Instead() != "" {
			t.Errorf("%s is asked in the place of %s", r.Instead(), n)
		}
	}
	pushed, err := transfer.ParseVia([]string{"docker://" + host + "=docker://127.0.0.1:1"})
	check(t, err)
	_, err = newClient(t, registry.Config{PlainHTTP: true, Options: transfer.Options{Via: pushed}}).Repository(t.Context(), n, true)
	check(t, err)
	pushed.URL(&url.URL{Scheme: "docker", Host: "read.example"})
	if len(pushed.Unused()) != 1 {
		t.Error("a push uses a rule")
	}
}

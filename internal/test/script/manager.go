package script

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/test/artifactorytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/proxytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
)

// internet has the hosts that a manager stands before.
var internet = []string{"github.com", githubStorage, "charts.botkube.io", "get.helm.sh", "dl.k8s.io", "ghcr.io"}

// githubStorage is the host to which github.com redirects requests for files.
const githubStorage = "objects.githubusercontent.com"

// managers has the manager of a script.
type managers struct{ *artifactorytest.Manager }

// managersKey is the key of the script's [managers].
type managersKey struct{}

// startManager starts the hosts of [internet], whose files are those of internet/HOST, and a
// repository manager before them. $INTERNET is a proxy that leads to them, $BLOCKED one that leads
// nowhere.
func startManager(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: manager [git=URL] [registry=HOST]")
	}
	behind := map[string]http.Handler{}
	for _, arg := range args {
		kind, at, _ := strings.Cut(arg, "=")
		u, err := url.Parse("http://" + strings.TrimPrefix(at, "http://"))
		ts.Check(err)
		behind[kind] = &httputil.ReverseProxy{FlushInterval: -1, ErrorLog: silent, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }}
	}
	root := ts.MkAbs("internet")
	upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isGit := strings.HasSuffix(r.URL.Path, "/info/refs") || strings.HasSuffix(r.URL.Path, "/git-upload-pack")
		switch {
		case r.Host == "ghcr.io" && behind["registry"] != nil:
			behind["registry"].ServeHTTP(w, r)
		case isGit && behind["git"] != nil:
			behind["git"].ServeHTTP(w, r)
		case r.Host == "github.com" && strings.HasSuffix(r.URL.Path, "/releases/latest"):
			http.Redirect(w, r, strings.TrimSuffix(r.URL.Path, "latest")+"tag/v1.14.0", http.StatusFound)
		case r.Host == "github.com" && strings.HasSuffix(r.URL.Path, "/releases/tag/v1.14.0"):
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<!DOCTYPE html><title>Release v1.14.0 · kubeshop/botkube · GitHub</title>")
		case r.Host == "github.com":
			http.Redirect(w, r, "https://"+githubStorage+r.URL.Path+"?X-Amz-Signature=s1gned", http.StatusFound)
		default:
			http.FileServer(http.Dir(filepath.Join(root, strings.Replace(r.Host, githubStorage, "github.com", 1)))).ServeHTTP(w, r)
		}
	})
	hosts := httptest.NewUnstartedServer(upstream)
	hosts.TLS, hosts.Config.ErrorLog = privateAuthority().Server(internet...), silent
	hosts.StartTLS()
	ts.Defer(hosts.Close)
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { proxytest.Tunnel(w, hosts.Listener.Addr().String()) }))
	ts.Defer(open.Close)
	tried, asked := new(recorder), new(recorder)
	blocked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tried.add(r.Method + " " + r.RequestURI)
		w.WriteHeader(http.StatusForbidden)
	}))
	ts.Defer(blocked.Close)
	m := artifactorytest.Start(upstream, privateAuthority().Server(), func(r *http.Request) { asked.add(r.Method + " " + r.URL.Path) })
	ts.Defer(m.Close)
	ts.Value(managersKey{}).(*managers).Manager = m
	recorders.Store(blocked.URL, tried)
	recorders.Store(m.URL, asked)
	writeAuthority(ts)
	dir := ts.MkAbs(".manager")
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(registrytest.WriteDockerConfig(dir, artifactorytest.User, artifactorytest.Password, m.Host))
	netrc := "machine " + m.Host + " login " + artifactorytest.User + " password " + artifactorytest.Password + "\n"
	ts.Check(os.WriteFile(filepath.Join(dir, "netrc"), []byte(netrc), 0o600))
	for name, value := range map[string]string{
		"MANAGER": m.URL, "MANAGER_HOST": m.Host, "MANAGER_CONFIG": dir, "MANAGER_NETRC": filepath.Join(dir, "netrc"),
		"INTERNET": open.URL, "BLOCKED": blocked.URL, "NO_PROXY": "127.0.0.1", "GIT_CONFIG_GLOBAL": os.DevNull,
	} {
		ts.Setenv(name, value)
	}
}

// takeHabits gives the manager other habits.
func takeHabits(ts *testscript.TestScript, neg bool, args []string) {
	m := ts.Value(managersKey{}).(*managers).Manager
	if neg || m == nil {
		ts.Fatalf("usage: habits HABIT..., after manager")
	}
	ts.Check(m.Take(args...))
}

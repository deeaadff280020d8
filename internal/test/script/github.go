package script

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/test/proxytest"
)

// startGitHub serves a directory as github.com over TLS, by way of the proxy at $GITHUB_PROXY. The
// newest release of a repository is the tag in its file latest.
func startGitHub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: github DIR")
	}
	root := ts.MkAbs(args[0])
	files := http.FileServer(http.Dir(root))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		repository, page, _ := strings.Cut(req.URL.Path, "/releases/")
		tag, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(repository), "latest"))
		switch {
		case page == "latest" && err == nil:
			http.Redirect(w, req, repository+"/releases/tag/"+strings.TrimSpace(string(tag)), http.StatusFound)
		case strings.HasPrefix(page, "tag/"):
			w.WriteHeader(http.StatusOK)
		default:
			files.ServeHTTP(w, req)
		}
	}))
	s.TLS, s.Config.ErrorLog = privateAuthority().Server("github.com"), silent
	s.StartTLS()
	ts.Defer(s.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodConnect || req.RequestURI != "github.com:443" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		proxytest.Tunnel(w, s.Listener.Addr().String())
	}))
	ts.Defer(proxy.Close)
	ts.Setenv("GITHUB_PROXY", proxy.URL)
	writeAuthority(ts)
}

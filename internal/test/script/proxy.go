package script

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/test/proxytest"
)

// proxyUser and proxyPassword are those that the proxy wants.
const proxyUser, proxyPassword = "proxyuser", "pr0xypassword"

// startHTTPProxy starts a proxy at $PROXY, with user and password in the URL, and at
// $PROXY_HOST, without. It alone knows $INDEX_NAME, which leads to $UPSTREAM. Its
// requests are recorded at $URL.
func startHTTPProxy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: httpproxy")
	}
	files := http.FileServer(http.Dir(ts.Getenv("UPSTREAM")))
	secure, plain := startTLS(ts, files), httptest.NewServer(files)
	ts.Defer(plain.Close)
	r := new(recorder)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+proxyPassword)) {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		r.add(req.Method + " " + req.RequestURI)
		switch {
		case strings.HasPrefix(req.RequestURI, "refused."):
			w.WriteHeader(http.StatusForbidden)
		case req.Method == http.MethodConnect:
			proxytest.Tunnel(w, secure.Listener.Addr().String())
		default:
			files.ServeHTTP(w, req)
		}
	}))
	ts.Defer(proxy.Close)
	host := strings.TrimPrefix(proxy.URL, "http://")
	ts.Setenv("PROXY", "http://"+proxyUser+":"+proxyPassword+"@"+host)
	ts.Setenv("PROXY_HOST", host)
	ts.Setenv("INDEX_NAME", indexName)
	ts.Setenv("URL", proxy.URL)
	recorders.Store(proxy.URL, r)
	writeAuthority(ts)
}

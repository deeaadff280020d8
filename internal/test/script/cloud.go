package script

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// indexName is a host's name that only a proxy resolves (RFC 6761, section 6.2).
const indexName = "index.example.test"

// privateAuthority is that of every server of the scripts.
var privateAuthority = sync.OnceValue(func() *tlstest.Authority { return tlstest.NewAuthority("script authority") })

// apiKey is what the imitated Botkube Cloud wants to see.
const apiKey = "k3y-that-nobody-may-see"

// writeAuthority sets $CA.
func writeAuthority(ts *testscript.TestScript) {
	file := filepath.Join(ts.Getenv("WORK"), "ca.pem")
	ts.Check(os.WriteFile(file, privateAuthority().PEM(), 0o644))
	ts.Setenv("CA", file)
}

func startTLS(ts *testscript.TestScript, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.TLS = privateAuthority().Server(indexName)
	s.Config.ErrorLog = silent
	s.StartTLS()
	ts.Defer(s.Close)
	return s
}

// cloud imitates Botkube Cloud: one host has the index, the other the archives.
type cloud struct {
	index, archives *httptest.Server
	document        string
	mu              sync.Mutex
	// seen are the header fields and URLs of requests that are no business of the key.
	seen []string
}

// cloudKey is the key of a script's cloud.
type cloudKey struct{}

func startCloud(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: cloud")
	}
	c := ts.Value(cloudKey{}).(*cloud)
	files := http.FileServer(http.Dir(ts.Getenv("UPSTREAM")))
	c.archives = startTLS(ts, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c.note(req)
		if req.URL.Path == "/absolute.yaml" {
			_, _ = io.WriteString(w, c.document)
			return
		}
		files.ServeHTTP(w, req)
	}))
	c.index = startTLS(ts, http.HandlerFunc(c.serveIndex))
	document, err := os.ReadFile(filepath.Join(ts.Getenv("UPSTREAM"), "plugins-index.yaml"))
	ts.Check(err)
	// Archives come from the other host, dependencies by way of a redirect to it.
	c.document = strings.NewReplacer(
		"url: archives/", "url: "+c.archives.URL+"/archives/",
		"url: dependencies/", "url: "+c.index.URL+"/lead/dependencies/",
		"refURL: ", "refURL: "+c.archives.URL+"/",
	).Replace(string(document))
	ts.Setenv("CLOUD", c.index.URL)
	ts.Setenv("ARCHIVES", c.archives.URL)
	ts.Setenv("KEY", apiKey)
	writeAuthority(ts)
}

func (c *cloud) note(req *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, fmt.Sprint(req.Method, " ", req.URL, " ", req.Header))
}

func (c *cloud) serveIndex(w http.ResponseWriter, req *http.Request) {
	if path, found := strings.CutPrefix(req.URL.Path, "/lead"); found {
		c.note(req)
		http.Redirect(w, req, c.archives.URL+path+"?X-Goog-Signature=s1gned", http.StatusFound)
		return
	}
	switch {
	case req.Header.Get("X-API-Key") == "":
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case req.Header.Get("X-API-Key") != apiKey:
		http.Error(w, "no: "+req.Header.Get("X-API-Key"), http.StatusForbidden)
	case req.URL.Path == "/elsewhere.yaml":
		http.Redirect(w, req, c.archives.URL+"/absolute.yaml", http.StatusTemporaryRedirect)
	case req.URL.Path == "/moved.yaml":
		http.Redirect(w, req, "/plugins-index.yaml", http.StatusTemporaryRedirect)
	case req.URL.Path == "/insecure.yaml":
		http.Redirect(w, req, strings.Replace(c.archives.URL, "https:", "http:", 1)+"/plugins-index.yaml", http.StatusFound)
	default:
		_, _ = io.WriteString(w, c.document)
	}
}

// keyless wants that the key went with requests for the index only, and that others
// were made.
func keyless(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: keyless")
	}
	c := ts.Value(cloudKey{}).(*cloud)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen) == 0 {
		ts.Fatalf("no requests were made for archives")
	}
	for _, request := range c.seen {
		if strings.Contains(request, apiKey) {
			ts.Fatalf("the key went with %s", request)
		}
	}
	c.seen = nil
}

// serveAsking serves $UPSTREAM over TLS to whom has a certificate, of which there are some.
func serveAsking(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: asking")
	}
	a := privateAuthority()
	s := httptest.NewUnstartedServer(http.FileServer(http.Dir(ts.Getenv("UPSTREAM"))))
	s.TLS, s.Config.ErrorLog = a.Asking(), silent
	s.StartTLS()
	ts.Defer(s.Close)
	ts.Setenv("ASKING", s.URL)
	writeAuthority(ts)
	write := func(name string, data []byte) { ts.Check(os.WriteFile(ts.MkAbs(name), data, 0o600)) }
	for name, made := range map[string]struct {
		by    *tlstest.Authority
		until time.Duration
	}{"joe": {a, time.Hour}, "old": {a, -time.Hour}, "stranger": {tlstest.NewAuthority("another"), time.Hour}} {
		cert, key := made.by.Client(name, -2*time.Hour, made.until)
		write(name+".pem", cert)
		write(name+".key", key)
	}
}

// silent is for servers whose clients misbehave.
var silent = log.New(io.Discard, "", 0)

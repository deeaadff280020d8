package serve

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

func TestFile(t *testing.T) {
	const content = "0123456789"
	w := newWorld(t, content, "tool")
	at := w.serve(t, nil) + "/" + w.binary.Path
	tag := `"` + w.binary.SHA256.String() + `"`
	tests := map[string]struct {
		method string
		header []string
		status int
		body   string
		length string
	}{
		"whole":                     {status: 200, body: content, length: "10"},
		"head":                      {method: "HEAD", status: 200, length: "10"},
		"range":                     {header: []string{"Range", "bytes=2-4"}, status: 206, body: "234", length: "3"},
		"rest":                      {header: []string{"Range", "bytes=7-"}, status: 206, body: "789", length: "3"},
		"end":                       {header: []string{"Range", "bytes=-1"}, status: 206, body: "9", length: "1"},
		"head of a range":           {method: "HEAD", header: []string{"Range", "bytes=2-4"}, status: 206, length: "3"},
		"beyond the end":            {header: []string{"Range", "bytes=10-"}, status: 416, body: "invalid range: failed to overlap\n"},
		"range of what it has":      {header: []string{"Range", "bytes=2-4", "If-Range", tag}, status: 206, body: "234", length: "3"},
		"range of something else":   {header: []string{"Range", "bytes=2-4", "If-Range", `"x"`}, status: 200, body: content, length: "10"},
		"what the client has":       {header: []string{"If-None-Match", tag}, status: 304},
		"what the client has, weak": {header: []string{"If-None-Match", "W/" + tag}, status: 304},
		"one of several":            {header: []string{"If-None-Match", `"x", ` + tag}, status: 304},
		"something else":            {header: []string{"If-None-Match", `"x"`}, status: 200, body: content, length: "10"},
		"on condition":              {header: []string{"If-Match", `"x"`}, status: 412},
		"compressed":                {header: []string{"Accept-Encoding", "gzip"}, status: 200, body: content, length: "10"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.method == "" {
				test.method = http.MethodGet
			}
			got := ask(t, test.method, at, test.header...)
			if got.err != nil || got.status != test.status || got.body != test.body {
				t.Errorf("%d, %q, %v, want %d, %q", got.status, got.body, got.err, test.status, test.body)
			}
			if test.length != "" && got.header.Get("Content-Length") != test.length {
				t.Errorf("Content-Length %q, want %s", got.header.Get("Content-Length"), test.length)
			}
			if test.status < 300 {
				for field, want := range map[string]string{
					"ETag": tag, "Content-Type": "application/gzip", "Cache-Control": cacheForever, "Accept-Ranges": "bytes",
					"Content-Encoding": "", "X-Content-Type-Options": "nosniff",
				} {
					if got.header.Get(field) != want {
						t.Errorf("%s: %q, want %q", field, got.header.Get(field), want)
					}
				}
			}
		})
	}
	if told := w.told(); told != "" {
		t.Errorf("problems:\n%s", told)
	}
}

// TestNothingElse asks for what a server of files would have, and for what lies beside them.
func TestNothingElse(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	other := "files/" + strings.Repeat("ab/", 1) + strings.Repeat("ab", 32) + "/secret"
	w.write(t, other, "secret")
	w.write(t, "v1.14.0/secret", "secret")
	for _, base := range []string{"", "https://mirror.example.com/sub/dir"} {
		at := w.serve(t, func(o *Options) { o.BaseURL = base })
		for _, p := range []string{
			other, "v1.14.0/secret", "v1.14.0/demo", "v1.14.0/demo/", "v1.14.0/index.html/", "v1.13.0/", "files", "files/", "v1.13.0/demo/plugins-index.yaml", "v1.14.0/other/plugins-index.yaml",
			"../secret", "..%2fsecret", "v1.14.0/../v1.14.0/lock.json", "v1.14.0//lock.json", "/v1.14.0/lock.json", "v1.14.0/lock.json/", "v1.14.0/LOCK.JSON", "%2e%2e/%2e%2e/etc/passwd",
			w.binary.Path + "/", w.binary.Path + "/..", strings.ToUpper(w.binary.Path), "files/../" + w.binary.Path, "healthz/", "sub", "sub/dir/sub/dir", "sub/v1.14.0/lock.json", "%00",
		} {
			u := at + "/" + p
			if base == "" && strings.HasPrefix(p, "sub/") {
				continue
			}
			got := ask(t, http.MethodGet, u)
			if got.status != http.StatusNotFound || strings.Contains(got.body, "secret") || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d %q", u, got.status, got.body)
			}
		}
	}
}

func TestMethods(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	at := w.serve(t, nil)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
		for _, p := range []string{"/", healthPath, "/" + w.binary.Path, "/v1.14.0/demo/plugins-index.yaml", "/nothing"} {
			got := ask(t, method, at+p)
			if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, allowed is %q", method, p, got.status, got.header.Get("Allow"))
			}
		}
	}
}

// TestDocuments wants what a site for the same base URL has.
func TestDocuments(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	tests := map[string]struct {
		header []string
		change func(*Options)
		base   string
	}{
		"name and port":    {header: []string{"Host", "mirror.example.com:8080"}, base: "http://mirror.example.com:8080"},
		"capitals":         {header: []string{"Host", "Mirror.Example.COM"}, base: "http://mirror.example.com"},
		"service":          {header: []string{"Host", "mirror"}, base: "http://mirror"},
		"address":          {header: []string{"Host", "10.0.0.7:80"}, base: "http://10.0.0.7:80"},
		"IPv6":             {header: []string{"Host", "[fd00::7]:8080"}, base: "http://[fd00::7]:8080"},
		"over TLS":         {header: []string{"Host", "mirror"}, change: func(o *Options) { o.Certificate = &Certificate{} }, base: "https://mirror"},
		"behind somebody":  {header: []string{"Host", "mirror", "X-Forwarded-Host", "evil", "X-Forwarded-Proto", "https", "Forwarded", "host=evil;proto=https"}, base: "http://mirror"},
		"with a base URL":  {header: []string{"Host", "other"}, change: func(o *Options) { o.BaseURL = "https://mirror.example.com/sub" }, base: "https://mirror.example.com/sub"},
		"no host is asked": {header: []string{"Host", "a^b"}, change: func(o *Options) { o.BaseURL = "https://mirror.example.com" }, base: "https://mirror.example.com"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			at := w.serve(t, test.change)
			want, err := site.Documents(w.version.Lock, test.base, w.version.Indexes)
			if err != nil {
				t.Fatal(err)
			}
			if len(want) != 3 {
				t.Fatalf("%d documents", len(want))
			}
			for _, d := range want {
				got := ask(t, http.MethodGet, at+"/"+d.Path, test.header...)
				if got.status != http.StatusOK || got.body != string(d.Data) {
					t.Errorf("%s: %d\n%s\nwant\n%s", d.Path, got.status, got.body, d.Data)
				}
				tag := `"` + lock.Sum(d.Data).String() + `"`
				if got.header.Get("ETag") != tag || got.header.Get("Cache-Control") != "no-cache" {
					t.Errorf("%s: ETag %s, Cache-Control %s", d.Path, got.header.Get("ETag"), got.header.Get("Cache-Control"))
				}
				if got := ask(t, http.MethodGet, at+"/"+d.Path, append(test.header, "If-None-Match", tag)...); got.status != http.StatusNotModified {
					t.Errorf("%s: asked again: %d", d.Path, got.status)
				}
			}
			if !strings.Contains(string(want[2].Data), test.base+"/files/") {
				t.Errorf("the index has other URLs than those of %s:\n%s", test.base, want[2].Data)
			}
		})
	}
}

// TestHost refuses hosts that no URL could have.
func TestHost(t *testing.T) {
	for _, host := range []string{
		"", " ", "a b", "a/b", "a?b", "a#b", "a@b", "user:pass@b", "a:b", "a:", ":80", "a:123456", "a:65536", "[::1", "::1", "[::1]x", "[a]", "[1.2.3.4]", "[fe80::1%25eth0]", "a..b", ".a", "-a", "a-",
		"a,b", "a;b", `a"b`, "a'b", "a<b", "a&b", "a%2fb", "bücher.example", "a\nb", strings.Repeat("a", 300),
	} {
		if checkHost(host) == nil {
			t.Errorf("%q is taken", host)
		}
	}
	w := newWorld(t, "binary", "tool")
	at := w.serve(t, nil)
	for _, p := range []string{"/", "/v1.14.0/demo/plugins-index.yaml", "/v1.14.0/SHA256SUMS"} {
		if got := ask(t, http.MethodGet, at+p, "Host", "a&b"); got.status != http.StatusBadRequest || strings.Contains(got.body, "a&b") {
			t.Errorf("%s: %d %q", p, got.status, got.body)
		}
	}
	// Files do not depend on it.
	if got := ask(t, http.MethodGet, at+"/"+w.binary.Path, "Host", "a&b"); got.status != http.StatusOK {
		t.Errorf("a file: %d", got.status)
	}
}

func FuzzHost(f *testing.F) {
	for _, seed := range []string{"mirror", "mirror.example.com:8080", "[::1]:80", "10.0.0.1", "a..b", "a_b.", "[::ffff:1.2.3.4]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if checkHost(host) != nil {
			return
		}
		base := "http://" + host
		if err := form.CheckBaseURL(base); err != nil {
			t.Errorf("%q: %v", host, err)
		}
		if u, err := url.Parse(base); err != nil || u.Host != host || u.String() != base {
			t.Errorf("%q is not the host of %s: %v", host, base, err)
		}
	})
}

// TestStrangeHosts wants no more to be kept for those who make hosts up than for others.
func TestStrangeHosts(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	h := w.handler(t, nil)
	for i := range 3 * maxRenderings {
		if _, err := h.renders.get(h.catalog.Load().versions[0].Version, fmt.Sprintf("http://host%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.renders.kept); n != maxRenderings {
		t.Errorf("%d renderings are kept, not %d", n, maxRenderings)
	}
	// What is asked for stays.
	for i := range 2 * maxRenderings {
		if _, err := h.renders.get(h.catalog.Load().versions[0].Version, "http://known"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.renders.get(h.catalog.Load().versions[0].Version, fmt.Sprintf("http://other%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.ContainsFunc(h.renders.kept, func(e rendering) bool { return e.base == "http://known" }) {
		t.Error("what was asked for all the time is gone")
	}
}

// TestBaseURLWithPath is for proxies that pass its path on and for those that do not.
func TestBaseURLWithPath(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	at := w.serve(t, func(o *Options) { o.BaseURL = "https://mirror.example.com/sub/dir" })
	for _, p := range []string{"/" + w.binary.Path, "/v1.14.0/demo/plugins-index.yaml", healthPath, "/"} {
		if direct, passed := ask(t, "GET", at+p), ask(t, "GET", at+"/sub/dir"+p); direct.status != 200 || passed.status != 200 || direct.body != passed.body {
			t.Errorf("%s: %d %q and %d %q", p, direct.status, direct.body, passed.status, passed.body)
		}
	}
}

func TestHealth(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	if got := ask(t, "GET", w.serve(t, nil)+healthPath); got.status != 200 || got.body != "ok\n" {
		t.Errorf("%s: %d %q", healthPath, got.status, got.body)
	}
}

func TestAccess(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	at := w.serve(t, nil)
	ask(t, "GET", at+"/"+w.binary.Path+"?token=secret", "User-Agent", "agent/1")
	ask(t, "HEAD", at+"/a%0ab%1b", "X-Forwarded-For", "1.2.3.4")
	ask(t, "GET", at+healthPath)
	var got []string
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.accesses {
		if !strings.HasPrefix(a.Remote, "127.0.0.1:") || a.Began.IsZero() {
			t.Errorf("remote address %q, began %s", a.Remote, a.Began)
		}
		got = append(got, fmt.Sprintf("%s %s %d %d %s %t", a.Method, a.Path, a.Status, a.Bytes, a.UserAgent, a.Probe))
	}
	want := []string{
		"GET /" + w.binary.Path + " 200 6 agent/1 false", "HEAD /a%0ab%1b 404 0 Go-http-client/1.1 false", "GET /healthz 200 3 Go-http-client/1.1 true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want\n%q", got, want)
	}
}

// TestSeveralAtOnce downloads the same file many times at once, none of which may be read before it is known.
func TestSeveralAtOnce(t *testing.T) {
	content := strings.Repeat("x", 1<<20)
	w := newWorld(t, content, "tool")
	at := w.serve(t, nil)
	const clients = 20
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			if got := ask(t, "GET", at+"/"+w.binary.Path); got.status != 200 || got.body != content {
				t.Errorf("%d, %d bytes", got.status, len(got.body))
			}
		})
	}
	group.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.opened > clients+1 {
		t.Errorf("opened %d times for %d clients: it was compared with its digest more than once", w.opened, clients)
	}
}

// TestRanges asks for parts of a file (RFC 9110, section 14).
func TestRanges(t *testing.T) {
	w := newWorld(t, "0123456789", "tool")
	at := w.serve(t, nil) + "/" + w.binary.Path
	for field, want := range map[string]struct {
		status int
		body   string
	}{
		"bytes=2-4":                    {206, "234"},
		"Bytes = 2-4":                  {206, "234"},
		"bytes=7-":                     {206, "789"},
		"bytes=-2":                     {206, "89"},
		"bytes=-99":                    {206, "0123456789"},
		"bytes=5-99999999999999999999": {206, "56789"},
		"bytes=-99999999999999999999":  {206, "0123456789"},
		"bytes=0-0,":                   {206, "0"},
		"bytes=-0":                     {416, ""},
		"bytes=10-":                    {416, ""},
		"bytes=99999999999999999999-":  {416, ""},
		"bytes=4-2":                    {200, "0123456789"},
		"bytes=0-1,3-4":                {200, "0123456789"},
		"bytes=a-b":                    {200, "0123456789"},
		"bytes=-":                      {200, "0123456789"},
		"bytes":                        {200, "0123456789"},
		"lines=1-2":                    {200, "0123456789"},
	} {
		got := ask(t, "GET", at, "Range", field)
		if got.status != want.status || want.status != 416 && got.body != want.body || want.status == 416 && got.header.Get("Content-Range") != "bytes */10" {
			t.Errorf("%s: %d %q %q", field, got.status, got.body, got.header.Get("Content-Range"))
		}
	}
	if got := ask(t, "GET", at, "Range", "bytes=-0", "If-None-Match", entityTag(w.binary.SHA256)); got.status != 304 {
		t.Errorf("with a condition that fails: %d", got.status)
	}
}

package serve

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// TestPages wants the pages that a site for the same base URL has, for browsers that run nothing.
func TestPages(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	older, made := *w.version.Lock, time.Unix(1767225600, 0)
	older.BotkubeVersion = "v1.13.0"
	at := w.serve(t, func(o *Options) {
		o.Library = newLibrary(t, w.version, form.Version{Tag: "v1.13.0", Lock: &older, Made: made, Indexes: w.version.Indexes, Open: w.open})
	})
	const base = "http://mirror.example.com:8080"
	host := []string{"Host", "Mirror.Example.com:8080"}
	root, err := site.RootPage([]site.Paged{{Lock: &older, BaseURL: base, Made: made}, {Lock: w.version.Lock, BaseURL: base}})
	if err != nil {
		t.Fatal(err)
	}
	version, err := site.VersionPage(site.Paged{Lock: &older, BaseURL: base, Made: made})
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string][]byte{"/": root, "/index.html": root, "/v1.13.0/": version, "/v1.13.0/index.html": version} {
		got := ask(t, http.MethodGet, at+p, host...)
		if got.status != http.StatusOK || got.body != string(want) {
			t.Errorf("%s: %d\n%s\nwant\n%s", p, got.status, got.body, want)
		}
		tag := `"` + lock.Sum(want).String() + `"`
		for field, value := range map[string]string{"ETag": tag, "Cache-Control": "no-cache", "Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff"} {
			if got.header.Get(field) != value {
				t.Errorf("%s: %s is %q", p, field, got.header.Get(field))
			}
		}
		if head := ask(t, http.MethodHead, at+p, host...); head.status != http.StatusOK || head.body != "" || head.header.Get("ETag") != tag || head.header.Get("Content-Length") != fmt.Sprint(len(want)) {
			t.Errorf("%s: HEAD: %d, %v", p, head.status, head.header)
		}
		if again := ask(t, http.MethodGet, at+p, append(slices.Clone(host), "If-None-Match", tag)...); again.status != http.StatusNotModified || again.body != "" {
			t.Errorf("%s: asked again: %d", p, again.status)
		}
		style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(got.body)
		if style == nil {
			t.Fatalf("%s: there is no style", p)
		}
		sum := sha256.Sum256([]byte(style[1]))
		policy := got.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; ") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
			t.Errorf("%s: a browser would not take the style, or would take more: %s", p, policy)
		}
	}
	// Without its slash, relative URLs would lead astray.
	below := w.serve(t, func(o *Options) { o.BaseURL = "https://mirror.example.com/a/the%20mirror" })
	for asked, want := range map[string]string{at + "/v1.13.0": "v1.13.0/", below + "/a/the%20mirror": "the%20mirror/"} {
		if got := ask(t, http.MethodGet, asked); got.status != http.StatusMovedPermanently || got.header.Get("Location") != want {
			t.Errorf("%s: %d to %q", asked, got.status, got.header.Get("Location"))
		}
	}
}

// TestManyPages asks for more hosts than pages are kept.
func TestManyPages(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	h := w.handler(t, nil)
	made := 0
	for i := range 3 * maxPages {
		for _, host := range []string{fmt.Sprint("host", i), "known"} {
			d, err := h.catalog.Load().pages.get("", host, func(base string) ([]byte, error) { made++; return []byte(base), nil })
			if err != nil || string(d.data) != host {
				t.Fatalf("%q, %v", d.data, err)
			}
		}
	}
	if made != 3*maxPages+1 || len(h.catalog.Load().pages.kept) != maxPages {
		t.Errorf("%d were made, %d are kept", made, len(h.catalog.Load().pages.kept))
	}
}

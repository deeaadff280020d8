package serve

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// TestPageInBrowser has Chromium say what a person sees of a page, as wide as a phone and as a
// desktop, in light and in darkness.
func TestPageInBrowser(t *testing.T) {
	tier.SkipUnlessThorough(t)
	w := newWorld(t, "binary", "tool")
	long := strings.Repeat("long", 50)
	w.version.Lock.Repositories[0].URL = "https://upstream.example.com/" + long
	w.version.Lock.Artifacts[0].VerifiedBy = lock.ByPublisher
	w.version.Lock.Artifacts[0].VerifiedWith = []string{"https://upstream.example.com/" + long + ".sha256"}
	w.version.Lock.Plugins[0].Version = "v1.0.0-" + long
	at := w.serve(t, nil)

	dom := chromium(t, at+"/")
	if !strings.Contains(dom, "<h1>Plugins for Botkube v1.14.0</h1>") {
		t.Fatalf("Chromium shows\n%s", dom)
	}
	w.mu.Lock()
	var asked []string
	for _, a := range w.accesses {
		asked = append(asked, a.Path)
	}
	w.mu.Unlock()
	if !slices.Equal(asked, []string{"/"}) {
		t.Errorf("the browser asked for %q", asked)
	}

	page := ask(t, http.MethodGet, at+"/")
	harness := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/page" {
			fmt.Fprint(w, page.body)
			return
		}
		fmt.Fprint(w, measure)
	}))
	defer harness.Close()
	shown := []string{
		"Plugins for Botkube v1.14.0", at + "/v1.14.0/demo/plugins-index.yaml", "cacheDir: /tmp", "helm upgrade --install botkube CHART", "demo/echo", "executor", "linux/amd64", "tool",
		w.binary.SHA256.String(), w.dependency.SHA256.String(), "from the publisher", "unverified", "executor_echo.tar.gz", "sha256sum -c SHA256SUMS", "botkube-mirror verify", "botkube-mirror unpack", long,
	}
	backgrounds := map[string]bool{}
	for _, scheme := range []string{"0", "1"} { // dark, light
		text := regexp.MustCompile(`(?s)<pre id="measured">(.*?)</pre>`).FindStringSubmatch(chromium(t, harness.URL, "--blink-settings=preferredColorScheme="+scheme))
		if text == nil {
			t.Fatal("nothing was measured")
		}
		var all []struct {
			Width, Scroll    int
			Background, Text string
			Beyond, Faint    []string
			Squeezed         []string
			Styled           bool
		}
		if err := json.Unmarshal([]byte(html.UnescapeString(text[1])), &all); err != nil || len(all) != 5 {
			t.Fatalf("%v: %s", err, text[1])
		}
		for _, m := range all {
			if m.Scroll > m.Width || len(m.Beyond) > 0 || len(m.Faint) > 0 || len(m.Squeezed) > 0 || !m.Styled {
				t.Errorf("scheme %s, %d px: scrolls to %d px, styled is %t\nbeyond the edge: %q\nhard to read: %q\nin a column too narrow: %q", scheme, m.Width, m.Scroll, m.Styled, m.Beyond, m.Faint, m.Squeezed)
			}
			for _, s := range shown {
				if !strings.Contains(m.Text, s) {
					t.Errorf("scheme %s, %d px: %s is not to be seen in\n%s", scheme, m.Width, s, m.Text)
				}
			}
			backgrounds[m.Background] = true
		}
	}
	if len(backgrounds) != 2 {
		t.Errorf("dark and light look alike: %v", backgrounds)
	}
}

// measure is a page that measures another one, which it shows in frames of several widths.
//
//go:embed testdata/measure.html
var measure string

// chromium returns the elements of a page in the browser.
func chromium(t *testing.T, url string, flags ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := slices.Concat([]string{
		"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--user-data-dir=" + t.TempDir(), "--virtual-time-budget=20000", "--dump-dom",
	}, flags, []string{url})
	c := exec.CommandContext(ctx, "chromium", args...)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, stderr.String())
	}
	return string(out)
}

package resolve

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

func newResolver(t *testing.T) (*Resolver, string) {
	t.Helper()
	return reopened(t, t.TempDir())
}

// reopened returns a resolver with a store, as a later run has it.
func reopened(t *testing.T, dir string) (*Resolver, string) {
	t.Helper()
	s, err := store.Open(dir)
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return &Resolver{Fetch: fetch.New(fetch.Config{Store: s, Options: transfer.Options{IdleTimeout: 10 * time.Second, Retry: transfer.Retry{Limit: -1}}}), Store: s, Lookups: 4, Note: func(string) {}, Warn: func(string) {}, Collected: func([]fetch.Request) {}}, dir
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v\n%s", err, fault.HintOf(err))
	}
}

// wantFault wants an error of a kind that says certain things, briefly, and
// nothing that a terminal would obey.
func wantFault(t testing.TB, err error, kind fault.Kind, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one that says %q", says)
	}
	if fault.KindOf(err) != kind {
		t.Errorf("kind %d, want %d: %v", fault.KindOf(err), kind, err)
	}
	text := err.Error() + "\n" + fault.HintOf(err)
	for _, s := range says {
		if !strings.Contains(text, s) {
			t.Errorf("%q is not in %.1000q", s, text)
		}
	}
	if len(text) > 1000 || strings.Contains(text, "s3cret") || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' }) {
		t.Errorf("the error has %d bytes: %.1000q", len(text), text)
	}
}

// site serves documents that a test may change, and counts requests.
type site struct {
	*httptest.Server
	files    map[string]string
	requests int
}

func newSite(t *testing.T) *site {
	s := &site{files: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.requests++
		data, ok := s.files[req.URL.Path]
		if !ok {
			http.NotFound(w, req)
			return
		}
		fmt.Fprint(w, data)
	}))
	t.Cleanup(s.Close)
	return s
}

// publish puts a chart into a directory of the site.
func (s *site) publish(dir, version, content string) {
	s.files[dir+"/c.tgz"] = content
	s.files[dir+"/index.yaml"] = fmt.Sprintf("entries: {botkube: [{version: %s, urls: [c.tgz], digest: %s}]}", version, lock.Sum([]byte(content)))
}

func chartOf(t *testing.T, r *Resolver, req Selection) (*lock.Chart, error) {
	t.Helper()
	plan := &Plan{Lock: &lock.Lock{}}
	err := r.chart(t.Context(), req, plan)
	return plan.Lock.Chart, err
}

func TestReadChartIndex(t *testing.T) {
	got, err := readChartIndex([]byte(`
apiVersion: v1
entries:
  other: [{version: 1.0.0}]
  botkube:
  - {name: botkube, version: 1.10, urls: [a.tgz, b.tgz], digest: "ab", annotations: {x: y}, created: 2024-01-01T00:00:00Z}
  - {version: v2.0.0, urls: [], digest: null}
  - {version: [], urls: a, digest: {}}
`))
	check(t, err)
	want := []chartVersion{{"1.10", "a.tgz", "ab"}, {version: "v2.0.0"}, {}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got, err := readChartIndex([]byte("entries: {}")); got != nil || err != nil {
		t.Error(got, err)
	}
}

// TestChartOfAnotherServer has a proxy write URLs of its own into the index.
func TestChartOfAnotherServer(t *testing.T) {
	s := newSite(t)
	s.publish("/helm", "1.0.0", "chart")
	for at, note := range map[string]string{"/helm/c.tgz": "", "/api/helm/c.tgz?x=y": "http://charts.invalid/c.tgz=" + s.URL + "/api/helm/c.tgz"} {
		r, _ := newResolver(t)
		via, err := transfer.ParseVia([]string{"http://charts.invalid=" + s.URL + "/helm"})
		check(t, err)
		r.Fetch = fetch.New(fetch.Config{Store: r.Store, Options: transfer.Options{Via: via, Retry: transfer.Retry{Limit: -1}}})
		var notes []string
		r.Note = func(text string) { notes = append(notes, text) }
		s.files["/api/helm/c.tgz"] = "chart"
		s.files["/helm/index.yaml"] = fmt.Sprintf("entries: {botkube: [{version: 1.0.0, urls: ['%s']}]}", s.URL+at)
		_, err = chartOf(t, r, Selection{Version: "v1.0.0", Members: Members{Chart: "http://charts.invalid"}})
		check(t, err)
		if note != "" { // as it says
			via, err = transfer.ParseVia([]string{"http://charts.invalid=" + s.URL + "/helm", note})
			check(t, err)
			r.Fetch = fetch.New(fetch.Config{Store: r.Store, Options: transfer.Options{Via: via, Retry: transfer.Retry{Limit: -1}}})
			if c, err := chartOf(t, r, Selection{Version: "v1.0.0", Members: Members{Chart: "http://charts.invalid"}}); err != nil || c.URL != "http://charts.invalid/c.tgz?x=y" {
				t.Errorf("%+v, %v", c, err)
			}
		}
		if got := strings.Join(notes, "\n"); !strings.HasSuffix(got, note) || (note == "") != (got == "") {
			t.Errorf("%s: %s", at, got)
		}
	}
}

// TestHostileChartIndex has documents that take a great deal of memory or time
// to decode, or to complain of.
func TestHostileChartIndex(t *testing.T) {
	fill := func(before, unit, after string) string {
		return before + strings.Repeat(unit, (maxChartIndex-len(before)-len(after))/len(unit)) + after
	}
	keys := new(strings.Builder)
	for i := range 100_000 {
		fmt.Fprintf(keys, "%x,", i)
	}
	for name, tt := range map[string]struct{ data, want string }{
		"empty mappings":       {fill("entries: {botkube: [", "{},", "]}"), "it is too large: it may have more than the maximum of"},
		"scalars":              {fill("entries: {botkube: [", "a,", "]}"), "it is too large: it may have more than the maximum of"},
		"hyphens":              {fill("entries:\n botkube:\n", " -\n", ""), "it is too large: it may have more than the maximum of"},
		"question marks":       {fill("", "?\n", ""), "it is too large: it may have more than the maximum of"},
		"UTF-16":               {"\xff\xfe" + fill("[\x00", "a\x00,\x00", "]\x00"), "is larger than"},
		"elements that do not": {"entries: {botkube: [" + strings.Repeat("[a],", 50_000) + "]}", "is not a mapping"},
		"many keys":            {"entries: {" + keys.String() + "}", "there is no chart"},
		"too long":             {fill("entries: {} #", "x", "") + "xx", "is larger than"},
		"depth":                {"entries: " + strings.Repeat("[", 20_000), "depth"},
		"an anchor's name":     {"entries: *" + strings.Repeat("a", 1<<20), "anchor"},
		"nothing":              {"", "the file is empty"},
		"text":                 {"text", "not a mapping"},
		"version in colour":    {`entries: {botkube: [{version: "\e[31m"}]}`, "there is no chart"},
		"digest in colour":     {`entries: {botkube: [{version: 1.0.0, urls: [c.tgz], digest: "\e[31m` + strings.Repeat("x", 1<<20) + `"}]}`, "malformed digest"},
		"URL elsewhere":        {`entries: {botkube: [{version: 1.0.0, urls: ["ftp://u:s3cret@h/` + strings.Repeat("x", 1<<20) + `"]}]}`, "is not https"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.files["/index.yaml"], s.files["/c.tgz"] = tt.data, "chart"
			r, _ := newResolver(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, err := chartOf(t, r, Selection{Version: "v1.0.0", Members: Members{Chart: s.URL}})
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("no error")
			}
			wantFault(t, err, fault.KindOf(err), tt.want)
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 256 || time.Since(start) > time.Minute {
				t.Errorf("it took %d MB and %s", used, time.Since(start))
			}
		})
	}
}

func TestChartBase(t *testing.T) {
	for raw, shown := range map[string]string{
		"charts":                        `"charts" is not`,
		"user:s3cret@host":              "the value is not",
		"https://user:s3cret/x@host":    "the value is not",
		"//user:s3cret@host/":           "the value is not",
		"ftp://host/x?token=s3cret":     `"ftp://host/x?token=redacted" is not`,
		"https://user:s3cret@host:port": "the value is not",
	} {
		_, err := chartBase(raw)
		wantFault(t, err, fault.Usage, shown, chartRepository)
	}
}

func TestPinnedChart(t *testing.T) {
	s := newSite(t)
	s.publish("/a", "1.0.0", "chart")
	s.publish("/same", "1.0.0", "chart")
	s.publish("/changed", "1.0.0", "another")
	s.publish("/renamed", "v1.0.0", "chart")
	r, dir := newResolver(t)
	made, err := chartOf(t, r, Selection{Version: "v1.0.0", Members: Members{Chart: s.URL + "/a"}})
	check(t, err)
	if made.VerifiedBy != lock.ByIndex || made.URL != s.URL+"/a/c.tgz" {
		t.Errorf("%+v", made)
	}
	pinned := *made
	pinned.VerifiedBy = lock.ByNone
	take := func(from string) error {
		t.Helper()
		got, err := chartOf(t, r, Selection{Version: "v1.0.0", Members: Members{Chart: from}, pinned: &lock.Lock{Chart: &pinned}})
		if err == nil && *got != pinned {
			t.Errorf("from %s: %+v, want %+v", from, *got, pinned)
		}
		return err
	}

	s.requests = 0
	check(t, take(pinned.URL))
	check(t, take(Default))
	if s.requests != 0 {
		t.Errorf("%d requests for what is there", s.requests)
	}
	check(t, take(s.URL+"/same"))
	wantFault(t, take(s.URL+"/changed"), fault.Integrity, "/changed/c.tgz", "but the lock pins version 1.0.0", "--with-chart")
	wantFault(t, take(s.URL+"/renamed"), fault.Integrity, "version v1.0.0")
	wantFault(t, take(s.URL+"/absent"), fault.Upstream, "/absent/index.yaml")

	// A run that begins with a damaged blob.
	blob := filepath.Join(dir, "blobs", "sha256", pinned.SHA256.String())
	check(t, os.Chmod(blob, 0o600))
	check(t, os.WriteFile(blob, []byte("chars"), 0o600))
	r.Store.Forget(pinned.SHA256)
	check(t, take(pinned.URL))
	check(t, r.Store.Verify(context.Background(), pinned.SHA256))
	s.files["/a/c.tgz"] = "another"
	check(t, os.Remove(blob))
	wantFault(t, take(pinned.URL), fault.Integrity, "but the lock pins")
}

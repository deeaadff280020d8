package serve

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// samples reads the text format of Prometheus, and wants every metric to be described before it.
// The acceptance suite reads it with Prometheus' own parser.
func samples(t *testing.T, text string) map[string]string {
	t.Helper()
	line := regexp.MustCompile(`^(botkube_mirror_[a-z_]+)(\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\})? ([0-9]+)$`)
	found, described := map[string]string{}, map[string]bool{}
	for l := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(l, "# TYPE "); ok {
			name, kind, _ := strings.Cut(strings.TrimSpace(name), " ")
			described[name] = kind == "counter" || kind == "gauge"
			continue
		}
		if strings.HasPrefix(l, "# HELP ") {
			continue
		}
		m := line.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
		if m == nil || !described[m[1]] {
			t.Fatalf("not a sample, or not described: %q", l)
		}
		found[strings.TrimPrefix(m[1], "botkube_mirror_")+m[2]] = m[3]
	}
	return found
}

// TestProblemsAreCounted has the passwords, the certificate and the library tell of one problem each.
func TestProblemsAreCounted(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	passwords, certificate := &Passwords{}, &Certificate{}
	h := w.handler(t, func(o *Options) { o.Passwords, o.Certificate = passwords, certificate })
	for _, tell := range []func(error){passwords.problem, certificate.problem, h.options.Library.problem} {
		tell(fault.New(fault.Usage, "it is damaged"))
	}
	if n := h.metrics.problems.Load(); n != 3 || strings.Count(w.told(), "it is damaged") != 3 {
		t.Errorf("%d problems: %s", n, w.told())
	}
}

func TestMetrics(t *testing.T) {
	first := newWorld(t, "binary", "tool")
	s, h := shelve(t, first)
	h.options.Program = "v1.2.3"
	_, clients := listeningTo(t, h, 10, 10, 10)
	at := "http://" + clients
	for _, path := range []string{"/" + first.binary.Path, "/v1.14.0/lock.json", "/none/of/it", "/another", healthPath} {
		ask(t, http.MethodGet, at+path)
	}
	s.put(t, "other", nil)
	h.look(t.Context(), true)
	s.put(t, "first", newWorld(t, "new", "tool"))
	h.look(t.Context(), true)
	var out strings.Builder
	h.writeMetrics(&out)
	got := samples(t, out.String())
	for name, want := range map[string]string{
		`requests_total{version="v1.14.0",code="200"}`: "2",
		`requests_total{version="",code="404"}`:        "2",
		`requests_total{version="",code="200"}`:        "1",
		`version_served{version="v1.14.0"}`:            "1",
		`reloads_total{result="replaced"}`:             "1",
		`reloads_total{result="failed"}`:               "1",
		`reloads_total{result="added"}`:                "0",
		"sources_failing":                              "1",
		"problems_total":                               "1",
		"requests_in_flight":                           "0",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %s", name, got[name], want)
		}
	}
	if !strings.Contains(out.String(), `build_info{version="v1.2.3",`) {
		t.Errorf("no build:\n%s", out.String())
	}
	// What is mended or removed does not fail any more.
	if err := os.Remove(filepath.Join(s.dir, "other")); err != nil {
		t.Fatal(err)
	}
	h.look(t.Context(), true)
	out.Reset()
	h.writeMetrics(&out)
	if n := samples(t, out.String())["sources_failing"]; n != "0" {
		t.Errorf("%s sources fail", n)
	}
}

// TestMetricsAreBounded wants no more labels however many versions come and go.
func TestMetricsAreBounded(t *testing.T) {
	m := metrics{requests: map[requestLabels]int64{}, bytes: map[string]int64{}}
	for i := range 3 * maxVersionLabels {
		m.count(fmt.Sprint("v", i), 200, 1)
	}
	if len(m.bytes) > maxVersionLabels+1 || m.bytes[otherVersions] != 2*maxVersionLabels {
		t.Errorf("%d versions, %d of others", len(m.bytes), m.bytes[otherVersions])
	}
}

// TestMonitor asks for metrics and health at another address, where nothing else is.
func TestMonitor(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	monitoring, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := w.handler(t, nil)
	go func() { _ = h.Run(t.Context(), l, monitoring) }()
	at := "http://" + monitoring.Addr().String()
	for path, want := range map[string]int{"/metrics": 200, healthPath: 200, readyPath: 200, "/": 404, "/" + w.binary.Path: 404} {
		if got := ask(t, http.MethodGet, at+path); got.status != want {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	got := ask(t, http.MethodGet, at+"/metrics")
	if media := got.header.Get("Content-Type"); media != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("the media type is %s", media)
	}
	if _, has := samples(t, got.body)["connections_max"]; !has {
		t.Errorf("no connections:\n%s", got.body)
	}
	// They are nowhere among what clients get.
	if got := ask(t, http.MethodGet, "http://"+l.Addr().String()+"/metrics"); got.status != http.StatusNotFound {
		t.Errorf("clients get metrics: %d", got.status)
	}
}

package fetch_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// via sets rules, each a pair of the left and the right side.
func via(t *testing.T, sides ...string) func(*fetch.Config) {
	t.Helper()
	var rules []string
	for i := 0; i < len(sides); i += 2 {
		rules = append(rules, sides[i]+"="+sides[i+1])
	}
	v, err := transfer.ParseVia(rules)
	check(t, err)
	return func(cfg *fetch.Config) { cfg.Via = v }
}

// netrc gives a client the user and the password of a host.
func netrc(t *testing.T, server string) func(*fetch.Config) {
	t.Helper()
	u, err := url.Parse(server)
	check(t, err)
	path := filepath.Join(t.TempDir(), "netrc")
	check(t, os.WriteFile(path, []byte("machine "+u.Host+" login joe password right\n"), 0o600))
	return func(cfg *fetch.Config) { cfg.Netrc = path }
}

func TestViaCredentials(t *testing.T) {
	t.Parallel()
	proxy := secureUpstream(t, []byte("document"))
	header := http.Header{"Authorization": {"Bearer left"}, "X-Key": {"key"}}
	for name, test := range map[string]struct {
		right string
		netrc bool
		want  string
	}{
		"none of its own": {right: proxy.URL, want: "Bearer left"},
		"of the rule":     {right: strings.Replace(proxy.URL, "//", "//joe:right@", 1), want: "joe:right"},
		"of .netrc":       {right: proxy.URL, netrc: true, want: "joe:right"},
	} {
		change := []func(*fetch.Config){proxy.trusted, via(t, "http://plain.invalid/a", test.right+"/b")}
		if test.netrc {
			change = append(change, netrc(t, proxy.URL))
		}
		_, err := fixed(t, change...).client.Document(t.Context(), "http://me:left@plain.invalid/a/x", 100, header)
		check(t, err)
		for _, r := range proxy.seen() {
			got := r.Header.Get("Authorization")
			if user, password, ok := r.BasicAuth(); ok {
				got = user + ":" + password
			}
			if got != test.want || r.Header.Get("X-Key") != "key" || r.URL.Path != "/b/x" {
				t.Errorf("credentials %s: %s with %s", name, r.URL, got)
			}
		}
	}
	plain := newUpstream(t, nil)
	_, err := fixed(t, via(t, "https://secure.invalid", plain.URL)).client.Document(t.Context(), "https://secure.invalid/x", 100, header)
	wantFault(t, err, fault.Usage, "https://secure.invalid/x from "+plain.URL+"/x", "plain http")
	if n := len(plain.seen()); n != 0 {
		t.Errorf("%d requests in the clear", n)
	}
}

func TestViaRedirects(t *testing.T) {
	t.Parallel()
	data := []byte("document")
	for name, test := range map[string]struct {
		start string
		from  func(first, proxy *upstream) string
		want  string
	}{
		"from elsewhere to what a rule is for": {want: "/repository/x", from: func(first, _ *upstream) string { return first.URL + "/first" }},
		"from the proxy to what it is for":     {want: "/repository/x", from: func(_, _ *upstream) string { return "https://blocked.invalid/first" }},
	} {
		first, proxy := secureUpstream(t, data), secureUpstream(t, data)
		for _, u := range []*upstream{first, proxy} {
			u.then(redirect("https://blocked.invalid/x"))
		}
		if strings.HasPrefix(test.from(first, proxy), first.URL) {
			proxy.answers = nil
		}
		f := fixed(t, proxy.trusted, via(t, "https://blocked.invalid/", proxy.URL+"/repository/"), netrc(t, proxy.URL))
		_, err := f.client.Document(t.Context(), test.from(first, proxy), 100, http.Header{"X-Key": {"topsecret"}})
		check(t, err)
		seen := proxy.seen()
		last := seen[len(seen)-1]
		if last.URL.Path != test.want {
			t.Errorf("%s: %s", name, last.URL)
		}
		if sent := last.Header.Get("Authorization") + last.Header.Get("X-Key"); (sent == "") != (len(first.seen()) > 0) {
			t.Errorf("%s: %q was sent", name, sent)
		}
	}
	// A right side that redirects to the left side makes a circle.
	proxy := newUpstream(t, nil, redirect("https://blocked.invalid/x"))
	_, err := fixed(t, once, via(t, "https://blocked.invalid", proxy.URL)).client.Document(t.Context(), "https://blocked.invalid/x", 100, nil)
	wantFault(t, err, fault.Upstream, "in a circle")
	if hint := fault.HintOf(err); !strings.Contains(hint, "rule --via https://blocked.invalid="+proxy.URL) {
		t.Errorf("in a circle: %s", hint)
	}
	// The host that refuses may be one to which the right side redirects.
	storage := newUpstream(t, nil, status(403), status(403))
	leads := newUpstream(t, nil, redirect(storage.URL+"/y"), redirect(storage.URL+"/y"))
	_, err = fixed(t, once, via(t, "https://blocked.invalid", leads.URL)).client.Document(t.Context(), "https://blocked.invalid/x", 100, nil)
	wantFault(t, err, fault.Upstream, strings.TrimPrefix(storage.URL, "http://")+" answers 403")
	if hint := fault.HintOf(err); strings.Contains(hint, "password") || !strings.Contains(hint, "open "+leads.URL+"/x") {
		t.Errorf("where it leads refuses: %s", hint)
	}
	// A URL below a right side matches no rule again.
	twice := newUpstream(t, data)
	twice.then(redirect("/repository/y"))
	_, err = fixed(t, via(t, twice.URL, twice.URL+"/repository")).client.Document(t.Context(), twice.URL+"/x", 100, nil)
	check(t, err)
	if seen := twice.seen(); len(seen) != 2 || seen[1].URL.Path != "/repository/y" {
		t.Errorf("%d requests, the last of %s", len(seen), seen[len(seen)-1].URL)
	}
}

// TestViaReuse goes over to a proxy and back with one store.
func TestViaReuse(t *testing.T) {
	t.Parallel()
	data := random(1000)
	direct, proxy := newUpstream(t, data), newUpstream(t, data)
	rule := via(t, direct.URL, proxy.URL+"/r")
	dir := t.TempDir()
	run := func(change ...func(*fetch.Config)) fetch.Result {
		f := over(t, dir, change...)
		r := f.want(t, fetch.Request{URL: direct.URL + "/x"}, data)
		check(t, f.store.Close())
		return r
	}
	run()
	if r := run(rule); !r.Reused || len(proxy.seen()) != 1 {
		t.Errorf("the time of the last change is the same: %+v", r)
	}
	// The same entity tag at another server means nothing.
	proxy.data = append([]byte(nil), data...)
	proxy.modified = modified.AddDate(0, 0, 1)
	if r := run(rule); r.Reused || r.Transferred != 1000 {
		t.Errorf("the time of the last change differs: %+v", r)
	}
	for _, r := range proxy.seen() {
		if r.Header.Get("If-None-Match")+r.Header.Get("If-Modified-Since") != "" {
			t.Errorf("the proxy was asked about what another server said: %v", r.Header)
		}
	}
	if r := run(rule); !r.Reused {
		t.Errorf("what the proxy gave is downloaded again: %+v", r)
	}
	if r := run(); r.Reused {
		t.Errorf("what the proxy said counts for another server: %+v", r)
	}
	sum := fetch.Request{URL: direct.URL + "/x", Checksums: sha256Of(data)}
	direct.seen()
	proxy.seen()
	over(t, dir, rule).wantReused(t, sum, data)
	if n := len(direct.seen()) + len(proxy.seen()); n > 0 {
		t.Errorf("%d requests", n)
	}
}

// TestViaGoesOn resumes at a proxy what was begun without it.
func TestViaGoesOn(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	for name, req := range map[string]fetch.Request{"vouched for": {Checksums: sha256Of(data)}, "not vouched for": {}} {
		direct, proxy := newUpstream(t, data), newUpstream(t, data)
		proxy.etag = `"other"`
		req.URL = direct.URL + "/x"
		f := over(t, interrupted(t, direct, 700_000, req), via(t, direct.URL, proxy.URL))
		r := f.want(t, req, data)
		vouched := len(req.Checksums) > 0
		if (r.Resumed == 700_000) != vouched || len(direct.seen()) != 0 {
			t.Errorf("%s: %+v\n%s", name, r, f)
		}
		for _, r := range proxy.seen() {
			if r.Header.Get("If-Range") != "" || (r.Header.Get("Range") != "") != vouched {
				t.Errorf("%s: %v", name, r.Header)
			}
		}
	}
}

// TestViaStartsOver is at a proxy that cannot go on.
func TestViaStartsOver(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	direct, proxy := newUpstream(t, data), newUpstream(t, data)
	proxy.then(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		proxy.right(w, r)
	})
	req := fetch.Request{URL: direct.URL + "/x", Checksums: sha256Of(data)}
	f := over(t, interrupted(t, direct, 700_000, req), via(t, direct.URL, proxy.URL))
	f.want(t, req, data)
	if !strings.Contains(f.String(), "restarted: the server cannot send a part of the file") {
		t.Errorf("%s", f)
	}
}

func TestViaFailures(t *testing.T) {
	t.Parallel()
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!DOCTYPE html><html><body>Artifactory</body></html>")
	}
	for name, test := range map[string]struct {
		answer  http.HandlerFunc
		vouched bool
		kind    fault.Kind
		err     string
		hint    string
	}{
		"absent":               {answer: status(404), kind: fault.Upstream, err: "404", hint: "open PROXY/r/x to see what is there; check the rule --via https://left.invalid=PROXY/r: its right side must serve the files of its left side"},
		"unknown user":         {answer: status(401), kind: fault.Upstream, err: "401", hint: "machine HOST login USER password PASSWORD"},
		"web page":             {answer: page, kind: fault.Upstream, err: "web page", hint: "open PROXY/r/x"},
		"web page for a known": {answer: page, vouched: true, kind: fault.Integrity, err: "a web page", hint: "check the rule --via"},
		"trouble":              {answer: status(502), kind: fault.Upstream, err: "502", hint: "run the command again later"},
	} {
		proxy := newUpstream(t, nil)
		proxy.answers = []http.HandlerFunc{test.answer, test.answer, test.answer, test.answer}
		f := fixed(t, once, via(t, "https://left.invalid", proxy.URL+"/r/"))
		req := fetch.Request{URL: "https://left.invalid/x"}
		if test.vouched {
			req.Checksums = sha256Of([]byte("right"))
		}
		_, err := f.blob(t, req)
		wantFault(t, err, test.kind, "https://left.invalid/x from "+proxy.URL+"/r/x", test.err)
		want := strings.NewReplacer("PROXY", proxy.URL, "HOST", strings.TrimPrefix(proxy.URL, "http://")).Replace(test.hint)
		if hint := fault.HintOf(err); !strings.Contains(hint, want) {
			t.Errorf("%s: %s", name, hint)
		}
	}
	_, err := fixed(t, once, via(t, "https://left.invalid", "https://right.invalid")).client.Document(t.Context(), "http://127.0.0.1:1/x", 100, nil)
	wantFault(t, err, fault.Upstream)
	if hint := fault.HintOf(err); !strings.Contains(hint, "no --via rule matches this URL") {
		t.Errorf("without a rule for it: %s", hint)
	}
}

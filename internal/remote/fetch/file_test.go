package fetch_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

func fileURL(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return "file://" + path
}

func TestFiles(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	path := filepath.Join(t.TempDir(), "a file")
	check(t, os.WriteFile(path, data, 0o644))
	url := fileURL(filepath.Dir(path)) + "/a%20file"
	f := fixed(t)
	if r := f.want(t, fetch.Request{URL: url}, data); r.Transferred != int64(len(data)) || f.received != len(data) {
		t.Errorf("%+v", r)
	}
	f.wantReused(t, fetch.Request{URL: url}, data)
	f.wantReused(t, fetch.Request{URL: url, Checksums: sha256Of(data)}, data)
	f.want(t, fetch.Request{URL: path}, data) // by go-getter's detector
	f.wantReused(t, fetch.Request{URL: path}, data)
	later := time.Now().Add(time.Second)
	data[0] ^= 1
	check(t, os.WriteFile(path, data, 0o644))
	check(t, os.Chtimes(path, later, later))
	if r := f.want(t, fetch.Request{URL: url}, data); r.Reused {
		t.Errorf("%+v", r)
	}
	fixed(t).wantFault(t, fetch.Request{URL: url, Checksums: sha256Of(nil)}, fault.Integrity, lock.Sum(data).String())
	fixed(t, func(cfg *fetch.Config) { cfg.MaxBytes = 1000 }).wantFault(t, fetch.Request{URL: url}, fault.Upstream, "more than the limit of 1000")
	if size, err := f.client.Size(t.Context(), url); err != nil || size != int64(len(data)) {
		t.Errorf("size %d, %v", size, err)
	}
}

// TestFileThatChanges has a file that changes while it is copied be copied once more,
// and refused if it still changes.
func TestFileThatChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x")
	check(t, os.WriteFile(path, random(1<<20), 0o644))
	f, changes := fixed(t), 0
	o := f.observer()
	o.Received = func(int) {
		changes++
		later := time.Now().Add(time.Duration(changes) * time.Second)
		check(t, os.Chtimes(path, later, later))
	}
	url := fileURL(path)
	_, err := f.client.Blob(t.Context(), fetch.Request{URL: url}, o)
	wantFault(t, err, fault.Integrity, url, "the file changed while it was read")
	if f.count("started") != 2 || f.count("restarted") != 1 || f.count("retrying") != 0 {
		t.Errorf("events:\n%s", f)
	}
	if n := f.store.Partial(url); n != 0 {
		t.Errorf("%d bytes are left of it", n)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := map[string]struct {
		url  string
		kind fault.Kind
		want string
	}{
		"absent":    {fileURL(dir + "/absent"), fault.Upstream, "cannot be read"},
		"directory": {fileURL(dir), fault.Integrity, "a directory"},
		"on a host": {"file://host/x", fault.Usage, `"host"`},
	}
	if runtime.GOOS != "windows" {
		tests["device"] = struct {
			url  string
			kind fault.Kind
			want string
		}{"file:///dev/null", fault.Integrity, "a device"}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := fixed(t)
			err := f.wantFault(t, fetch.Request{URL: test.url}, test.kind, test.url, test.want)
			if fault.HintOf(err) == "" || f.count("retrying") != 0 || fetch.IsNotFound(err) != (name == "absent") {
				t.Errorf("%v\n%s", err, f)
			}
			_, err = f.client.Size(t.Context(), test.url)
			wantFault(t, err, test.kind, test.want)
			_, err = f.client.Document(t.Context(), test.url, 10, nil)
			wantFault(t, err, test.kind, test.want)
			f.wantNothing(t)
		})
	}
}

func TestWhatIsNoSingleFile(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"git::https://user:topsecret@example.com/x": "repository (git)",
		"hg::https://example.com/x":                 "repository (hg)",
		"github.com/kubeshop/botkube":               "repository (git)",
		"github.com/kubeshop/botkube/sub/dir":       "repository (git)",
		"git@github.com:kubeshop/botkube.git":       "repository (git)",
		"https://example.com/x/":                    "a directory",
		"https://example.com":                       "a directory",
		"s3::https://s3.amazonaws.com/bucket/x/":    "a directory",
		"ftp://user:topsecret@example.com/x":        `"ftp"`,
		"oci://example.com/x":                       `"oci"`,
		"relative/path":                             "neither a URL",
		"":                                          "neither a URL",
		"http:///x":                                 "no host",
		"https://example.com/x.zip//sub":            "sub-directory",
		"https://example.com/x?checksum=md5:00":     "checksum",
		"http://exa mple.com/%zz":                   "URL",
	} {
		f := fixed(t)
		_, err := f.blob(t, fetch.Request{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v", url, err)
		}
		if kind := fault.KindOf(err); kind != fault.Usage && want != "sub-directory" && want != "checksum" {
			t.Errorf("%s: kind %d", url, kind)
		}
		_, err = f.client.Size(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("size of %s: %v", url, err)
		}
		f.wantNothing(t)
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	data := random(1000)
	u := newUpstream(t, data, status(503))
	f := fixed(t)
	got, err := f.client.Document(t.Context(), u.URL+"/x", 1000, nil)
	check(t, err)
	if !bytes.Equal(got, data) {
		t.Errorf("%d bytes", len(got))
	}
	_, err = f.client.Document(t.Context(), u.URL+"/x", 999, nil)
	wantFault(t, err, fault.Integrity, u.URL+"/x", "larger than 999 B")
	u.then(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(data[:500])
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write(data[500:])
	})
	_, err = f.client.Document(t.Context(), u.URL+"/x", 999, nil)
	wantFault(t, err, fault.Integrity, "larger than 999 B")
	u.then(u.cut(999))
	got, err = f.client.Document(t.Context(), u.URL+"/x", 1000, nil)
	check(t, err)
	if !bytes.Equal(got, data) {
		t.Error("a part was taken for the whole")
	}
	u.then(status(404))
	_, err = f.client.Document(t.Context(), u.URL+"/x", 1000, nil)
	wantFault(t, err, fault.Upstream, "reading "+u.URL+"/x", "404")
	u.then(raw("HTTP/1.0 200 OK\r\n\r\nplugins:\n"))
	_, err = f.client.Document(t.Context(), u.URL+"/x", 1000, nil)
	wantFault(t, err, fault.Upstream, "no length")
	for _, url := range []string{"s3::https://x/y", "x", "https:///x", "://"} {
		_, err = f.client.Document(t.Context(), url, 1000, nil)
		wantFault(t, err, fault.Usage, "URL")
	}
	path := filepath.Join(t.TempDir(), "x")
	check(t, os.WriteFile(path, data, 0o644))
	got, err = f.client.Document(t.Context(), fileURL(path), 1000, nil)
	check(t, err)
	if !bytes.Equal(got, data) {
		t.Error("got something else")
	}
	_, err = f.client.Document(t.Context(), fileURL(path), 999, nil)
	if err == nil {
		t.Error("too long a file was read")
	}
}

func TestDestination(t *testing.T) {
	t.Parallel()
	other := newUpstream(t, nil)
	u := newUpstream(t, nil, redirect(other.URL+"/z?signature=s"), status(405), redirect(other.URL+"/z?signature=s"), status(404), status(404))
	f := fixed(t)
	if got, err := f.client.Destination(t.Context(), u.URL+"/x"); err != nil || got != other.URL+"/z" {
		t.Errorf("%q, %v", got, err)
	}
	other.then(status(206, "Content-Range", "bytes 0-0/100"))
	if got, err := f.client.Destination(t.Context(), u.URL+"/x"); err != nil || got != other.URL+"/z" {
		t.Errorf("%q, %v", got, err)
	}
	_, err := f.client.Destination(t.Context(), u.URL+"/x")
	wantFault(t, err, fault.Upstream, u.URL+"/x", "404")
}

func TestDocumentHeaders(t *testing.T) {
	t.Parallel()
	other, u := secureUpstream(t, []byte("document")), secureUpstream(t, []byte("document"))
	u.then(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/y", http.StatusFound) }, redirect(other.URL+"/z?signature=s"))
	header := http.Header{"private-token": {"topsecret"}, "Authorization": {"Bearer topsecret"}}
	_, err := fixed(t, u.trusted).client.Document(t.Context(), u.URL+"/x", 100, header)
	check(t, err)
	for _, r := range u.seen() {
		if r.Header.Get("Private-Token") != "topsecret" || r.Header.Get("Authorization") != "Bearer topsecret" {
			t.Errorf("%s: %v", r.URL, r.Header)
		}
	}
	for _, r := range other.seen() {
		for name, values := range r.Header {
			if strings.Contains(fmt.Sprint(values), "secret") || name == "Referer" {
				t.Errorf("the other host was sent %s", name)
			}
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	data := random(1000)
	head := func(code int) http.HandlerFunc { return status(code) }
	tests := map[string]struct {
		answers []http.HandlerFunc
		want    int64
	}{
		"HEAD":      {nil, 1000},
		"refused":   {[]http.HandlerFunc{head(405)}, 1000},
		"forbidden": {[]http.HandlerFunc{head(403)}, 1000},
		"no ranges": {[]http.HandlerFunc{head(501), func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(data)
		}}, 1000},
		"does not say":     {[]http.HandlerFunc{raw("HTTP/1.1 200 OK\r\n\r\n")}, -1},
		"compressed":       {[]http.HandlerFunc{raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n")}, -1},
		"not the total":    {[]http.HandlerFunc{head(405), status(206, "Content-Range", "bytes 0-0/*")}, -1},
		"empty":            {[]http.HandlerFunc{head(405), status(416, "Content-Range", "bytes */0")}, 0},
		"not there":        {[]http.HandlerFunc{head(404)}, 1000},
		"of length 0":      {[]http.HandlerFunc{raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")}, 1000},
		"breaks off":       {[]http.HandlerFunc{raw("")}, 1000},
		"no answer":        {[]http.HandlerFunc{func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}, 1000},
		"a moment's error": {[]http.HandlerFunc{head(503), status(503)}, 1000},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, data, test.answers...)
			f := fixed(t, func(cfg *fetch.Config) { cfg.IdleTimeout = time.Second })
			got, err := f.client.Size(t.Context(), u.URL+"/x")
			if err != nil || got != test.want {
				t.Errorf("%d, %v", got, err)
			}
		})
	}
	u := newUpstream(t, data, status(404), status(404))
	_, err := fixed(t).client.Size(t.Context(), u.URL+"/x")
	wantFault(t, err, fault.Upstream, u.URL+"/x", "404")
	if !fetch.IsNotFound(err) || len(u.seen()) != 2 {
		t.Error(err)
	}
}

func TestNetrc(t *testing.T) {
	t.Parallel()
	data := random(10)
	u := secureUpstream(t, data)
	path := filepath.Join(t.TempDir(), "netrc")
	withNetrc := func(cfg *fetch.Config) {
		u.trusted(cfg)
		cfg.Netrc = path
	}
	sent := func(url string) string {
		t.Helper()
		fixed(t, withNetrc).want(t, fetch.Request{URL: url}, data)
		user, password, _ := u.seen()[0].BasicAuth()
		return user + ":" + password
	}
	host := strings.TrimPrefix(u.URL, "https://")
	if got := sent(u.URL + "/x"); got != ":" {
		t.Errorf("without a file: %q", got)
	}
	check(t, os.WriteFile(path, []byte("machine "+host+" login joe password pw\n"), 0o600))
	if got := sent(u.URL + "/x"); got != "joe:pw" {
		t.Errorf("got %q", got)
	}
	if got := sent(strings.Replace(u.URL, "//", "//own:own@", 1) + "/x"); got != "own:own" {
		t.Errorf("got %q", got)
	}
	check(t, os.WriteFile(path, []byte("machine 127.0.0.1 login joe password pw\n"), 0o600))
	if got := sent(u.URL + "/x"); got != "joe:pw" {
		t.Errorf("got %q", got)
	}
	check(t, os.WriteFile(path, []byte("default login joe password pw\n"), 0o600))
	if got := sent(u.URL + "/x"); got != ":" {
		t.Errorf("got %q", got)
	}
	check(t, os.WriteFile(path, []byte("machine x login joe password pw topsecret\n"), 0o600))
	err := fixed(t, withNetrc).wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Usage, path)
	if strings.Contains(err.Error(), "topsecret") {
		t.Error(err)
	}
	getenv := func(name string) string { return map[string]string{"NETRC": "/n"}[name] }
	if got := fetch.NetrcPath(getenv, "/home"); got != "/n" {
		t.Errorf("got %q", got)
	}
	if got := fetch.NetrcPath(func(string) string { return "" }, "/home"); !strings.HasSuffix(got, "netrc") {
		t.Errorf("got %q", got)
	}
	if got := fetch.NetrcPath(func(string) string { return "" }, ""); got != "" {
		t.Errorf("got %q", got)
	}
}

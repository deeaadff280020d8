package fetch_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

// coded answers everything, without a range, with one body and the codings that it names.
func coded(body []byte, codings ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, c := range codings {
			w.Header().Add("Content-Encoding", c)
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Header().Set("ETag", `"v1"`)
		if r.Method != http.MethodHead {
			_, _ = w.Write(body)
		}
	}
}

// goClient returns what Go's own client makes of a URL, as the agent has it.
func goClient(t *testing.T, url string) ([]byte, error) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get(url) //nolint:noctx
	check(t, err)
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// What a body is does not depend on whether the digest is known, and is what the
// agent's client makes of it.
func TestContentCodings(t *testing.T) {
	t.Parallel()
	data := random(300 << 10)
	packed := gzipped(data)
	for name, test := range map[string]struct {
		path    string
		body    []byte
		codings []string
	}{
		"gzip":                   {"/kubectl", packed, []string{"gzip"}},
		"gzip, in capitals":      {"/kubectl", packed, []string{"GZIP"}},
		"gzip twice":             {"/x.tar.gz", gzipped(packed), []string{"gzip"}},
		"gzip of another kind":   {"/x.tar.xz", packed, []string{"gzip"}},
		"gzip of nothing":        {"/empty", gzipped(nil), []string{"gzip"}},
		"two streams of gzip":    {"/kubectl", append(gzipped(data[:1000]), gzipped(data[1000:])...), []string{"gzip"}},
		"identity":               {"/kubectl", data, []string{"identity"}},
		"aws-chunked":            {"/kubectl", data, []string{"aws-chunked"}},
		"binary":                 {"/kubectl", data, []string{"binary"}},
		"utf-8":                  {"/kubectl", data, []string{"utf-8"}},
		"a name that is none":    {"/kubectl", data, []string{"none, binary"}},
		"two fields":             {"/kubectl", data, []string{"aws-chunked", "utf-8"}},
		"gzip and an empty one":  {"/kubectl", packed, []string{"gzip", ""}},
		"an empty one and gzip":  {"/x.tgz", packed, []string{"", "gzip"}},
		"an empty one":           {"/kubectl", data, []string{""}},
		"x-gzip of an archive":   {"/x.tgz", packed, []string{"x-gzip"}},
		"gzip and another":       {"/x.tgz", packed, []string{"gzip, aws-chunked"}},
		"zstd of an archive":     {"/x.tar.zst", data, []string{"zstd"}},
		"an xz that is named so": {"/x.tar.xz", data, []string{"x-xz"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t, nil, coded(test.body, test.codings...))
			want, err := goClient(t, u.URL+test.path)
			check(t, err)
			all := []http.HandlerFunc{}
			for range 8 {
				all = append(all, coded(test.body, test.codings...))
			}
			u.then(all...)
			fixed(t).want(t, fetch.Request{URL: u.URL + test.path, Checksums: sha256Of(want)}, want)
			if len(want) > 0 {
				fixed(t).want(t, fetch.Request{URL: u.URL + test.path}, want)
			}
			if got, err := fixed(t).client.Document(t.Context(), u.URL+test.path, 1<<20, nil); err != nil || !bytes.Equal(got, want) {
				t.Errorf("as a document: %d bytes, %v", len(got), err)
			}
			if size, err := fixed(t).client.Size(t.Context(), u.URL+test.path); err != nil || size != -1 && size != int64(len(want)) {
				t.Errorf("size %d of %d, %v", size, len(want), err)
			}
		})
	}
}

// The agent's client makes of an archive that is wrongly said to be coded what it
// cannot unpack. The file is whole, and what it is called.
func TestArchiveThatIsSaidToBeCoded(t *testing.T) {
	t.Parallel()
	archive := gzipped(random(1000))
	for _, path := range []string{"/x.tar.gz", "/x.tgz"} {
		u := newUpstream(t, nil, coded(archive, "gzip"), coded(archive, "gzip"))
		fixed(t).want(t, fetch.Request{URL: u.URL + path}, archive)
		fixed(t).want(t, fetch.Request{URL: u.URL + path, Checksums: sha256Of(archive)}, archive)
	}
	// So it is where a redirect leads to another name.
	target := newUpstream(t, nil, coded(archive, "gzip"))
	u := newUpstream(t, nil, redirect(target.URL+"/blob"))
	fixed(t).want(t, fetch.Request{URL: u.URL + "/x.tar.gz"}, archive)
}

func TestCodingsThatAreRefused(t *testing.T) {
	t.Parallel()
	data := random(1000)
	for coding, test := range map[string]struct {
		body []byte
		says string
	}{
		"gzip":   {data, "sends Content-Encoding: gzip, but the file is not compressed"},
		"br":     {data, "Content-Encoding: br)"},
		"zstd":   {data, "Content-Encoding: zstd)"},
		"x-gzip": {gzipped(data), "Content-Encoding: x-gzip)"},
	} {
		u := newUpstream(t, nil, coded(test.body, coding), coded(test.body, coding))
		f := fixed(t)
		if err := f.wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Upstream, test.says); fault.HintOf(err) == "" {
			t.Error("no hint")
		}
		f.wantNothing(t)
		// A digest decides.
		f.want(t, fetch.Request{URL: u.URL + "/x", Checksums: sha256Of(test.body)}, test.body)
	}
}

// The checksum of a file without a name that tells may be that of the bytes as they
// are sent, as when ?archive=tar.gz says what they are.
func TestChecksumOfWhatIsSent(t *testing.T) {
	t.Parallel()
	archive := gzipped(random(1000))
	u := newUpstream(t, nil, coded(archive, "gzip"), coded(archive, "gzip"))
	fixed(t).want(t, fetch.Request{URL: u.URL + "/download", Checksums: sha256Of(archive)}, archive)
}

// A mismatch says what the server named.
func TestMismatchNamesTheCoding(t *testing.T) {
	t.Parallel()
	data := random(1000)
	for coding, body := range map[string][]byte{"gzip": gzipped(data), "br": data, "aws-chunked": data} {
		u := newUpstream(t, nil, coded(body, coding), coded(body, coding))
		f := fixed(t)
		f.wantFault(t, fetch.Request{URL: u.URL + "/x", Checksums: sha256Of(nil)}, fault.Integrity, "does not match", "the answer has Content-Encoding: "+coding)
		f.wantNothing(t)
	}
	u := newUpstream(t, data)
	err := fixed(t).wantFault(t, fetch.Request{URL: u.URL + "/x", Checksums: sha256Of(nil)}, fault.Integrity, "does not match")
	if strings.Contains(err.Error(), "Content-Encoding") {
		t.Error(err)
	}
}

// What was undone is no part of what the server would go on with.
func TestCodingAndResuming(t *testing.T) {
	t.Parallel()
	data := random(3 << 20)
	packed := gzipped(data)
	cutOff := func(w http.ResponseWriter, r *http.Request) {
		coded(packed, "gzip")(&limited{ResponseWriter: w, left: 2 << 20, end: func() { panic(http.ErrAbortHandler) }}, r)
	}
	for name, checksums := range map[string]fetch.Request{"vouched": {Checksums: sha256Of(data)}, "not": {}} {
		u := newUpstream(t, data, cutOff)
		f := fixed(t)
		checksums.URL = u.URL + "/x"
		f.want(t, checksums, data)
		if seen := u.seen(); len(seen) < 2 || seen[len(seen)-1].Header.Get("Range") != "" {
			t.Errorf("%s: %d requests, %v", name, len(seen), seen[len(seen)-1].Header)
		}
		// In another run, too.
		u.then(cutOff)
		f = fixed(t, once)
		f.wantFault(t, checksums, fault.Upstream, "before the end of the file")
		u.seen()
		again := over(t, f.store.Dir())
		again.want(t, checksums, data)
		for _, r := range u.seen() {
			if r.Header.Get("Range") != "" {
				t.Errorf("%s: asked for the rest: %v", name, r.Header)
			}
		}
	}
	// A server that compresses a part only.
	u := newUpstream(t, data)
	u.then(u.cut(1<<20), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		u.right(w, r)
	})
	f := fixed(t)
	f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
	if !strings.Contains(f.String(), "compresses a part") {
		t.Error(f)
	}
}

// What is small on the way may be large.
func TestCodingIsBounded(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, nil, coded(gzipped(make([]byte, 32<<20)), "gzip"), coded(gzipped(make([]byte, 32<<20)), "gzip"))
	f := fixed(t, func(cfg *fetch.Config) { cfg.MaxBytes = 1 << 20 })
	f.wantFault(t, fetch.Request{URL: u.URL + "/x", Checksums: sha256Of(nil)}, fault.Upstream, "more bytes than the limit of 1048576")
	f.wantNothing(t)
	if _, err := f.client.Document(t.Context(), u.URL+"/x", 1<<20, nil); err == nil || !strings.Contains(err.Error(), "1.0 MiB") {
		t.Error(err)
	}
}

func TestCodingOf(t *testing.T) {
	t.Parallel()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://h/x.tar.gz", nil)
	resp := &http.Response{Header: http.Header{"Content-Encoding": {"gz\x1bip" + strings.Repeat("x", 100)}}, Request: req}
	if c := transfer.CodingOf(resp); strings.Contains(c.Named, "\x1b") || len(c.Named) > 70 || !c.SizeCounts() {
		t.Errorf("%+v", c)
	}
}

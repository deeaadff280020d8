package fetch_test

import (
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

func (f *fixture) wantReused(t *testing.T, req fetch.Request, data []byte) {
	t.Helper()
	if r := f.want(t, req, data); !r.Reused || r.Transferred != 0 {
		t.Errorf("%+v\n%s", r, f)
	}
}

func TestReuseByDigestAsksNobody(t *testing.T) {
	t.Parallel()
	data := random(1000)
	sum := lock.Sum(data)
	u := newUpstream(t, data)
	f := fixed(t)
	_, err := f.store.Put(data)
	check(t, err)
	for _, req := range []fetch.Request{
		{URL: u.URL + "/x", SHA256: &sum},
		{URL: u.URL + "/x", SHA256: &sum, Size: 1000, Verify: true},
		{URL: u.URL + "/x", Checksums: sha256Of(data), Size: -1},
		{URL: u.URL + "/x", Checksums: []agent.Checksum{sha512Of(data)}, SHA256: &sum},
	} {
		f.wantReused(t, req, data)
	}
	if n := len(u.seen()); n != 0 {
		t.Errorf("%d requests", n)
	}
	wrong := sha512Of(nil)
	f.wantFault(t, fetch.Request{URL: u.URL + "/x", Checksums: []agent.Checksum{wrong}, SHA256: &sum, Source: "the index"},
		fault.Integrity, "the index", wrong.String(), sha512Of(data).String())
	f.wantFault(t, fetch.Request{URL: u.URL + "/x", SHA256: &sum, Size: 999, Source: "the lock"}, fault.Integrity, "the lock", "999")
}

func sha512Of(data []byte) agent.Checksum {
	sum := sha512.Sum512(data)
	return agent.Checksum{Algorithm: "sha512", Hex: hex.EncodeToString(sum[:])}
}

func TestReuseByAnotherDigest(t *testing.T) {
	t.Parallel()
	data := random(1000)
	u := newUpstream(t, data)
	f := fixed(t)
	req := fetch.Request{URL: u.URL + "/x", Checksums: []agent.Checksum{sha512Of(data)}}
	f.want(t, req, data)
	u.seen()
	f.wantReused(t, req, data)
	// One that was not computed then is computed from the blob.
	f.want(t, fetch.Request{URL: u.URL + "/y"}, data)
	u.seen()
	f.wantReused(t, fetch.Request{URL: u.URL + "/y", Checksums: []agent.Checksum{sha512Of(data)}}, data)
	if n := len(u.seen()); n != 0 {
		t.Errorf("%d requests", n)
	}
	// What the URL has now may be something else.
	fresh := random(1001)
	u.data = fresh
	f.want(t, fetch.Request{URL: u.URL + "/x", Checksums: []agent.Checksum{sha512Of(fresh)}}, fresh)
}

// TestARecordOutranksNoChecksum has what is remembered of a URL name another blob.
func TestARecordOutranksNoChecksum(t *testing.T) {
	t.Parallel()
	data := random(1000)
	altered := append([]byte("altered"), data[7:]...)
	u := newUpstream(t, data)
	f := fixed(t)
	req := fetch.Request{URL: u.URL + "/x", Checksums: []agent.Checksum{sha512Of(data)}}
	f.want(t, req, data)
	d, err := f.store.Put(altered)
	check(t, err)
	check(t, f.store.SetURLRecord(req.URL, store.URLRecord{URL: req.URL, SHA256: d, Size: 1000}))
	if r := f.want(t, req, data); r.Reused {
		t.Error("what the record names was reused")
	}
}

func TestDamagedBlobsAreFetchedAnew(t *testing.T) {
	t.Parallel()
	data := random(1000)
	sum := lock.Sum(data)
	for name, req := range map[string]fetch.Request{
		"verified": {SHA256: &sum, Verify: true},
		"by size":  {SHA256: &sum, Size: 1000},
		"by url":   {Verify: true},
		"by other": {Checksums: []agent.Checksum{sha512Of(data)}},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, data)
			dir := t.TempDir()
			req.URL = u.URL + "/x"
			over(t, dir).want(t, req, data)
			damage := append([]byte("x"), data[1:]...)
			if name == "by size" {
				damage = damage[:999]
			}
			if name == "by other" {
				// Its digests are on record, and it is not read: that is for
				// whoever uses it.
				req.Verify = true
			}
			check(t, os.WriteFile(filepath.Join(dir, "blobs", "sha256", sum.String()), damage, 0o644))
			if r := over(t, dir).want(t, req, data); r.Reused {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestRevalidation(t *testing.T) {
	t.Parallel()
	data := random(1000)
	head := func(r *http.Request) bool { return r.Method == http.MethodHead }
	tests := map[string]struct {
		before, between func(*upstream)
		reused          bool
		requests        string
	}{
		"unchanged":                     {nil, nil, true, "HEAD"},
		"no validators":                 {func(u *upstream) { u.etag, u.modified = "", time.Time{} }, nil, true, "HEAD"},
		"only Last-Modified":            {func(u *upstream) { u.etag = "" }, nil, true, "HEAD"},
		"HEAD refused":                  {nil, func(u *upstream) { u.then(status(403), status(403)) }, true, "HEAD HEAD GET"},
		"HEAD refused, by time":         {func(u *upstream) { u.etag = "" }, func(u *upstream) { u.then(status(405)) }, true, "HEAD GET"},
		"HEAD refused, and changed":     {nil, func(u *upstream) { u.then(status(501)); u.etag = `"v2"`; u.modified = time.Now() }, false, "HEAD GET"},
		"HEAD refused, no validators":   {func(u *upstream) { u.etag, u.modified = "", time.Time{} }, func(u *upstream) { u.then(status(403), status(403)) }, false, "HEAD HEAD GET"},
		"another entity tag":            {nil, func(u *upstream) { u.etag = `"v2"` }, false, "HEAD GET"},
		"another time":                  {func(u *upstream) { u.etag = "" }, func(u *upstream) { u.modified = modified.Add(time.Hour) }, false, "HEAD GET"},
		"no validators any more":        {nil, func(u *upstream) { u.etag, u.modified = "", time.Time{} }, false, "HEAD GET"},
		"no validators, another length": {func(u *upstream) { u.etag, u.modified = "", time.Time{} }, func(u *upstream) { u.data = random(1001) }, false, "HEAD GET"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, data)
			if test.before != nil {
				test.before(u)
			}
			f := fixed(t)
			f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
			u.seen()
			if test.between != nil {
				test.between(u)
			}
			r := f.want(t, fetch.Request{URL: u.URL + "/x"}, u.data)
			var methods []string
			for _, seen := range u.seen() {
				methods = append(methods, seen.Method)
				if head(seen) && seen.Header.Get("Range") != "" {
					t.Error("HEAD with a range")
				}
			}
			if got := strings.Join(methods, " "); r.Reused != test.reused || got != test.requests {
				t.Errorf("%+v after %s", r, got)
			}
		})
	}
}

func TestRevalidationOfWhatIsGone(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, random(10))
	f := fixed(t)
	f.want(t, fetch.Request{URL: u.URL + "/x"}, u.data)
	u.then(status(404), status(404))
	f.wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Upstream, "404")
}

func TestOneDownloadForManyWhoAsk(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	for name, req := range map[string]fetch.Request{"by digest": {Checksums: sha256Of(data)}, "by URL": {}} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, data)
			f := fixed(t, func(cfg *fetch.Config) { cfg.IdleTimeout = time.Minute })
			begun := make(chan struct{})
			u.then(func(w http.ResponseWriter, r *http.Request) {
				close(begun)
				for f.count("waiting") < 5 && r.Context().Err() == nil {
					time.Sleep(time.Millisecond)
				}
				u.right(w, r)
			})
			req.URL = u.URL + "/x"
			var wg sync.WaitGroup
			for i := range 6 {
				wg.Go(func() {
					if i > 0 {
						<-begun
					}
					if r, err := f.blob(t, req); err != nil || r.SHA256 != lock.Sum(data) || r.Reused != (i > 0) {
						t.Errorf("%+v, %v", r, err)
					}
				})
			}
			wg.Wait()
			if n := len(u.seen()); n != 1 || f.count("waiting") != 5 {
				t.Errorf("%d requests\n%s", n, f)
			}
		})
	}
}

func TestCredentialsAreNotWrittenDown(t *testing.T) {
	t.Parallel()
	u := secureUpstream(t, random(1<<20))
	f := fixed(t, u.trusted, func(cfg *fetch.Config) { cfg.Retry.Limit = -1 })
	url := strings.Replace(u.URL, "//", "//user:topsecret@", 1) + "/x"
	look := func() {
		t.Helper()
		check(t, filepath.WalkDir(f.store.Dir(), func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			if data, _ := os.ReadFile(path); strings.Contains(string(data), "topsecret") {
				t.Errorf("%s holds the password", path)
			}
			return nil
		}))
	}
	u.then(u.cut(1000))
	f.wantFault(t, fetch.Request{URL: url}, fault.Upstream)
	look()
	f.want(t, fetch.Request{URL: url}, u.data)
	look()
	if _, ok := f.store.URLRecord(u.URL + "/x"); !ok {
		t.Error("no record without credentials")
	}
}

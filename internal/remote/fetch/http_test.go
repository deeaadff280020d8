package fetch_test

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/test/busytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

func TestDownload(t *testing.T) {
	t.Parallel()
	data := random(3 << 20)
	u := newUpstream(t, data)
	f := fixed(t)
	r := f.want(t, fetch.Request{URL: u.URL + "/x.tar.gz"}, data)
	if r.Transferred != int64(len(data)) || r.Reused || r.Resumed != 0 || f.received != len(data) {
		t.Errorf("%+v, %d received", r, f.received)
	}
	if f.String() != fmt.Sprintf("started %d", len(data)) {
		t.Errorf("events:\n%s", f)
	}
	seen := u.seen()
	if len(seen) != 1 {
		t.Fatalf("%d requests", len(seen))
	}
	for name, want := range map[string]string{"Accept-Encoding": "identity", "User-Agent": "botkube-mirror/v1.2.3", "Range": "", "Referer": ""} {
		if got := seen[0].Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestChecksums(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	m, s1, s5 := md5.Sum(data), sha1.Sum(data), sha512.Sum512(data)
	all := append(sha256Of(data),
		agent.Checksum{Algorithm: "md5", Hex: hex.EncodeToString(m[:])},
		agent.Checksum{Algorithm: "sha1", Hex: hex.EncodeToString(s1[:])},
		agent.Checksum{Algorithm: "sha512", Hex: hex.EncodeToString(s5[:])})
	sum := lock.Sum(data)
	u := newUpstream(t, data)
	f := fixed(t)
	r := f.want(t, fetch.Request{URL: u.URL + "/x", Checksums: all, SHA256: &sum, Size: int64(len(data))}, data)
	if len(r.Digests) != 4 || r.Digests[0] != all[0] {
		t.Errorf("digests %v", r.Digests)
	}
	for i, c := range all {
		bad := c
		bad.Hex = strings.Repeat("0", len(c.Hex))
		f := fixed(t)
		u.seen()
		err := f.wantFault(t, fetch.Request{URL: u.URL + "/x", Checksums: []agent.Checksum{bad, all[(i+1)%4]}, Source: "the index"},
			fault.Integrity, u.URL, "the index", bad.String(), c.String())
		if fault.HintOf(err) == "" {
			t.Error("no hint")
		}
		if n := len(u.seen()); n != 2 {
			t.Errorf("%d requests", n)
		}
		f.wantNothing(t)
	}
}

func TestContradictionsAskNobody(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, nil)
	f := fixed(t)
	zero, one := lock.SHA256{}, lock.SHA256{1}
	f.wantFault(t, fetch.Request{URL: u.URL + "/x", SHA256: &zero, Checksums: []agent.Checksum{{Algorithm: "sha256", Hex: one.String()}}},
		fault.Integrity, zero.String(), one.String())
	f.wantFault(t, fetch.Request{URL: u.URL + "/x", Checksums: []agent.Checksum{{Algorithm: "crc32", Hex: "00"}}}, fault.Integrity, "crc32")
	if n := len(u.seen()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	data := random(1000)
	sum := lock.Sum(data)
	u := newUpstream(t, data)
	f := fixed(t)
	f.wantFault(t, fetch.Request{URL: u.URL + "/x", SHA256: &sum, Size: 999, Source: "the lock"}, fault.Integrity, "the lock", "999", "1000")
	f.wantNothing(t)
	f.want(t, fetch.Request{URL: u.URL + "/x", Size: 1000}, data)

	f = fixed(t, func(cfg *fetch.Config) { cfg.MaxBytes = 999 })
	f.wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Upstream, "1000", "999")
	f.wantNothing(t)
	if _, err := f.client.Size(t.Context(), u.URL+"/x"); !fetch.IsTooLarge(err) || fault.HintOf(err) != "if this size is right, raise the limit: --max-size 1GiB" {
		t.Errorf("%v: %s", err, fault.HintOf(err))
	}
	u.then(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(data[:500])
		_ = http.NewResponseController(w).Flush() // chunked: no length
		_, _ = w.Write(data[500:])
	})
	err := f.wantFault(t, fetch.Request{URL: u.URL + "/x", SHA256: &sum}, fault.Upstream, "more bytes than the limit of 999")
	if !strings.Contains(fault.HintOf(err), "--max-size 1GiB") {
		t.Error(fault.HintOf(err))
	}
	f.wantNothing(t)
}

// A server that says nothing of a length, and does not end, fills no disk: neither
// while it sends nor once it was refused.
func TestEndless(t *testing.T) {
	t.Parallel()
	sum := lock.Sum(nil)
	const most = 300 << 10
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"e"`)
		if r.Method == http.MethodHead {
			return
		}
		for r.Context().Err() == nil {
			_, _ = w.Write(make([]byte, 64<<10))
		}
	}
	u := newUpstream(t, nil)
	f := fixed(t, func(cfg *fetch.Config) { cfg.MaxBytes = most })
	for range 2 {
		u.then(status(503), endless, endless)
		f.wantFault(t, fetch.Request{URL: u.URL + "/x", SHA256: &sum}, fault.Upstream, "more bytes than the limit")
		f.wantNothing(t)
		if f.received > most+2*(256<<10) {
			t.Errorf("%d bytes were taken", f.received)
		}
		f.received = 0
	}
}

func TestCorruption(t *testing.T) {
	t.Parallel()
	data := random(100 << 10)
	req := func(u *upstream) fetch.Request {
		return fetch.Request{URL: u.URL + "/x", Checksums: sha256Of(data)}
	}
	t.Run("once", func(t *testing.T) {
		u := newUpstream(t, data)
		u.then(u.corrupt)
		f := fixed(t)
		r := f.want(t, req(u), data)
		if r.Transferred != 2*int64(len(data)) || f.count("restarted") != 1 {
			t.Errorf("%+v\n%s", r, f)
		}
		if got := u.seen()[1].Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("Cache-Control %q", got)
		}
	})
	t.Run("always", func(t *testing.T) {
		u := newUpstream(t, data)
		u.then(u.corrupt, u.corrupt)
		f := fixed(t)
		f.wantFault(t, req(u), fault.Integrity, lock.Sum(data).String())
		f.wantNothing(t)
	})
	t.Run("of what came first", func(t *testing.T) {
		u := newUpstream(t, data)
		bad := random(len(data))
		bad[0] ^= 1
		u.data = bad
		u.then(u.cut(50 << 10))
		u.then(func(w http.ResponseWriter, r *http.Request) {
			u.mu.Lock()
			u.data = data
			u.mu.Unlock()
			u.right(w, r)
		})
		f := fixed(t)
		r := f.want(t, req(u), data)
		if f.count("resumed") != 1 || f.count("restarted") != 1 || r.Resumed != 0 {
			t.Errorf("%+v\n%s", r, f)
		}
	})
}

func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	for _, at := range []int{1, len(data) / 2, len(data) - 1} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			u := newUpstream(t, data)
			u.then(u.cut(at))
			f := fixed(t)
			r := f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
			if r.Transferred != int64(len(data)) || f.count("resumed") != 1 || f.count("retrying") != 1 || f.count("started") != 1 || f.received != len(data) {
				t.Errorf("%+v\n%s", r, f)
			}
			second := u.seen()[1]
			if got := second.Header.Get("Range"); got != fmt.Sprintf("bytes=%d-", at) {
				t.Errorf("Range %q", got)
			}
			if got := second.Header.Get("If-Range"); got != `"v1"` {
				t.Errorf("If-Range %q", got)
			}
		})
	}
}

func TestProgressOutlastsTheLimitOfRetries(t *testing.T) {
	t.Parallel()
	data := random(10 << 20)
	u := newUpstream(t, data)
	for range 9 {
		u.then(u.cut(1 << 20))
	}
	f := fixed(t, func(cfg *fetch.Config) { cfg.Retry.Limit = 1 })
	r := f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
	if r.Transferred != int64(len(data)) {
		t.Errorf("%+v", r)
	}
	u = newUpstream(t, data)
	for range 9 {
		u.then(u.cut(1))
	}
	f = fixed(t, func(cfg *fetch.Config) { cfg.Retry.Limit = 2 })
	f.wantFault(t, fetch.Request{URL: u.URL + "/y"}, fault.Upstream, "gave up after 3 attempts", "of 10485760 bytes")
	if n := len(u.seen()); n != 3 {
		t.Errorf("%d requests", n)
	}
}

func TestUnguardedRestStartsOver(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	tests := map[string]struct {
		prepare func(*upstream)
		reason  string
	}{
		"no range support": {func(u *upstream) { u.then(u.cut(1000), u.whole) }, "cannot send a part"},
		"says so": {func(u *upstream) {
			u.then(func(w http.ResponseWriter, r *http.Request) { u.cut(1000)(noRanges{w}, r) })
		}, "no ETag or date that tells"},
		"weak entity tag":   {func(u *upstream) { u.etag, u.modified = `W/"v1"`, time.Time{}; u.then(u.cut(1000)) }, "no ETag or date that tells"},
		"no validators":     {func(u *upstream) { u.etag, u.modified = "", time.Time{}; u.then(u.cut(1000)) }, "no ETag or date that tells"},
		"changed just now":  {func(u *upstream) { u.etag, u.modified = "", time.Now().Add(time.Minute); u.then(u.cut(1000)) }, "no ETag or date that tells"},
		"no such range":     {func(u *upstream) { u.then(u.cut(1000), status(416)) }, "does not have the rest"},
		"another range":     {func(u *upstream) { u.then(u.cut(1000), status(206, "Content-Range", "bytes 0-1/1048576")) }, "another part of the file"},
		"no range at all":   {func(u *upstream) { u.then(u.cut(1000), status(206)) }, "another part of the file"},
		"of another length": {func(u *upstream) { u.then(u.cut(1000), status(206, "Content-Range", "bytes 1000-1001/2000")) }, "has changed"},
		"of another version": {func(u *upstream) {
			u.then(u.cut(1000), status(206, "Content-Range", "bytes 1000-1001/1048576", "ETag", `"v2"`))
		}, "has changed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, data)
			test.prepare(u)
			f := fixed(t)
			f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
			if f.count("restarted") != 1 || !strings.Contains(f.String(), test.reason) {
				t.Errorf("events:\n%s", f)
			}
		})
	}
}

// Where a digest is known, a server need not vouch for the rest; what does not
// fit is found out.
func TestDigestGuards(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	u := newUpstream(t, data)
	u.etag, u.modified = "", time.Time{}
	u.then(u.cut(1000))
	f := fixed(t)
	req := fetch.Request{URL: u.URL + "/x", Checksums: sha256Of(data)}
	if r := f.want(t, req, data); r.Transferred != int64(len(data)) || f.count("restarted") != 0 {
		t.Errorf("%+v\n%s", r, f)
	}
	if seen := u.seen(); seen[1].Header.Get("Range") != "bytes=1000-" || seen[1].Header.Get("If-Range") != "" {
		t.Errorf("%v", seen[1].Header)
	}
	other := slices.Clone(data)
	other[0] ^= 1
	u.data = other
	u.then(u.cut(1000), func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.data = data
		u.mu.Unlock()
		u.right(w, r)
	})
	f = fixed(t)
	if r := f.want(t, req, data); r.Transferred != 2*int64(len(data)) || f.count("restarted: the checksum does not match") != 1 {
		t.Errorf("%+v\n%s", r, f)
	}
}

// reset breaks the connection after n bytes of the body, without taking leave.
func (u *upstream) reset(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		u.right(&limited{ResponseWriter: w, left: n, end: func() {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
			panic(http.ErrAbortHandler)
		}}, r)
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	for name, checksums := range map[string][]agent.Checksum{"vouched for": sha256Of(data), "not vouched for": nil} {
		u := newUpstream(t, data)
		u.then(u.reset(0), u.reset(300_000), u.reset(600_000))
		f := fixed(t)
		r := f.want(t, fetch.Request{URL: u.URL + "/x", Checksums: checksums}, data)
		// What was on its way when the connection was reset is lost.
		if f.count("retrying") != 3 || f.count("restarted") != 0 || r.Transferred != int64(len(data)) {
			t.Errorf("%s: %+v\n%s", name, r, f)
		}
	}
}

type noRanges struct{ http.ResponseWriter }

func (n noRanges) WriteHeader(code int) {
	n.Header().Set("Accept-Ranges", "none")
	n.ResponseWriter.WriteHeader(code)
}

func (n noRanges) Unwrap() http.ResponseWriter { return n.ResponseWriter }

func TestLastModifiedGuards(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	for _, etag := range []string{"", `W/"weak"`} {
		u := newUpstream(t, data)
		u.etag = etag
		u.then(u.cut(1000))
		f := fixed(t)
		r := f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
		if got, want := u.seen()[1].Header.Get("If-Range"), modified.Format(http.TimeFormat); got != want || r.Transferred != int64(len(data)) {
			t.Errorf("If-Range %q, %+v", got, r)
		}
	}
}

func TestChangeBetweenAttempts(t *testing.T) {
	t.Parallel()
	for name, careless := range map[string]bool{"heeds If-Range": false, "does not": true} {
		t.Run(name, func(t *testing.T) {
			old, fresh := random(1<<20), random(1<<20)
			fresh[0] ^= 1
			u := newUpstream(t, old)
			u.then(u.cut(1000), func(w http.ResponseWriter, r *http.Request) {
				u.mu.Lock()
				u.data, u.etag = fresh, `"v2"`
				u.mu.Unlock()
				if careless {
					u.careless(w, r)
				} else {
					u.right(w, r)
				}
			})
			f := fixed(t)
			f.want(t, fetch.Request{URL: u.URL + "/x"}, fresh)
			if !strings.Contains(f.String(), "restarted: the file has changed on the server") {
				t.Errorf("events:\n%s", f)
			}
		})
	}
}

func TestPartialAnswersAddUp(t *testing.T) {
	t.Parallel()
	// A server may send less of a range than it was asked for.
	data := random(10000)
	u := newUpstream(t, data)
	part := func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Range", strings.TrimSuffix(r.Header.Get("Range"), "-")+"-2999")
		u.right(w, r)
	}
	u.then(u.cut(1000), part)
	f := fixed(t)
	if r := f.want(t, fetch.Request{URL: u.URL + "/x"}, data); r.Transferred != 10000 {
		t.Errorf("%+v\n%s", r, f)
	}
}

func TestStall(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	u := newUpstream(t, data)
	u.then(u.stall(1000), func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	f := fixed(t, impatient)
	r := f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
	if r.Transferred != int64(len(data)) || !f.stalled(2) {
		t.Errorf("%+v\n%s", r, f)
	}
}

func TestSlowIsNotStalled(t *testing.T) {
	t.Parallel()
	data := random(10)
	busytest.Try(t, func(idleTimeout time.Duration) error {
		u := newUpstream(t, data)
		u.then(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			for i := range data {
				_, _ = w.Write(data[i : i+1])
				_ = http.NewResponseController(w).Flush()
				time.Sleep(idleTimeout / 6)
			}
		})
		f := fixed(t, func(cfg *fetch.Config) { cfg.IdleTimeout = idleTimeout })
		f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
		if f.count("retrying") != 0 {
			return errors.New(f.String())
		}
		return nil
	})
}

func TestTransientAnswers(t *testing.T) {
	t.Parallel()
	for _, code := range []int{408, 425, 429, 500, 502, 503, 504, 507, 520} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			data := random(10)
			u := newUpstream(t, data, status(code), status(code))
			f := fixed(t)
			f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
			if f.count("retrying") != 2 || !strings.Contains(f.String(), fmt.Sprint(code)) {
				t.Errorf("events:\n%s", f)
			}
		})
	}
}

func TestPermanentAnswers(t *testing.T) {
	t.Parallel()
	for _, code := range []int{204, 206, 300, 304, 400, 401, 403, 404, 410, 416, 451, 501, 505} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			u := newUpstream(t, random(10), status(code), status(code))
			f := fixed(t)
			err := f.wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Upstream, u.URL+"/x", fmt.Sprint(code))
			want := 1
			if code == http.StatusForbidden { // as another program, too
				want = 2
			}
			if n := len(u.seen()); n != want {
				t.Errorf("%d requests", n)
			}
			if fault.HintOf(err) == "" {
				t.Error("no hint")
			}
			if fetch.IsNotFound(err) != (code == 404 || code == 410) || fetch.Absence(err) == "" != (code >= 500) {
				t.Errorf("not found: %t, absence: %q", fetch.IsNotFound(err), fetch.Absence(err))
			}
			f.wantNothing(t)
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	data := random(10)
	u := newUpstream(t, data, status(429, "Retry-After", "1"))
	f := fixed(t)
	begin := time.Now()
	f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
	if d := time.Since(begin); d < time.Second || !strings.Contains(f.String(), "after 1s") {
		t.Errorf("took %s\n%s", d, f)
	}
	for _, value := range []string{"3600", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)} {
		u = newUpstream(t, data, status(503, "Retry-After", value))
		f = fixed(t)
		err := f.wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Upstream, "503", "asks to wait")
		if n := len(u.seen()); n != 1 || !strings.Contains(fault.HintOf(err), "--max-wait 6") {
			t.Errorf("%d requests, %s", n, fault.HintOf(err))
		}
	}
}

// A part that is the whole is taken, asked for or not, as by the agent.
func TestPartThatIsTheWhole(t *testing.T) {
	t.Parallel()
	data := random(1000)
	part := func(field string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", field)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data)
		}
	}
	u := newUpstream(t, nil, part("bytes 0-999/1000"))
	fixed(t).want(t, fetch.Request{URL: u.URL + "/x"}, data)
	for _, field := range []string{"bytes 0-999/2000", "bytes 0-999/*", "bytes 1-1000/1001", "", "bytes 0-1999/2000"} {
		u := newUpstream(t, nil, part(field))
		f := fixed(t)
		f.wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Upstream, "206 Partial Content")
		f.wantNothing(t)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	data := random(10)
	limited := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"You have exceeded a secondary rate limit."}`)
	}
	gone := fmt.Sprint(time.Now().Add(-time.Minute).Unix())
	for name, answer := range map[string]http.HandlerFunc{
		"GitHub's 403":             status(403, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", gone),
		"a 403 that asks to wait":  status(403, "Retry-After", "1"),
		"a 403 with words":         limited,
		"an object store's 503":    status(503),
		"a 403 that is a 429 else": status(429, "RateLimit-Remaining", "0"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t, data, answer, answer)
			f := fixed(t)
			f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
			if n := len(u.seen()); n != 3 || f.count("retrying") != 2 {
				t.Errorf("%d requests\n%s", n, f)
			}
			// A size is asked for by HEAD, whose answer has no words.
			u.then(answer, answer)
			size, err := f.client.Size(t.Context(), u.URL+"/x")
			check(t, err)
			if size != int64(len(data)) {
				t.Error(size)
			}
		})
	}
	u := newUpstream(t, data, limited, limited, limited)
	f := fixed(t, func(cfg *fetch.Config) { cfg.Retry.Limit = 2 })
	err := f.wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Upstream, "gave up after 3 attempts", "403 Forbidden: rate limit")
	if fetch.Absence(err) != "" || !strings.Contains(fault.HintOf(err), "send fewer requests at a time") {
		t.Errorf("%v\n%s", err, fault.HintOf(err))
	}
	f.wantNothing(t)
	at := time.Now().Add(time.Hour)
	u = newUpstream(t, data, status(403, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", fmt.Sprint(at.Unix())))
	f = fixed(t)
	f.wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Upstream, "rate limit until "+at.UTC().Format("2006-01-02 15:"), "asks to wait")
	if n := len(u.seen()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	tests := map[string]func(u *upstream){
		"in the body": func(u *upstream) { u.then(u.stall(1000)) },
		"before the header": func(u *upstream) {
			u.then(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		},
		"in a pause": func(u *upstream) { u.then(status(503)) },
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, data)
			// Nothing but the cancellation ends it.
			prepare(u)
			f := fixed(t, func(cfg *fetch.Config) { cfg.Retry.Backoff, cfg.IdleTimeout = 24*time.Hour, 24*time.Hour })
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			_, err := f.client.Blob(ctx, fetch.Request{URL: u.URL + "/x"}, f.observer())
			if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), u.URL) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	addr := l.Addr().String()
	check(t, l.Close())
	f := fixed(t, func(cfg *fetch.Config) { cfg.Retry.Limit = 2 })
	err = f.wantFault(t, fetch.Request{URL: "https://user:secret@" + addr + "/x"}, fault.Upstream, "https://"+addr+"/x", "gave up after 3 attempts", "refused")
	if strings.Contains(err.Error()+f.String(), "secret") {
		t.Errorf("%v\n%s", err, f)
	}
	if !strings.Contains(fault.HintOf(err), "HTTPS_PROXY") {
		t.Errorf("hint %q", fault.HintOf(err))
	}
}

func TestUnknownHost(t *testing.T) {
	t.Parallel()
	f := fixed(t)
	err := f.wantFault(t, fetch.Request{URL: "http://no-such-host.invalid/x"}, fault.Upstream, "no-such-host.invalid")
	// Where no resolver can be reached at all, the failure is a temporary one.
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound && f.count("retrying") != 0 {
		t.Errorf("events:\n%s", f)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	data := random(1000)
	u := unstarted(t, data)
	u.StartTLS()
	f := fixed(t)
	err := f.wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Upstream, "certificate")
	if f.count("retrying") != 0 || !strings.Contains(fault.HintOf(err), "--ca-file") {
		t.Errorf("%v\n%s\n%s", err, fault.HintOf(err), f)
	}
	f = fixed(t, u.trusted)
	f.want(t, fetch.Request{URL: u.URL + "/x"}, data)

	plain := newUpstream(t, data)
	f = fixed(t)
	err = f.wantFault(t, fetch.Request{URL: strings.Replace(plain.URL, "http:", "https:", 1) + "/x"}, fault.Upstream, "HTTP")
	if f.count("retrying") != 0 || !strings.Contains(fault.HintOf(err), "does not speak TLS") {
		t.Errorf("%v\n%s\n%s", err, fault.HintOf(err), f)
	}
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	data := random(2 << 20)
	u := unstarted(t, data)
	u.EnableHTTP2 = true
	u.StartTLS()
	u.then(u.cut(1000), u.stall(1<<20))
	f := fixed(t, impatient, u.trusted)
	r := f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
	if r.Transferred != int64(len(data)) || u.seen()[0].ProtoMajor != 2 {
		t.Errorf("%+v\n%s", r, f)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	target, u := secureUpstream(t, data), secureUpstream(t, nil)
	signed := target.URL + "/object?signature=topsecret"
	for range 20 {
		u.then(redirect(signed))
	}
	target.then(target.cut(1000))
	f := fixed(t, u.trusted)
	r := f.want(t, fetch.Request{URL: strings.Replace(u.URL, "//", "//user:password@", 1) + "/x?token=t"}, data)
	if r.Transferred != int64(len(data)) {
		t.Errorf("%+v", r)
	}
	if n := len(u.seen()); n != 2 {
		t.Errorf("%d requests to the original URL", n)
	}
	for _, r := range target.seen() {
		if r.Header.Get("Authorization") != "" || r.Header.Get("Referer") != "" {
			t.Errorf("the other host was sent %v", r.Header)
		}
	}
	target.then(status(403), status(403))
	err := f.wantFault(t, fetch.Request{URL: u.URL + "/y"}, fault.Upstream, u.URL+"/y", strings.TrimPrefix(target.URL, "https://")+" answers 403")
	if text := err.Error() + fault.HintOf(err) + f.String(); strings.Contains(text, "topsecret") {
		t.Error(text)
	}
	target.Close()
	err = f.wantFault(t, fetch.Request{URL: u.URL + "/z"}, fault.Upstream, u.URL+"/z", "redirected to "+strings.TrimPrefix(target.URL, "https://")+": ", "refused")
	if text := err.Error() + fault.HintOf(err) + f.String(); strings.Contains(text, "topsecret") {
		t.Error(text)
	}
}

func TestCredentialsStayOnTheHost(t *testing.T) {
	t.Parallel()
	data := random(10)
	u := secureUpstream(t, data)
	u.then(redirect(u.URL + "/y"))
	f := fixed(t, u.trusted)
	f.want(t, fetch.Request{URL: strings.Replace(u.URL, "//", "//user:p%40ss@", 1) + "/x"}, data)
	for _, r := range u.seen() {
		if name, password, _ := r.BasicAuth(); name != "user" || password != "p@ss" {
			t.Errorf("%s: %q %q", r.URL, name, password)
		}
	}
}

// TestHeadersStayOnTheHost sends header fields with a document, and looks who gets
// them: the host alone, and not even that once it was left.
func TestHeadersStayOnTheHost(t *testing.T) {
	t.Parallel()
	u, other := secureUpstream(t, []byte("hello")), secureUpstream(t, []byte("hello"))
	read := func(url string) error {
		header := http.Header{"X-Api-Key": {"topsecret"}, "Authorization": {"Bearer topsecret"}, "Cookie": {"topsecret"}}
		data, err := fixed(t, u.trusted).client.Document(t.Context(), url, 100, header)
		if err == nil && string(data) != "hello" {
			t.Errorf("%s: %q", url, data)
		}
		return err
	}
	keyed := func(requests []*http.Request) (n int) {
		for _, r := range requests {
			if strings.Contains(fmt.Sprint(r.Header), "topsecret") {
				n++
			}
		}
		return n
	}
	u.then(redirect(u.URL + "/y"))
	check(t, read(u.URL+"/x"))
	if n := keyed(u.seen()); n != 2 {
		t.Errorf("the host got them %d times", n)
	}
	u.then(redirect(other.URL + "/y"))
	check(t, read(u.URL+"/x"))
	if n := keyed(other.seen()); n != 0 {
		t.Error("another host got them")
	}
	u.seen()
	u.then(redirect(other.URL + "/y"))
	other.then(redirect(u.URL + "/z"))
	check(t, read(u.URL+"/x"))
	if n := keyed(u.seen()); n != 1 {
		t.Errorf("the host got them %d times, though another one chose the path", n)
	}

	plain := newUpstream(t, []byte("hello"))
	wantFault(t, read(plain.URL+"/x"), fault.Usage, plain.URL+"/x", "plain http")
	u.then(redirect(plain.URL + "/x"))
	wantFault(t, read(u.URL+"/x"), fault.Upstream, "from https to plain http")
	if len(plain.seen()) != 0 {
		t.Error("a request was made")
	}
	wantFault(t, read("file:///etc/hosts"), fault.Usage, "to a file")
}

func TestCredentialsInClear(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, random(10))
	host := strings.TrimPrefix(u.URL, "http://")
	netrc := filepath.Join(t.TempDir(), "netrc")
	check(t, os.WriteFile(netrc, []byte("machine "+host+" login joe password topsecret\n"), 0o600))
	for url, file := range map[string]string{"http://user:topsecret@" + host + "/x": "", u.URL + "/x": netrc} {
		f := fixed(t, func(cfg *fetch.Config) { cfg.Netrc = file })
		err := f.wantFault(t, fetch.Request{URL: url}, fault.Usage, u.URL+"/x", "credentials for "+host+" would go over plain http")
		_, err2 := f.client.Document(t.Context(), url, 100, nil)
		wantFault(t, err2, fault.Usage, "would go over plain http")
		_, err3 := f.client.Size(t.Context(), url)
		wantFault(t, err3, fault.Usage, "would go over plain http")
		if text := errors.Join(err, err2, err3).Error() + fault.HintOf(err) + f.String(); strings.Contains(text, "topsecret") {
			t.Error(text)
		}
	}
	if len(u.seen()) != 0 {
		t.Error("a request was made")
	}
}

func TestClientCertificateWanted(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, MaxVersion: version}
		s.StartTLS()
		f := fixed(t, (&upstream{Server: s}).trusted)
		err := f.wantFault(t, fetch.Request{URL: s.URL + "/x"}, fault.Upstream, "remote error: tls: ")
		if f.count("retrying") != 0 || !strings.Contains(fault.HintOf(err), "--client-cert") {
			t.Errorf("%v\n%s\n%s", err, fault.HintOf(err), f)
		}
		s.Close()
	}
}

func TestRefusedRedirects(t *testing.T) {
	t.Parallel()
	data := random(10)
	plain := newUpstream(t, data)
	secure := unstarted(t, data)
	secure.StartTLS()
	f := fixed(t, secure.trusted)
	secure.then(redirect(plain.URL + "/x?secret"))
	err := f.wantFault(t, fetch.Request{URL: secure.URL + "/x"}, fault.Upstream, "from https to plain http")
	if strings.Contains(err.Error(), "secret") || len(plain.seen()) != 0 {
		t.Error(err)
	}
	plain.then(redirect(secure.URL + "/x"))
	f.want(t, fetch.Request{URL: plain.URL + "/x"}, data)
	plain.seen()

	for name, test := range map[string]struct{ to, want string }{
		"circle": {"/x", "in a circle"},
		"ftp":    {"ftp://example.com/secret", "of the form ftp:"},
		"file":   {"file:///etc/passwd?secret", "of the form file:"},
		"no URL": {"http://[secret", "not a URL"},
	} {
		f := fixed(t)
		plain.then(redirect(test.to))
		err := f.wantFault(t, fetch.Request{URL: plain.URL + "/x"}, fault.Upstream, test.want)
		if strings.Contains(err.Error(), "secret") || f.count("retrying") != 0 || len(plain.seen()) != 1 {
			t.Errorf("%s: %v\n%s", name, err, f)
		}
	}

	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) }))
	defer endless.Close()
	fixed(t).wantFault(t, fetch.Request{URL: endless.URL + "/x"}, fault.Upstream, "more than 10 times")
}

func TestWrongLengths(t *testing.T) {
	t.Parallel()
	data := "0123456789"
	u := newUpstream(t, []byte(data))
	short := raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"v1\"\r\n\r\n01234")
	u.then(short)
	f := fixed(t)
	f.want(t, fetch.Request{URL: u.URL + "/x"}, []byte(data))
	if !strings.Contains(f.String(), "ended after 5 of 10 bytes") {
		t.Errorf("events:\n%s", f)
	}
	// What follows the announced length is not taken for content.
	u.then(raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789surplus"))
	f = fixed(t)
	f.want(t, fetch.Request{URL: u.URL + "/x"}, []byte(data))
	// A range that is longer than announced.
	u.then(short, raw("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 20\r\n\r\n56789surplus12345678"))
	f = fixed(t)
	f.want(t, fetch.Request{URL: u.URL + "/x"}, []byte(data))
	chunked := "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n56789su\r\n0\r\n\r\n"
	u.then(short, raw(chunked))
	f = fixed(t)
	f.wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Upstream, "more than the 10 bytes")
	f.wantNothing(t)
	// Chunked, and cut.
	u.then(raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: \"v1\"\r\n\r\n5\r\n01234\r\n"))
	f = fixed(t)
	f.want(t, fetch.Request{URL: u.URL + "/x"}, []byte(data))
}

func TestImplausibleAnswers(t *testing.T) {
	t.Parallel()
	page := "<!DOCTYPE html><html><body>Please log in</body></html>"
	tests := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a web page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte(page))
		}, "a web page"},
		"of no known length": {raw("HTTP/1.1 200 OK\r\n\r\n01234"), "the server sends no length"},
		"empty":              {raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "empty"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, nil, test.answer)
			f := fixed(t)
			err := f.wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Upstream, test.want)
			if fault.HintOf(err) == "" {
				t.Error("there is no hint")
			}
			f.wantNothing(t)
		})
	}
	t.Run("where a digest decides", func(t *testing.T) {
		u := newUpstream(t, nil, tests["a web page"].answer)
		fixed(t).want(t, fetch.Request{URL: u.URL + "/x", Checksums: sha256Of([]byte(page))}, []byte(page))
	})
	t.Run("mislabelled", func(t *testing.T) {
		u := newUpstream(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("\x7fELF"))
		})
		fixed(t).want(t, fetch.Request{URL: u.URL + "/x"}, []byte("\x7fELF"))
	})
}

func TestAnswersThatAreNotHTTP(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, nil)
	for range 3 {
		u.then(raw("HTTP/1.1 200 OK\r\nSet-Cookie topsecret\r\n\r\n"))
	}
	f := fixed(t, func(cfg *fetch.Config) { cfg.Retry.Limit = 1 })
	err := f.wantFault(t, fetch.Request{URL: u.URL + "/x"}, fault.Upstream, "not HTTP")
	if strings.Contains(err.Error()+f.String(), "topsecret") {
		t.Errorf("%v\n%s", err, f)
	}
}

func TestOwnTroubleIsNotTheServers(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	u := newUpstream(t, random(10))
	f := fixed(t)
	url := u.URL + "/x"
	check(t, os.RemoveAll(filepath.Join(f.store.Dir(), "ingest")))
	f.wantFault(t, fetch.Request{URL: url}, fault.Unexpected, url, "ingest")
	if n := len(u.seen()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// Some portals give a cookie, lead to the same URL, and want to see it there. It goes
// to no other host, and is forgotten after the request.
func TestCookiesOfRedirects(t *testing.T) {
	t.Parallel()
	data := random(1000)
	greet := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "topsecret", Path: "/"})
			http.Redirect(w, r, to, http.StatusFound)
		}
	}
	u := newUpstream(t, data)
	u.then(greet(u.URL + "/x"))
	f := fixed(t)
	f.want(t, fetch.Request{URL: u.URL + "/x"}, data)
	if seen := u.seen(); len(seen) != 2 || seen[1].Header.Get("Cookie") != "session=topsecret" {
		t.Errorf("%d requests: %v", len(seen), seen[len(seen)-1].Header)
	}
	f.want(t, fetch.Request{URL: u.URL + "/y"}, data)
	for _, r := range u.seen() {
		if r.Header.Get("Cookie") != "" {
			t.Error("the cookie was kept")
		}
	}
	// It is no way to go on for ever.
	for range 20 {
		u.then(greet(u.URL + "/z"))
	}
	err := f.wantFault(t, fetch.Request{URL: u.URL + "/z"}, fault.Upstream, "more than 10 times")
	if strings.Contains(err.Error()+f.String(), "topsecret") {
		t.Error(err)
	}
	if n := len(u.seen()); n != 11 {
		t.Errorf("%d requests", n)
	}
}

// A server that lets in only programs that it knows is asked as the agent asks.
func TestUnknownPrograms(t *testing.T) {
	t.Parallel()
	data := random(1000)
	u := newUpstream(t, data)
	picky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.UserAgent(), "Go-http-client/") {
			u.then(status(403))
		}
		u.ServeHTTP(w, r)
	}))
	defer picky.Close()
	f := fixed(t)
	for _, path := range []string{"/x", "/y"} {
		f.want(t, fetch.Request{URL: picky.URL + path}, data)
	}
	if n := len(u.seen()); n != 3 {
		t.Errorf("%d requests", n)
	}
	// One that refuses whoever asks is not asked again and again.
	u = newUpstream(t, data, status(403), status(403), status(403))
	f = fixed(t)
	for _, path := range []string{"/x", "/y"} {
		f.wantFault(t, fetch.Request{URL: u.URL + path}, fault.Upstream, "403")
	}
	if n := len(u.seen()); n != 3 {
		t.Errorf("%d requests", n)
	}
}

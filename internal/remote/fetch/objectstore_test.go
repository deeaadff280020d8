package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// objectStores have the URL of an object by the kind of the store that a server of
// this machine stands in for.
var objectStores = map[string]func(t *testing.T, u *upstream) string{
	"s3": func(_ *testing.T, u *upstream) string {
		return "s3::" + u.URL + "/bucket/x?aws_access_key_id=id&aws_access_key_secret=topsecret&region=us-east-1"
	},
	"gcs": func(t *testing.T, u *upstream) string {
		t.Setenv("STORAGE_EMULATOR_HOST", strings.TrimPrefix(u.URL, "http://"))
		u.generation = 1
		return "gcs::https://www.googleapis.com/storage/v1/bucket/x"
	},
}

// wantRest checks that a request is for the rest of the first version of an object.
func wantRest(t *testing.T, kind string, r *http.Request, offset int) {
	t.Helper()
	if got, want := r.Header.Get("Range"), fmt.Sprintf("bytes=%d-", offset); got != want {
		t.Errorf("range %q, want %q", got, want)
	}
	if match, generation := r.Header.Get("If-Match"), r.URL.Query().Get("generation"); kind == "s3" && match != `"v1"` || kind == "gcs" && generation != "1" {
		t.Errorf("any version would do: If-Match %q, generation %q", match, generation)
	}
}

// TestBucketResumes: a connection breaks, and only the rest is asked for.
func TestBucketResumes(t *testing.T) {
	data := random(1 << 20)
	for kind, url := range objectStores {
		t.Run(kind, func(t *testing.T) {
			u := newUpstream(t, data)
			req := fetch.Request{URL: url(t, u)}
			u.then(u.cut(700_000), u.cut(200_000))
			f := fixed(t)
			if r := f.want(t, req, data); r.Transferred != int64(len(data)) {
				t.Errorf("%+v\n%s", r, f)
			}
			seen := u.seen()
			if len(seen) != 3 {
				t.Fatalf("%d requests", len(seen))
			}
			wantRest(t, kind, seen[1], 700_000)
			wantRest(t, kind, seen[2], 900_000)
		})
	}
}

// TestBucketNextRun goes on with what another run left.
func TestBucketNextRun(t *testing.T) {
	data := random(1 << 20)
	for kind, url := range objectStores {
		t.Run(kind, func(t *testing.T) {
			u := newUpstream(t, data)
			req := fetch.Request{URL: url(t, u)}
			u.then(u.cut(700_000), status(http.StatusBadRequest)) // Google's SDK asks once more
			dir := t.TempDir()
			f := over(t, dir, once)
			f.wantFault(t, req, fault.Upstream)
			check(t, f.store.Close())
			u.answers = nil
			u.seen()
			f = over(t, dir)
			if r := f.want(t, req, data); r.Resumed != 700_000 || r.Transferred != int64(len(data))-700_000 {
				t.Errorf("%+v\n%s", r, f)
			}
			seen := u.seen()
			if len(seen) != 1 {
				t.Fatalf("%d requests", len(seen))
			}
			wantRest(t, kind, seen[0], 700_000)
		})
	}
}

// TestBucketKilled: the run after one that was killed goes on from the last checkpoint.
func TestBucketKilled(t *testing.T) {
	data := random(8 << 20)
	for kind, url := range objectStores {
		t.Run(kind, func(t *testing.T) {
			u := newUpstream(t, data)
			raw, dir := url(t, u), t.TempDir()
			u.then(u.stall(6 << 20))
			victim := download(t, dir, raw)
			check(t, victim.Start())
			waitForPartial(t, dir, 5<<20)
			check(t, victim.Process.Kill())
			_ = victim.Wait()
			u.seen()
			f := over(t, dir)
			r := f.want(t, fetch.Request{URL: raw}, data)
			if r.Resumed < 4<<20 || r.Resumed+r.Transferred != int64(len(data)) {
				t.Errorf("%+v\n%s", r, f)
			}
			wantRest(t, kind, u.seen()[0], int(r.Resumed))
		})
	}
}

// TestBucketChanges: an object that is replaced meanwhile is asked for from its first
// byte on, in the same run and in the next.
func TestBucketChanges(t *testing.T) {
	old, fresh := random(1<<20), random(1<<20+1)
	fresh[0] ^= 1
	for kind, url := range objectStores {
		for _, next := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, next run %t", kind, next), func(t *testing.T) {
				u := newUpstream(t, old)
				req := fetch.Request{URL: url(t, u)}
				replace := func() {
					u.mu.Lock()
					defer u.mu.Unlock()
					u.data, u.etag = fresh, `"v2"`
					u.generation *= 2
					panic(http.ErrAbortHandler)
				}
				u.then(func(w http.ResponseWriter, r *http.Request) {
					u.right(&limited{ResponseWriter: w, left: 700_000, end: replace}, r)
				})
				dir := t.TempDir()
				if next {
					f := over(t, dir, once)
					f.wantFault(t, req, fault.Upstream)
					check(t, f.store.Close())
				}
				f := over(t, dir)
				if r := f.want(t, req, fresh); r.Resumed != 0 || f.count("restarted: the object has changed") != 1 {
					t.Errorf("%+v\n%s", r, f)
				}
			})
		}
	}
}

// TestBucketWithoutRanges: a store that gives the whole of the same object has the
// bytes passed over that are there; one that gives another object has it begin anew.
func TestBucketWithoutRanges(t *testing.T) {
	data := random(1 << 20)
	for name, restarts := range map[string]int{"same": 0, "other": 1} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, data)
			u.then(u.cut(700_000), func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("If-Match")
				if restarts > 0 {
					u.etag = `"v2"`
				}
				u.whole(w, r)
			})
			f := fixed(t)
			r := f.want(t, fetch.Request{URL: objectStores["s3"](t, u)}, data)
			if r.Transferred != int64(len(data))+700_000 || f.count("restarted") != restarts {
				t.Errorf("%+v\n%s", r, f)
			}
		})
	}
}

// TestBuckets has the client libraries at work, with servers of this machine.
func TestBuckets(t *testing.T) {
	data := random(1 << 20)
	for name, url := range objectStores {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, data)
			f := fixed(t)
			if r := f.want(t, fetch.Request{URL: url(t, u)}, data); r.Transferred != int64(len(data)) || f.received != len(data) {
				t.Errorf("%+v, %d received", r, f.received)
			}
			f.wantReused(t, fetch.Request{URL: url(t, u), Checksums: sha256Of(data)}, data)
			u.seen()

			f = fixed(t)
			err := f.wantFault(t, fetch.Request{URL: url(t, u), Checksums: sha256Of(nil)}, fault.Integrity, lock.Sum(data).String())
			f.wantNothing(t)
			if strings.Contains(err.Error()+f.String(), "topsecret") {
				t.Error(err)
			}
			f = fixed(t, func(cfg *fetch.Config) { cfg.MaxBytes = 1000 })
			f.wantFault(t, fetch.Request{URL: url(t, u)}, fault.Upstream, "1000")
			f.wantNothing(t)

			gone := httptest.NewServer(status(404))
			defer gone.Close()
			f = fixed(t)
			err = f.wantFault(t, fetch.Request{URL: url(t, &upstream{Server: gone})}, fault.Upstream, name+"::")
			if strings.Contains(err.Error()+f.String(), "topsecret") {
				t.Error(err)
			}
			f.wantNothing(t)
		})
	}
}

func TestBucketStall(t *testing.T) {
	data := random(1 << 20)
	u := newUpstream(t, data)
	u.then(u.stall(1000), u.stall(0))
	f := fixed(t, impatient)
	f.want(t, fetch.Request{URL: "s3::" + u.URL + "/bucket/x?aws_access_key_id=id&aws_access_key_secret=s&region=us-east-1"}, data)
	if !f.stalled(2) {
		t.Errorf("events:\n%s", f)
	}
}

func TestBucketCancellation(t *testing.T) {
	data := random(1 << 20)
	u := newUpstream(t, data)
	u.then(u.stall(1000))
	raw := objectStores["s3"](t, u)
	f := fixed(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := f.client.Blob(ctx, fetch.Request{URL: raw}, fetch.Observer{Received: func(int) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if r := f.want(t, fetch.Request{URL: raw}, data); r.Resumed == 0 {
		t.Errorf("%+v\n%s", r, f)
	}
}

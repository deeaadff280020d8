package fetch_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

func once(cfg *fetch.Config) { cfg.Retry.Limit = -1 }

// interrupted leaves a partial download of n bytes in a store.
func interrupted(t *testing.T, u *upstream, n int, req fetch.Request) (dir string) {
	t.Helper()
	dir = t.TempDir()
	u.then(u.cut(n))
	f := over(t, dir, once)
	f.wantFault(t, req, fault.Upstream)
	check(t, f.store.Close())
	u.seen()
	return dir
}

func TestNextRunGoesOn(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	for name, req := range map[string]fetch.Request{"vouched for": {Checksums: sha256Of(data)}, "not vouched for": {}} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, data)
			req.URL = u.URL + "/x"
			f := over(t, interrupted(t, u, 700_000, req))
			r := f.want(t, req, data)
			if r.Resumed != 700_000 || r.Transferred != int64(len(data))-700_000 {
				t.Errorf("%+v\n%s", r, f)
			}
			if got, want := f.String(), fmt.Sprintf("started %d\nresumed 700000", len(data)); got != want {
				t.Errorf("events:\n%s", got)
			}
			if seen := u.seen(); len(seen) != 1 || seen[0].Header.Get("If-Range") != `"v1"` {
				t.Errorf("%d requests", len(seen))
			}
		})
	}
}

func TestNextRunOfWhatWasAllThere(t *testing.T) {
	t.Parallel()
	// The process was killed after the last byte.
	data := random(1000)
	u := newUpstream(t, data)
	req := fetch.Request{URL: u.URL + "/x", Checksums: sha256Of(data)}
	dir := interrupted(t, u, 999, req)
	parts, err := filepath.Glob(filepath.Join(dir, "ingest", "*.part"))
	check(t, err)
	check(t, os.WriteFile(parts[0], data, 0o644))
	if r := over(t, dir).want(t, req, data); r.Transferred != 1 || r.Resumed != 999 {
		t.Errorf("%+v", r)
	}
}

func TestNextRunAfterAChange(t *testing.T) {
	t.Parallel()
	old, fresh := random(1<<20), random(2<<20)
	u := newUpstream(t, old)
	req := fetch.Request{URL: u.URL + "/x"}
	dir := interrupted(t, u, 1000, req)
	u.data, u.etag = fresh, `"v2"`
	f := over(t, dir)
	if r := f.want(t, req, fresh); r.Resumed != 0 || r.Transferred != int64(len(fresh)) {
		t.Errorf("%+v\n%s", r, f)
	}
}

// A web page in the place of the rest, as of a proxy that wants people to log in, costs
// nothing of what is there.
func TestNextRunAfterAWebPage(t *testing.T) {
	t.Parallel()
	data := random(1 << 20)
	u := newUpstream(t, data)
	req := fetch.Request{URL: u.URL + "/x"}
	dir := interrupted(t, u, 700_000, req)
	u.then(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") == "" {
			t.Error("the whole is asked for")
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Log in</title>")
	})
	f := over(t, dir, once)
	f.wantFault(t, req, fault.Upstream, "a web page")
	check(t, f.store.Close())
	if r := over(t, dir).want(t, req, data); r.Resumed != 700_000 {
		t.Errorf("%+v", r)
	}
}

// TestPowerCut has a partial file whose middle never reached the disk, though
// its size did.
func TestPowerCut(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	data := random(20 << 20)
	for name, req := range map[string]fetch.Request{"vouched for": {Checksums: sha256Of(data)}, "not vouched for": {}} {
		for _, hole := range []int{9 << 20, 0, 17 << 20}[:tier.Pick(1, 3)] {
			t.Run(fmt.Sprint(name, " ", hole>>20), func(t *testing.T) {
				u := newUpstream(t, data)
				req.URL = u.URL + "/x"
				dir := interrupted(t, u, 18<<20, req)
				parts, err := filepath.Glob(filepath.Join(dir, "ingest", "*.part"))
				check(t, err)
				f, err := os.OpenFile(parts[0], os.O_RDWR, 0)
				check(t, err)
				_, err = f.WriteAt(make([]byte, 4096), int64(hole))
				check(t, err)
				check(t, f.Close())
				got := over(t, dir)
				r := got.want(t, req, data)
				if r.Resumed > int64(hole) || r.Resumed < int64(hole)-(1<<20) {
					t.Errorf("%+v\n%s", r, got)
				}
				if hole == 0 && got.count("restarted") != 1 {
					t.Errorf("events:\n%s", got)
				}
			})
		}
	}
	t.Run("notes lost", func(t *testing.T) {
		u := newUpstream(t, data)
		req := fetch.Request{URL: u.URL + "/x"}
		dir := interrupted(t, u, 18<<20, req)
		sums, err := filepath.Glob(filepath.Join(dir, "ingest", "*.sums"))
		check(t, err)
		check(t, os.Remove(sums[0]))
		f := over(t, dir)
		if r := f.want(t, req, data); r.Resumed != 0 || f.count("restarted") != 1 {
			t.Errorf("%+v\n%s", r, f)
		}
	})
}

// TestSIGKILL kills a process in the middle of a download. The next goes on
// where it was.
func TestSIGKILL(t *testing.T) {
	t.Parallel()
	data := random(64 << 20)
	u := newUpstream(t, data)
	const at = 40 << 20
	reached := make(chan struct{})
	u.then(func(w http.ResponseWriter, r *http.Request) {
		u.right(&limited{ResponseWriter: w, left: at, end: func() {
			close(reached)
			<-r.Context().Done()
		}}, r)
	})
	dir := t.TempDir()
	victim := download(t, dir, u.URL+"/x")
	var said strings.Builder
	victim.Stdout, victim.Stderr = &said, &said
	check(t, victim.Start())
	ended := make(chan error, 1)
	go func() { ended <- victim.Wait() }()
	select {
	case <-reached:
	case err := <-ended:
		t.Fatalf("it ended before it was killed: %v\n%s", err, &said)
	}
	parts := waitForPartial(t, dir, at-(4<<20))
	check(t, victim.Process.Kill())
	<-ended
	fi, err := os.Stat(parts)
	check(t, err)
	t.Logf("%d bytes were there", fi.Size())
	u.seen()

	out, err := download(t, dir, u.URL+"/x").Output()
	check(t, err)
	fields := strings.Fields(string(out))
	transferred, err := strconv.Atoi(fields[1])
	check(t, err)
	if fields[0] != lock.Sum(data).String() {
		t.Errorf("got %s", out)
	}
	// What had not been received, and what was after the last checkpoint.
	again := transferred - (len(data) - int(fi.Size()))
	t.Logf("%d bytes were transferred again", again)
	if again < 0 || again > 1<<20 {
		t.Errorf("%d bytes were transferred again", again)
	}
	seen := u.seen()
	if len(seen) != 1 || seen[0].Header.Get("Range") == "" || seen[0].Header.Get("If-Range") != `"v1"` {
		t.Errorf("%d requests, first with %v", len(seen), seen[0].Header)
	}
	f := over(t, dir)
	if r := f.want(t, fetch.Request{URL: u.URL + "/x"}, data); !r.Reused {
		t.Errorf("%+v", r)
	}
}

func download(t *testing.T, dir, url string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FETCH_TEST_STORE="+dir, "FETCH_TEST_URL="+url)
	cmd.Stderr = os.Stderr
	return cmd
}

func waitForPartial(t *testing.T, dir string, size int64) (path string) {
	t.Helper()
	for range 12000 {
		parts, err := filepath.Glob(filepath.Join(dir, "ingest", "*.part"))
		check(t, err)
		if len(parts) == 1 {
			if fi, err := os.Stat(parts[0]); err == nil && fi.Size() >= size {
				return parts[0]
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no partial download")
	return ""
}

// TestTwoProcesses has this process and another download the same files into
// one store. Each file is transferred once.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	const files = 8
	u := newUpstream(t, random(4<<20))
	dir := t.TempDir()
	var children []*exec.Cmd
	var outs []*strings.Builder
	for i := range files {
		cmd := download(t, dir, fmt.Sprintf("%s/%d", u.URL, i))
		out := new(strings.Builder)
		cmd.Stdout = out
		check(t, cmd.Start())
		children, outs = append(children, cmd), append(outs, out)
	}
	f := over(t, dir)
	done := make(chan error)
	for i := range files {
		go func() {
			_, err := f.blob(t, fetch.Request{URL: fmt.Sprintf("%s/%d", u.URL, i)})
			done <- err
		}()
	}
	for range files {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for i, c := range children {
		if err := c.Wait(); err != nil || !strings.HasPrefix(outs[i].String(), lock.Sum(u.data).String()) {
			t.Errorf("%v, %s", err, outs[i])
		}
	}
	gets := map[string]int{}
	for _, r := range u.seen() {
		if r.Method == http.MethodGet {
			gets[r.URL.Path]++
		}
	}
	for path, n := range gets {
		if n != 1 {
			t.Errorf("%s was downloaded %d times", path, n)
		}
	}
	check(t, f.store.Verify(t.Context(), lock.Sum(u.data)))
}

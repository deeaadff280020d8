package cmd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/cmd"
	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// leaky is a place where commands are run in process, again and again.
type leaky struct {
	dir string
	url string // of an upstream that works
	bad string // of one that drops every file
	off string // of one that says nothing more
}

func newLeaky(t *testing.T) leaky {
	t.Helper()
	files := http.FileServer(http.Dir("../testdata/upstream"))
	document := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, ".yaml") }
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.Start()
		t.Cleanup(s.Close)
		return s.URL + "/plugins-index.yaml"
	}
	return leaky{
		dir: t.TempDir(),
		url: serve(files.ServeHTTP),
		bad: serve(func(w http.ResponseWriter, r *http.Request) {
			if document(r) {
				files.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "the beginning")
			panic(http.ErrAbortHandler)
		}),
		off: serve(func(w http.ResponseWriter, r *http.Request) {
			if document(r) {
				files.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Length", "1000")
			if r.Method == http.MethodHead {
				return // to whom has the whole answer, the connection is free
			}
			_, _ = io.WriteString(w, "the beginning")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}),
	}
}

// run runs a command as main does, and checks its exit code.
func (l leaky) run(ctx context.Context, t *testing.T, code int, args ...string) {
	t.Helper()
	var out bytes.Buffer
	got := cmd.Run(ctx, cmd.Environment{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out,
		Getenv: func(string) string { return "" },
	})
	if got != code {
		t.Fatalf("%q: exit code %d, not %d\n%s", args, got, code, &out)
	}
}

// round runs every command once with success and once with a failure.
func (l leaky) round(t *testing.T, n int, registry string) {
	ctx := t.Context()
	path := func(name string) string { return filepath.Join(l.dir, fmt.Sprint(n), name) }
	store := []string{"--store", path("store"), "--retries", "0"}
	from := func(url string, more ...string) []string {
		args := append([]string{"--repository", "x=" + url, "--platform", "linux/amd64", "--plugin", "x/hello"}, store...)
		return append(args, more...)
	}
	do := func(code int, command string, args ...string) {
		t.Helper()
		l.run(ctx, t, code, append([]string{command}, args...)...)
	}
	bundle := path("bundle.tar")
	forms := []string{"-o", path("dir"), "-o", "image:" + path("image.tar"), "--seeder", "none", "-o", "site:" + path("site"), "--base-url", "https://mirror.example.com", "-o", "oci:" + path("oci")}
	do(0, "pull", from(l.url, append([]string{"-o", bundle}, forms...)...)...)
	do(0, "list", from(l.url)...)
	do(0, "lock", append(from(l.url), path("lock.json"))...)
	do(0, "unpack", bundle, "-o", path("dir2"), "-o", "image:"+path("image2.tar"), "--seeder", "none", "-o", path("bundle2.tar"))
	do(0, "outdated", append([]string{path("lock.json")}, store...)...)
	for _, target := range []string{bundle, path("dir"), path("image.tar"), path("site"), path("oci")} {
		do(0, "list", target)
		do(0, "verify", target)
		do(0, "diff", target, path("lock.json"))
	}
	l.damaged(t, bundle, path("damaged.tar"))
	do(4, "unpack", path("damaged.tar"), "-o", path("dir3"))
	do(4, "verify", path("damaged.tar"))
	do(2, "list", path("not-there"))
	do(3, "pull", from(l.bad, "-o", path("dir4"), "--store", path("store-bad"))...)
	if n < 2 { // it takes a second
		do(3, "pull", from(l.off, "-o", path("dir5"), "--stall-timeout", "1s", "--store", path("store-off"))...)
	}
	cancelled, cancel := context.WithCancel(ctx)
	stop := time.AfterFunc(50*time.Millisecond, cancel)
	l.run(cancelled, t, 130, append([]string{"pull"}, from(l.off, "-o", path("dir6"), "--store", path("store-cut"))...)...)
	stop.Stop()
	cancel()
	if registry != "" {
		do(0, "push", bundle, registry+"/r"+fmt.Sprint(n), "--plain-http", "--seeder", "none")
		do(0, "verify", "docker://"+registry+"/r"+fmt.Sprint(n)+"/botkube-plugins-bundle:"+l.tag(t, path("oci")), "--plain-http")
		do(4, "push", path("damaged.tar"), registry+"/d"+fmt.Sprint(n), "--plain-http", "--seeder", "none")
	}
	do(3, "push", bundle, "127.0.0.1:1/r", "--plain-http", "--seeder", "none", "--retries", "0")
	do(0, "prune", "--store", path("store"))
}

// damaged copies a bundle with a bit of its last file changed.
func (l leaky) damaged(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1024-512] ^= 1
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// tag returns the tag of a bundle in a layout.
func (l leaky) tag(t *testing.T, layout string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), `"org.opencontainers.image.ref.name":"`)
	tag, _, _ := strings.Cut(rest, `"`)
	return tag
}

// held has the resources of this process that a command must release.
type held struct{ goroutines, descriptors int }

func holds() held {
	h := held{goroutines: runtime.NumGoroutine()}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		h.descriptors = len(entries)
	}
	return h
}

// steady waits until the resources do not change for a moment.
func steady() held {
	last := holds()
	for same := 0; same < 20; time.Sleep(10 * time.Millisecond) {
		now := holds()
		if now == last {
			same++
		} else {
			last, same = now, 0
		}
	}
	return last
}

// settled waits until no more is held than before, or gives up. Goroutines take a moment to end.
func settled(before held) held {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		now := holds()
		if now.goroutines <= before.goroutines && now.descriptors <= before.descriptors || time.Now().After(deadline) {
			return now
		}
	}
}

// TestNothingLeaks runs every command a few times, with success and with a failure, and checks that
// goroutines and file descriptors are released. The first round does not count, because some are
// made once and kept.
func TestNothingLeaks(t *testing.T) {
	registry := ""
	if tier.Expected("docker-registry") {
		registry = registrytest.Start(t, registrytest.Options{}).Host
	}
	l := newLeaky(t)
	l.round(t, 0, registry)
	http.DefaultClient.CloseIdleConnections()
	before := steady()
	for n := range tier.Pick(1, 3) {
		l.round(t, n+1, registry)
	}
	if after := settled(before); after.goroutines > before.goroutines || after.descriptors > before.descriptors {
		var stacks bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		t.Errorf("%+v before, %+v after\n%s", before, after, &stacks)
	}
}

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"botkube-mirror": main})
}

// TestScript runs the scripts of testdata/script, each of which drives the
// program as a user would. Beside testscript's own commands they have:
//
//	exits CODE COMMAND...   runs a command that must exit with a code
//	upstream DIR [DELAY]    serves a directory over HTTP at $URL, with DELAY before each piece of 1 KiB
//	requests N PATTERN      the server must have had N requests that match "METHOD PATH"
//	forget                  drops the record of requests
//	snapshot DIR FILE       writes paths, modes, times and digests of a directory to FILE
//	same DIR DIR            paths, modes and digests of two directories must be the same
//	flip-blobs STORE SIZE...
//	                        changes the last byte of the blobs of some sizes
//	flip FILE               changes the last byte of a file
//	flip-blobs STORE SIZE...
//	                        changes the last byte of the blobs of some sizes
//	waitfor FILE PATTERN    waits until a file has a match
//	mode FILE PERM          the permissions of a file must be PERM
//
//	registry NAME [tls] [auth]
//	                        starts a registry at $NAME, with its authority's certificate in $NAME_CA and
//	                        docker's configuration with its password in the directory $NAME_CONFIG
//	proxy NAME REGISTRY METHOD PATH ACTION [times=N] [at=N] [skip=N]
//	                        stands before a registry at $NAME; requests of METHOD with PATH in them
//	                        are answered with a status, or: cut, cutresponse, flip, drop
//	agentimage REGISTRY/PATH:TAG PLATFORM...
//	                        pushes an image for some platforms
//	rootfs DIR ROOT         unpacks the layers of an image that skopeo copied to dir:DIR
//	static-program FILE OS/ARCH
//	                        writes the beginning of a program that needs no libraries
//	chart DIR VERSION [DIGEST]
//	                        writes a chart repository with a chart of Botkube
//
// and the conditions [root], [registry] and [skopeo].
func TestScript(t *testing.T) {
	upstream, err := filepath.Abs("testdata/upstream")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("UPSTREAM", upstream)
			env.Values[registriesKey{}] = registries{}
			env.Setenv("BOTKUBE_MIRROR_STORE", filepath.Join(env.WorkDir, "store"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":          exits,
			"upstream":       serveUpstream,
			"requests":       requests,
			"forget":         func(ts *testscript.TestScript, _ bool, _ []string) { recorded(ts).reset() },
			"snapshot":       snapshot,
			"same":           same,
			"flip":           flip,
			"flip-blobs":     flipBlobs,
			"waitfor":        waitFor,
			"mode":           mode,
			"registry":       startRegistry,
			"proxy":          startProxy,
			"agentimage":     pushAgentImage,
			"chart":          writeChart,
			"rootfs":         flatten,
			"static-program": writeStatic,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "registry":
				return installed("docker-registry"), nil
			case "skopeo":
				return installed("skopeo"), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, not %s\n%s%s", code, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// recorder counts requests.
type recorder struct {
	mu       sync.Mutex
	requests []string
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}

var recorders sync.Map

func recorded(ts *testscript.TestScript) *recorder {
	r, ok := recorders.Load(ts.Getenv("URL"))
	if !ok {
		ts.Fatalf("there is no upstream yet")
	}
	return r.(*recorder)
}

func serveUpstream(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: upstream DIR [DELAY]")
	}
	var delay time.Duration
	if len(args) > 1 {
		var err error
		delay, err = time.ParseDuration(args[1])
		ts.Check(err)
	}
	r := new(recorder)
	files := http.FileServer(http.Dir(ts.MkAbs(args[0])))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.requests = append(r.requests, req.Method+" "+req.URL.Path)
		r.mu.Unlock()
		if delay > 0 {
			w = slowWriter{w, delay, req}
		}
		files.ServeHTTP(w, req)
	}))
	ts.Defer(server.Close)
	ts.Setenv("URL", server.URL)
	recorders.Store(server.URL, r)
}

// slowWriter sends a piece at a time, until the client is gone.
type slowWriter struct {
	http.ResponseWriter
	delay time.Duration
	req   *http.Request
}

func (w slowWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		piece := p[:min(len(p), 1<<10)]
		m, err := w.ResponseWriter.Write(piece)
		n += m
		if err != nil {
			return n, err
		}
		p = p[m:]
		w.ResponseWriter.(http.Flusher).Flush()
		select {
		case <-time.After(w.delay):
		case <-w.req.Context().Done():
			return n, w.req.Context().Err()
		}
	}
	return n, nil
}

func requests(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: requests N PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	r := recorded(ts)
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, line := range r.requests {
		if pattern.MatchString(line) {
			n++
		}
	}
	if strconv.Itoa(n) != args[0] {
		ts.Fatalf("%d requests match, not %s:\n%s", n, args[0], strings.Join(r.requests, "\n"))
	}
}

func snapshot(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: snapshot DIR FILE")
	}
	times := func(fi fs.FileInfo) string { return fi.ModTime().Format(time.RFC3339Nano) + " " }
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(listing(ts, args[0], times)), 0o644))
}

// listing lists paths, modes, digests and what more is wanted of a directory.
func listing(ts *testscript.TestScript, dir string, more func(fs.FileInfo) string) string {
	root := ts.MkAbs(dir)
	var out strings.Builder
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		var sum [sha256.Size]byte
		if fi.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum = sha256.Sum256(data)
		}
		rel, err := filepath.Rel(root, path)
		fmt.Fprintf(&out, "%s %s %s%x\n", rel, fi.Mode(), more(fi), sum)
		return err
	}))
	return out.String()
}

func same(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same DIR DIR")
	}
	none := func(fs.FileInfo) string { return "" }
	if a, b := listing(ts, args[0], none), listing(ts, args[1], none); a != b {
		ts.Fatalf("%s is\n%s\n%s is\n%s", args[0], a, args[1], b)
	}
}

func flip(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		path := ts.MkAbs(name)
		data, err := os.ReadFile(path)
		ts.Check(err)
		data[len(data)-1] ^= 1
		ts.Check(os.WriteFile(path, data, 0o644))
	}
}

func flipBlobs(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: flip-blobs STORE SIZE...")
	}
	blobs, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "blobs", "sha256", "*"))
	ts.Check(err)
	for _, size := range args[1:] {
		found := false
		for _, blob := range blobs {
			if fi, err := os.Stat(blob); err == nil && strconv.FormatInt(fi.Size(), 10) == size {
				flip(ts, false, []string{blob})
				found = true
			}
		}
		if !found {
			ts.Fatalf("no blob has %s bytes", size)
		}
	}
}

func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: waitfor FILE PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		data, _ := os.ReadFile(ts.MkAbs(args[0]))
		if pattern.Match(data) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s has no match for %s:\n%s", args[0], args[1], data)
		}
	}
}

func mode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mode FILE PERM")
	}
	fi, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", fi.Mode().Perm()); (got == args[1]) == neg {
		ts.Fatalf("mode of %s is %s", args[0], got)
	}
}

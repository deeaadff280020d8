package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"debug/elf"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
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

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/fetch/gittest"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/registry/registrytest"
	"github.com/botkube-mirror/botkube-mirror/internal/transfer/tlstest"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"botkube-mirror": main})
}

// TestScript runs the scripts of testdata/script, each of which drives the
// program as a user would. Beside testscript's own commands they have:
//
//	exits CODE COMMAND...   runs a command that must exit with a code
//	upstream DIR [DELAY]    serves a directory over HTTP at $URL, with DELAY after each piece of 1 KiB
//	upstream DIR held       sends 24 KiB of each file at first, and the rest once it is released
//	release                 lets go what is held
//	requests N[+] PATTERN   the server must have had N requests, or as many and more, that match "METHOD PATH"
//	forget                  drops the record of requests
//	snapshot DIR FILE       writes paths, modes, times and digests of a directory to FILE
//	same DIR DIR            paths, modes and digests of two directories must be the same
//	flip-blobs STORE SIZE...
//	                        changes the last byte of the blobs of some sizes
//	flip FILE               changes the last byte of a file
//	cmpline FILE FILE       two files must be the same but for their first line
//	waitfor FILE PATTERN    waits until a file has a match
//	mode FILE PERM          the permissions of a file must be PERM
//	expand FROM TO          copies a file, with the environment variables in it replaced
//	url FILE NAME           puts the first URL in a file at $NAME, and what is before its path at $NAME_HOST
//	get STATUS URL FILE [FIELD: VALUE]...
//	                        writes what comes of a GET to FILE; certificates of $CA are trusted
//	certificate DIR         writes the certificate of loopback to DIR/cert.pem, key.pem and ca.pem
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
//	git NAME DIR REF        commits a directory to the repository NAME of a git server, which then has REF,
//	                        and has git ask it in the place of https://github.com
//	static-program FILE OS/ARCH
//	                        writes the beginning of a program that needs no libraries
//	chart DIR VERSION [DIGEST]
//	                        writes a chart repository with a chart of Botkube
//
//	cloud                   imitates Botkube Cloud over TLS: $CLOUD has indexes for who knows $KEY, $ARCHIVES
//	                        all the rest; $CA is the authority's certificate
//	keyless                 the key went with requests for indexes only, and others were made since the last time
//	asking                  serves $UPSTREAM at $ASKING to whom has a certificate: joe.pem and joe.key are good, old.pem and
//	                        old.key have expired, those of stranger are of another authority
//	httpproxy               starts a proxy at $PROXY ($PROXY_HOST without user and password), which alone knows $INDEX_NAME
//
// and the conditions [root], [registry], [skopeo] and [git].
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
			env.Values[cloudKey{}] = new(cloud)
			env.Values[gitServerKey{}] = &gitServer{}
			env.Values[heldKey{}] = new(held)
			env.Setenv("BOTKUBE_MIRROR_STORE", filepath.Join(env.WorkDir, "store"))
			// With the race detector, each of hundreds of runs would wait a second
			// before it ends.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":          exits,
			"upstream":       serveUpstream,
			"release":        release,
			"requests":       requests,
			"forget":         func(ts *testscript.TestScript, _ bool, _ []string) { recorded(ts).reset() },
			"snapshot":       snapshot,
			"same":           same,
			"flip":           flip,
			"cmpline":        compareLines,
			"forge":          forge,
			"flip-blobs":     flipBlobs,
			"waitfor":        waitFor,
			"mode":           mode,
			"expand":         expand,
			"url":            urlIn,
			"find":           find,
			"get":            get,
			"certificate":    writeCertificate,
			"registry":       startRegistry,
			"proxy":          startProxy,
			"agentimage":     pushAgentImage,
			"chart":          writeChart,
			"rootfs":         flatten,
			"git":            commitToGit,
			"static-program": writeStatic,
			"cloud":          startCloud,
			"keyless":        keyless,
			"asking":         serveAsking,
			"httpproxy":      startHTTPProxy,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "registry":
				return installed("docker-registry"), nil
			case "skopeo":
				return installed("skopeo"), nil
			case "git":
				return gittest.Installed() || os.Getenv(registrytest.RequireEnv) == "1", nil
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
		ts.Fatalf("usage: upstream DIR [DELAY|held]")
	}
	slow := func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter { return w }
	switch {
	case len(args) > 1 && args[1] == "held":
		released := make(chan struct{})
		ts.Value(heldKey{}).(*held).released = released
		slow = func(w http.ResponseWriter, req *http.Request) http.ResponseWriter {
			return &holdingWriter{w, req, released, 24 << 10}
		}
	case len(args) > 1:
		delay, err := time.ParseDuration(args[1])
		ts.Check(err)
		slow = func(w http.ResponseWriter, req *http.Request) http.ResponseWriter { return slowWriter{w, delay, req} }
	}
	r := new(recorder)
	files := http.FileServer(http.Dir(ts.MkAbs(args[0])))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.requests = append(r.requests, req.Method+" "+req.URL.Path)
		r.mu.Unlock()
		files.ServeHTTP(slow(w, req), req)
	}))
	ts.Defer(server.Close)
	ts.Setenv("URL", server.URL)
	recorders.Store(server.URL, r)
}

// held is what the last upstream holds back.
type held struct{ released chan struct{} }

// heldKey is the key of what is held in a script.
type heldKey struct{}

func release(ts *testscript.TestScript, _ bool, _ []string) {
	close(ts.Value(heldKey{}).(*held).released)
}

// holdingWriter sends so much, and the rest when it is released, or nothing once
// the client is gone.
type holdingWriter struct {
	http.ResponseWriter
	req      *http.Request
	released <-chan struct{}
	left     int
}

func (w *holdingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p[:min(len(p), w.left)])
	w.left -= n
	if err != nil || n == len(p) {
		return n, err
	}
	w.ResponseWriter.(http.Flusher).Flush()
	select {
	case <-w.released:
	case <-w.req.Context().Done():
		return n, w.req.Context().Err()
	}
	m, err := w.ResponseWriter.Write(p[n:])
	return n + m, err
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
		ts.Fatalf("usage: requests N[+] PATTERN")
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
	least, open := strings.CutSuffix(args[0], "+")
	want, err := strconv.Atoi(least)
	ts.Check(err)
	if n < want || n > want && !open {
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

func compareLines(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: cmpline FILE FILE")
	}
	_, a, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	_, b, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	if a == "" || a != b {
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

// forge alters a file of a cache directory, and then its index and SHA256SUMS, so
// that they fit.
func forge(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: forge DIR INDEX FILE")
	}
	at := func(name string) string { return filepath.Join(ts.MkAbs(args[0]), filepath.FromSlash(name)) }
	read := func(name string) []byte {
		data, err := os.ReadFile(at(name))
		ts.Check(err)
		return data
	}
	sum := func(name string) []byte { return fmt.Appendf(nil, "%x", sha256.Sum256(read(name))) }
	file, index, sums := args[2], args[1], ".botkube-mirror/SHA256SUMS"
	replace := func(in string, old, to []byte) {
		ts.Check(os.WriteFile(at(in), bytes.ReplaceAll(read(in), old, to), 0o644))
	}
	oldFile, oldIndex := sum(file), sum(index)
	data := read(file)
	data[len(data)-1] ^= 1
	ts.Check(os.WriteFile(at(file), data, 0o755))
	replace(index, oldFile, sum(file))
	replace(sums, oldFile, sum(file))
	replace(sums, oldIndex, sum(index))
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
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
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

func expand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: expand FROM TO")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}

// find sets a variable to what the group of a pattern matches in a file.
func find(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: find FILE PATTERN NAME")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile(args[0]))
	if len(found) != 2 {
		ts.Fatalf("%s does not have %s", args[0], args[1])
	}
	ts.Setenv(args[2], found[1])
}

// urlForm is a URL in what is printed.
var urlForm = regexp.MustCompile(`https?://[^\s"]+`)

func urlIn(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: url FILE NAME")
	}
	found := urlForm.FindString(ts.ReadFile(args[0]))
	if found == "" {
		ts.Fatalf("%s has no URL", args[0])
	}
	ts.Setenv(args[1], found)
	scheme, rest, _ := strings.Cut(found, "://")
	host, _, _ := strings.Cut(rest, "/")
	ts.Setenv(args[1]+"_HOST", scheme+"://"+host)
}

func get(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: get STATUS URL FILE [FIELD: VALUE]...")
	}
	req, err := http.NewRequest(http.MethodGet, args[1], nil)
	ts.Check(err)
	for _, field := range args[3:] {
		name, value, _ := strings.Cut(field, ": ")
		req.Header.Set(name, value)
		req.Host = req.Header.Get("Host")
	}
	roots := x509.NewCertPool()
	if ca := ts.Getenv("CA"); ca != "" {
		roots.AppendCertsFromPEM([]byte(ts.ReadFile(ca)))
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true, DisableCompression: true}
	resp, err := transport.RoundTrip(req)
	ts.Check(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), data, 0o644))
	if strconv.Itoa(resp.StatusCode) != args[0] {
		ts.Fatalf("%s, not %s\n%s", resp.Status, args[0], data)
	}
}

func writeCertificate(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: certificate DIR")
	}
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	ts.Check(registrytest.WriteCertificate(ts.MkAbs(args[0])))
}

// installed reports whether a program is there. Where all must be, it says so
// of every one, and the test fails for want of it.
func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil || os.Getenv(registrytest.RequireEnv) == "1"
}

// gitServer is that of a script, with its repositories by name.
type gitServer struct {
	*gittest.Server
	repositories map[string]*gittest.Repository
}

// gitServerKey is the key of a script's server.
type gitServerKey struct{}

func commitToGit(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: git NAME DIR REF")
	}
	server := ts.Value(gitServerKey{}).(*gitServer)
	if server.Server == nil {
		startGit(ts, server)
	}
	repository := server.repositories[args[0]]
	var err error
	if repository == nil {
		repository, err = server.Create(args[0])
		ts.Check(err)
		server.repositories[args[0]] = repository
	}
	dir := ts.MkAbs(args[1])
	ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		ts.Check(err)
		data, err := os.ReadFile(path)
		ts.Check(err)
		return repository.Write(rel, string(data))
	}))
	commit, err := repository.Commit()
	ts.Check(err)
	ts.Check(repository.Point(args[2]))
	ts.Setenv("COMMIT", commit)
}

func startGit(ts *testscript.TestScript, server *gitServer) {
	root := ts.MkAbs(".git-server")
	ts.Check(os.MkdirAll(root, 0o755))
	s, err := gittest.Start(root)
	ts.Check(err)
	ts.Defer(s.Close)
	config := ts.MkAbs(".gitconfig")
	ts.Check(os.WriteFile(config, fmt.Appendf(nil, "[url %q]\n\tinsteadOf = https://github.com/\n", s.URL+"/"), 0o644))
	ts.Setenv("GIT_CONFIG_GLOBAL", config)
	ts.Setenv("GIT_URL", s.URL)
	server.Server, server.repositories = s, map[string]*gittest.Repository{}
}

// registries are those of a script, by name.
type registries map[string]*registrytest.Registry

func startRegistry(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: registry NAME [tls] [auth]")
	}
	var o registrytest.Options
	for _, option := range args[1:] {
		o.TLS = o.TLS || option == "tls"
		o.Auth = o.Auth || option == "auth"
	}
	dir := ts.MkAbs(".registry-" + args[0])
	ts.Check(os.Mkdir(dir, 0o755))
	r, err := registrytest.StartRegistry(dir, o)
	ts.Check(err)
	ts.Defer(r.Close)
	ts.Check(registrytest.WriteDockerConfig(dir, registrytest.User, registrytest.Password, r.Host))
	ts.Setenv(args[0], r.Host)
	ts.Setenv(args[0]+"_CA", r.CAFile)
	ts.Setenv(args[0]+"_CONFIG", dir)
	ts.Value(registriesKey{}).(registries)[args[0]] = r
}

// registriesKey is the key of a script's registries.
type registriesKey struct{}

func startProxy(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 5 {
		ts.Fatalf("usage: proxy NAME REGISTRY METHOD PATH ACTION [times=N] [at=N] [skip=N]")
	}
	r := ts.Value(registriesKey{}).(registries)[args[1]]
	if r == nil {
		ts.Fatalf("there is no registry %s", args[1])
	}
	fault := registrytest.Fault{Method: args[2], Path: args[3]}
	switch action := args[4]; action {
	case "cut":
		fault.Do = registrytest.CutRequest
	case "cutresponse":
		fault.Do = registrytest.CutResponse
	case "flip":
		fault.Do = registrytest.FlipResponse
	case "drop":
		fault.Do = registrytest.DropResponse
	default:
		status, err := strconv.Atoi(action)
		ts.Check(err)
		fault.Do, fault.Status, fault.Header = registrytest.Answer, status, http.Header{}
	}
	for _, option := range args[5:] {
		key, value, _ := strings.Cut(option, "=")
		n, err := strconv.Atoi(value)
		ts.Check(err)
		switch key {
		case "times":
			fault.Times = n
		case "at":
			fault.At = int64(n)
		case "skip":
			fault.Skip = n
		default:
			ts.Fatalf("unknown option %q", option)
		}
	}
	p, err := r.StartProxy(fault)
	ts.Check(err)
	ts.Setenv(args[0], p.Host)
}

// pushAgentImage pushes an image of random layers, which are the same in every
// run, with an attestation beside them as buildx makes one.
func pushAgentImage(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: agentimage REGISTRY/PATH:TAG PLATFORM...")
	}
	ref, err := name.NewTag(args[0], name.Insecure)
	ts.Check(err)
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	add := func(p v1.Platform) {
		img, err := random.Image(2000, 3)
		ts.Check(err)
		img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: p.OS, Architecture: p.Architecture})
		ts.Check(err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON), Descriptor: v1.Descriptor{Platform: &p}})
	}
	for _, arg := range args[1:] {
		os, arch, _ := strings.Cut(arg, "/")
		add(v1.Platform{OS: os, Architecture: arch})
	}
	add(v1.Platform{OS: "unknown", Architecture: "unknown"})
	ts.Check(remote.WriteIndex(ref, index))
}

// writeChart writes index.yaml and a chart into a directory. A digest that is
// given stands in the index in place of the right one; "none" leaves it out.
func writeChart(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: chart DIR VERSION [DIGEST]")
	}
	dir, version := ts.MkAbs(args[0]), args[1]
	chart := fmt.Sprintf("apiVersion: v2\nname: botkube\nversion: %s\nappVersion: %s\ndescription: Controller for the Botkube Slack app\n", version, version)
	var tgz bytes.Buffer
	zw := gzip.NewWriter(&tgz)
	tw := tar.NewWriter(zw)
	for _, file := range []struct{ name, data string }{
		{"botkube/Chart.yaml", chart},
		{"botkube/values.yaml", "image:\n  registry: ghcr.io\n"},
		{"botkube/templates/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"},
	} {
		ts.Check(tw.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.data)), Typeflag: tar.TypeReg}))
		_, err := tw.Write([]byte(file.data))
		ts.Check(err)
	}
	ts.Check(tw.Close())
	ts.Check(zw.Close())
	digest := lock.Sum(tgz.Bytes()).String()
	if len(args) > 2 {
		digest = strings.TrimPrefix(args[2], "none")
	}
	file := "botkube-" + version + ".tgz"
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, file), tgz.Bytes(), 0o644))
	index := fmt.Sprintf("apiVersion: v1\nentries:\n  botkube:\n  - name: botkube\n    version: 0.0.1\n    urls: [none.tgz]\n  - name: botkube\n    version: %s\n    urls: [%s]\n    digest: %q\n", version, file, digest)
	ts.Check(os.WriteFile(filepath.Join(dir, "index.yaml"), []byte(index), 0o644))
}

// flatten makes of the layers that skopeo wrote to a directory (dir:) the root
// file system that a container runtime would.
func flatten(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: rootfs DIR ROOT")
	}
	from, root := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	data, err := os.ReadFile(filepath.Join(from, "manifest.json"))
	ts.Check(err)
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	ts.Check(err)
	for _, layer := range manifest.Layers {
		f, err := os.Open(filepath.Join(from, layer.Digest.Hex))
		ts.Check(err)
		zr, err := gzip.NewReader(f)
		ts.Check(err)
		ts.Check(untar(zr, root))
		ts.Check(f.Close())
	}
}

func untar(r io.Reader, root string) error {
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(h.Name) || h.Uid != 0 || h.Gid != 0 {
			return fmt.Errorf("layer entry %s of %d:%d", h.Name, h.Uid, h.Gid)
		}
		to := filepath.Join(root, h.Name)
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(to, 0o755); err != nil {
				return err
			}
			continue
		}
		data, err := io.ReadAll(tr)
		if err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
		if err == nil {
			err = os.Chmod(to, h.FileInfo().Mode())
		}
		if err != nil {
			return err
		}
	}
}

// writeStatic writes the header of a program that needs no libraries. Package image
// tries real ones.
func writeStatic(ts *testscript.TestScript, _ bool, args []string) {
	machines := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}
	if len(args) != 2 || machines[args[1]] == 0 {
		ts.Fatalf("usage: static-program FILE OS/ARCH")
	}
	header := elf.Header64{
		Ident:   [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_EXEC),
		Machine: uint16(machines[args[1]]), Version: uint32(elf.EV_CURRENT),
		Entry: 0x10000, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	var program bytes.Buffer
	ts.Check(binary.Write(&program, binary.LittleEndian, header))
	ts.Check(binary.Write(&program, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: 0x10000, Filesz: 120, Memsz: 120}))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), program.Bytes(), 0o755))
}

// indexName is a host's name that only a proxy resolves (RFC 6761, section 6.2).
const indexName = "index.example.test"

// privateAuthority is that of every server of the scripts.
var privateAuthority = sync.OnceValue(func() *tlstest.Authority { return tlstest.NewAuthority("script authority") })

// apiKey is what the imitated Botkube Cloud wants to see.
const apiKey = "k3y-that-nobody-may-see"

// writeAuthority sets $CA.
func writeAuthority(ts *testscript.TestScript) {
	file := filepath.Join(ts.Getenv("WORK"), "ca.pem")
	ts.Check(os.WriteFile(file, privateAuthority().PEM(), 0o644))
	ts.Setenv("CA", file)
}

func startTLS(ts *testscript.TestScript, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.TLS = privateAuthority().Server(indexName)
	s.Config.ErrorLog = silent
	s.StartTLS()
	ts.Defer(s.Close)
	return s
}

// cloud imitates Botkube Cloud: one host has the index, the other the archives.
type cloud struct {
	index, archives *httptest.Server
	document        string
	mu              sync.Mutex
	// seen are the header fields and URLs of requests that are no business of the key.
	seen []string
}

// cloudKey is the key of a script's cloud.
type cloudKey struct{}

func startCloud(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: cloud")
	}
	c := ts.Value(cloudKey{}).(*cloud)
	files := http.FileServer(http.Dir(ts.Getenv("UPSTREAM")))
	c.archives = startTLS(ts, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c.note(req)
		if req.URL.Path == "/absolute.yaml" {
			_, _ = io.WriteString(w, c.document)
			return
		}
		files.ServeHTTP(w, req)
	}))
	c.index = startTLS(ts, http.HandlerFunc(c.serveIndex))
	document, err := os.ReadFile(filepath.Join(ts.Getenv("UPSTREAM"), "plugins-index.yaml"))
	ts.Check(err)
	// Archives come from the other host, dependencies by way of a redirect to it.
	c.document = strings.NewReplacer(
		"url: archives/", "url: "+c.archives.URL+"/archives/",
		"url: dependencies/", "url: "+c.index.URL+"/lead/dependencies/",
		"refURL: ", "refURL: "+c.archives.URL+"/",
	).Replace(string(document))
	ts.Setenv("CLOUD", c.index.URL)
	ts.Setenv("ARCHIVES", c.archives.URL)
	ts.Setenv("KEY", apiKey)
	writeAuthority(ts)
}

func (c *cloud) note(req *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, fmt.Sprint(req.Method, " ", req.URL, " ", req.Header))
}

func (c *cloud) serveIndex(w http.ResponseWriter, req *http.Request) {
	if path, found := strings.CutPrefix(req.URL.Path, "/lead"); found {
		c.note(req)
		http.Redirect(w, req, c.archives.URL+path+"?X-Goog-Signature=s1gned", http.StatusFound)
		return
	}
	switch {
	case req.Header.Get("X-API-Key") == "":
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case req.Header.Get("X-API-Key") != apiKey:
		http.Error(w, "no: "+req.Header.Get("X-API-Key"), http.StatusForbidden)
	case req.URL.Path == "/elsewhere.yaml":
		http.Redirect(w, req, c.archives.URL+"/absolute.yaml", http.StatusTemporaryRedirect)
	case req.URL.Path == "/moved.yaml":
		http.Redirect(w, req, "/plugins-index.yaml", http.StatusTemporaryRedirect)
	case req.URL.Path == "/insecure.yaml":
		http.Redirect(w, req, strings.Replace(c.archives.URL, "https:", "http:", 1)+"/plugins-index.yaml", http.StatusFound)
	default:
		_, _ = io.WriteString(w, c.document)
	}
}

// keyless wants that the key went with requests for the index only, and that others
// were made.
func keyless(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: keyless")
	}
	c := ts.Value(cloudKey{}).(*cloud)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen) == 0 {
		ts.Fatalf("no requests were made for archives")
	}
	for _, request := range c.seen {
		if strings.Contains(request, apiKey) {
			ts.Fatalf("the key went with %s", request)
		}
	}
	c.seen = nil
}

// serveAsking serves $UPSTREAM over TLS to whom has a certificate, of which there are some.
func serveAsking(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: asking")
	}
	a := privateAuthority()
	s := httptest.NewUnstartedServer(http.FileServer(http.Dir(ts.Getenv("UPSTREAM"))))
	s.TLS, s.Config.ErrorLog = a.Asking(), silent
	s.StartTLS()
	ts.Defer(s.Close)
	ts.Setenv("ASKING", s.URL)
	writeAuthority(ts)
	write := func(name string, data []byte) { ts.Check(os.WriteFile(ts.MkAbs(name), data, 0o600)) }
	for name, made := range map[string]struct {
		by    *tlstest.Authority
		until time.Duration
	}{"joe": {a, time.Hour}, "old": {a, -time.Hour}, "stranger": {tlstest.NewAuthority("another"), time.Hour}} {
		cert, key := made.by.Client(name, -2*time.Hour, made.until)
		write(name+".pem", cert)
		write(name+".key", key)
	}
}

// proxyUser and proxyPassword are those that the proxy wants.
const proxyUser, proxyPassword = "proxyuser", "pr0xypassword"

// startHTTPProxy starts a proxy at $PROXY, with user and password in the URL, and at
// $PROXY_HOST, without. It alone knows $INDEX_NAME, which leads to $UPSTREAM. Its
// requests are recorded at $URL.
func startHTTPProxy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: httpproxy")
	}
	files := http.FileServer(http.Dir(ts.Getenv("UPSTREAM")))
	secure, plain := startTLS(ts, files), httptest.NewServer(files)
	ts.Defer(plain.Close)
	r := new(recorder)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+proxyPassword)) {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		r.mu.Lock()
		r.requests = append(r.requests, req.Method+" "+req.RequestURI)
		r.mu.Unlock()
		switch {
		case strings.HasPrefix(req.RequestURI, "refused."):
			w.WriteHeader(http.StatusForbidden)
		case req.Method == http.MethodConnect:
			tunnel(w, secure.Listener.Addr().String())
		default:
			files.ServeHTTP(w, req)
		}
	}))
	ts.Defer(proxy.Close)
	host := strings.TrimPrefix(proxy.URL, "http://")
	ts.Setenv("PROXY", "http://"+proxyUser+":"+proxyPassword+"@"+host)
	ts.Setenv("PROXY_HOST", host)
	ts.Setenv("INDEX_NAME", indexName)
	ts.Setenv("URL", proxy.URL)
	recorders.Store(proxy.URL, r)
	writeAuthority(ts)
}

// tunnel connects a client of a proxy to a server (RFC 9110, section 9.3.6).
func tunnel(w http.ResponseWriter, to string) {
	server, err := net.Dial("tcp", to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	go func() {
		_, _ = io.Copy(server, buffered)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
	_ = client.Close()
}

// silent is for servers whose clients misbehave.
var silent = log.New(io.Discard, "", 0)

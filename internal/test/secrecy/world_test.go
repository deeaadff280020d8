//go:build linux

package secrecy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/test/proxytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// indexName is a host that only the proxy knows (RFC 6761, section 6.2).
const indexName = "index.example.test"

// world is the servers that want credentials, and the directory in which the
// program finds them, and another in which it writes.
type world struct {
	t           *testing.T
	authority   *tlstest.Authority
	inputs, out string
	env         []string
	secrets     map[string]secret
	// searched are the files in which there are none, as they were then.
	searched map[string]fs.FileInfo
	// met are the secrets that servers were shown.
	met map[string]bool
	mu  sync.Mutex
	// pid is the program's, while it runs; commands are the command lines that it
	// and its children had meanwhile.
	pid      atomic.Int64
	commands map[string]bool
	// trouble is what servers do to requests whose path ends in plugin.
	trouble atomic.Value
	// hung gets something when a download hangs.
	hung chan struct{}

	index, basic, machine, archives, storage, registry *httptest.Server
	proxyHost                                          string
}

// The troubles.
const (
	none     = ""
	missing  = "404"
	denied   = "401"
	corrupt  = "corrupt"
	hanging  = "hang"
	tooClear = "clear"
)

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, authority: tlstest.NewAuthority("secrecy"), inputs: t.TempDir(), out: t.TempDir(),
		secrets: map[string]secret{}, searched: map[string]fs.FileInfo{}, met: map[string]bool{}, commands: map[string]bool{}, hung: make(chan struct{}, 100),
	}
	w.trouble.Store(none)
	for _, s := range []struct{ name, user string }{
		{"header", ""}, {"wrong header", ""}, {"user information", "urluser"}, {"netrc", "netrcuser"}, {"proxy", "proxyuser"},
		{"signature", ""}, {"other parameter", ""}, {"docker login", "dockeruser"}, {"registry token", ""}, {"wrong login", "dockeruser"}, {"bot token", ""},
	} {
		w.secrets[s.name] = newSecret(s.name, s.user, fmt.Sprintf("s3cr3t%016x", rand.Uint64()))
	}
	w.startServers()
	w.writeInputs()
	return w
}

func (w *world) value(name string) string { return w.secrets[name].value }

func (w *world) all() []secret {
	var all []secret
	for _, s := range w.secrets {
		all = append(all, s)
	}
	return all
}

// saw notes that a server was shown a secret, if ok.
func (w *world) saw(name string, ok bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.met[name] = w.met[name] || ok
	return ok
}

func (w *world) start(h http.HandlerFunc, ask bool) *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		w.sample()
		h(rw, req)
	}))
	s.TLS = w.authority.Server(indexName)
	if ask {
		s.TLS = w.authority.Asking()
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	w.t.Cleanup(s.Close)
	return s
}

func (w *world) startServers() {
	w.index = w.start(w.serveIndex, false)
	w.basic = w.start(w.serveBasic("urluser", "user information"), false)
	w.machine = w.start(w.serveBasic("netrcuser", "netrc"), false)
	w.storage = w.start(func(rw http.ResponseWriter, req *http.Request) {
		q := req.URL.Query()
		if !w.saw("signature", q.Get("X-Goog-Signature") == w.value("signature")) || !w.saw("other parameter", q.Get("odd") == w.value("other parameter")) {
			refuse(rw, req, http.StatusForbidden)
			return
		}
		w.serveFile(rw, req)
	}, true)
	w.archives = w.start(func(rw http.ResponseWriter, req *http.Request) {
		to := w.storage.URL + req.URL.Path + "?X-Goog-Signature=" + w.value("signature") + "&odd=" + w.value("other parameter")
		if w.trouble.Load() == tooClear {
			to = strings.Replace(to, "https:", "http:", 1)
		}
		http.Redirect(rw, req, to, http.StatusFound)
	}, false)
	w.startRegistry()
	proxy := httptest.NewServer(http.HandlerFunc(w.serveProxy))
	w.t.Cleanup(proxy.Close)
	w.proxyHost = strings.TrimPrefix(proxy.URL, "http://")
}

// refuse answers with what was sent, as some servers do.
func refuse(rw http.ResponseWriter, req *http.Request, code int) {
	rw.Header().Set("X-Debug", fmt.Sprint(req.Header))
	http.Error(rw, fmt.Sprint("no: ", req.URL, req.Header), code)
}

func (w *world) serveIndex(rw http.ResponseWriter, req *http.Request) {
	if w.saw("wrong header", req.Header.Get("X-API-Key") == w.value("wrong header")) || !w.saw("header", req.Header.Get("X-API-Key") == w.value("header")) {
		refuse(rw, req, http.StatusUnauthorized)
		return
	}
	_, _ = io.WriteString(rw, document(w.archives.URL+"/plugin", digest))
}

// serveBasic serves an index and what it names, and a chart.
func (w *world) serveBasic(user, secret string) http.HandlerFunc {
	return func(rw http.ResponseWriter, req *http.Request) {
		got, password, _ := req.BasicAuth()
		if !w.saw(secret, got == user && password == w.value(secret)) {
			refuse(rw, req, http.StatusUnauthorized)
			return
		}
		switch filepath.Base(req.URL.Path) {
		case "plugins-index.yaml":
			_, _ = io.WriteString(rw, document("plugin", ""))
		case "index.yaml":
			_, _ = io.WriteString(rw, "apiVersion: v1\nentries:\n  botkube:\n  - name: botkube\n    version: 1.0.0\n    urls: [botkube.tgz]\n")
		case "botkube.tgz":
			_, _ = rw.Write(chart())
		default:
			w.serveFile(rw, req)
		}
	}
}

// content is that of every plugin.
var content = func() []byte {
	data := make([]byte, 300<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	return data
}()

var digest = fmt.Sprintf("%x", sha256.Sum256(content))

func document(url, checksum string) string {
	return fmt.Sprintf("entries:\n- name: plugin\n  type: executor\n  version: v1.0.0\n  urls:\n  - url: %s\n    checksum: %q\n    platform: {os: linux, architecture: amd64}\n", url, checksum)
}

func (w *world) serveFile(rw http.ResponseWriter, req *http.Request) {
	if filepath.Base(req.URL.Path) != "plugin" {
		http.NotFound(rw, req)
		return
	}
	rw.Header().Set("ETag", `"1"`)
	switch data := content; w.trouble.Load() {
	case missing:
		http.NotFound(rw, req)
	case denied:
		refuse(rw, req, http.StatusUnauthorized)
	case corrupt:
		http.ServeContent(rw, req, "", time.Time{}, bytes.NewReader(append([]byte("x"), data[1:]...)))
	case hanging:
		if req.Method == http.MethodHead {
			http.ServeContent(rw, req, "", time.Time{}, bytes.NewReader(data))
			return
		}
		rw.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = rw.Write(data[:len(data)/2])
		_ = http.NewResponseController(rw).Flush()
		w.hung <- struct{}{}
		<-req.Context().Done()
	default:
		http.ServeContent(rw, req, "", time.Time{}, bytes.NewReader(data))
	}
}

// chart returns a chart of Botkube.
func chart() []byte {
	var tgz bytes.Buffer
	zw := gzip.NewWriter(&tgz)
	tw := tar.NewWriter(zw)
	text := "apiVersion: v2\nname: botkube\nversion: 1.0.0\n"
	_ = tw.WriteHeader(&tar.Header{Name: "botkube/Chart.yaml", Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg})
	_, _ = io.WriteString(tw, text)
	_, _ = tw.Close(), zw.Close()
	return tgz.Bytes()
}

func (w *world) serveProxy(rw http.ResponseWriter, req *http.Request) {
	w.sample()
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("proxyuser:"+w.value("proxy")))
	if !w.saw("proxy", req.Header.Get("Proxy-Authorization") == want) {
		refuse(rw, req, http.StatusProxyAuthRequired)
		return
	}
	if req.Method != http.MethodConnect {
		refuse(rw, req, http.StatusBadGateway)
		return
	}
	proxytest.Tunnel(rw, w.index.Listener.Addr().String())
}

// startRegistry starts a registry that gives tokens (distribution specification,
// token authentication), with an image of the agent.
func (w *world) startRegistry() {
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	w.registry = w.start(func(rw http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/token" {
			user, password, _ := req.BasicAuth()
			wrong := w.saw("wrong login", password == w.value("wrong login"))
			if wrong || !w.saw("docker login", user == "dockeruser" && password == w.value("docker login")) {
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(http.StatusUnauthorized)
				_ = json.NewEncoder(rw).Encode(map[string]any{"errors": []map[string]string{{"code": "DENIED", "message": "not with " + password + " or " + req.Header.Get("Authorization")}}})
				return
			}
			_ = json.NewEncoder(rw).Encode(map[string]string{"token": w.value("registry token")})
			return
		}
		if !w.saw("registry token", req.Header.Get("Authorization") == "Bearer "+w.value("registry token")) {
			rw.Header().Set("WWW-Authenticate", `Bearer realm="`+w.registry.URL+`/token",service="secrecy"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.Contains(req.URL.Path, "/denied/") {
			refuse(rw, req, http.StatusForbidden)
			return
		}
		inner.ServeHTTP(rw, req)
	}, false)
	unlocked := httptest.NewServer(inner)
	defer unlocked.Close()
	img, err := random.Image(2000, 2)
	check(w.t, err)
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	check(w.t, err)
	for _, image := range []string{"botkube:v1.0.0", "k8s-sidecar:ignore-initial-events"} {
		ref, err := name.NewTag(strings.TrimPrefix(unlocked.URL, "http://")+"/"+image, name.Insecure)
		check(w.t, err)
		check(w.t, remote.Write(ref, mutate.MediaType(img, types.OCIManifestSchema1)))
	}
}

func (w *world) registryHost() string { return strings.TrimPrefix(w.registry.URL, "https://") }

func (w *world) input(name string) string { return filepath.Join(w.inputs, name) }

// writeInputs writes the files in which credentials are.
func (w *world) writeInputs() {
	write := func(name, text string, mode os.FileMode) {
		check(w.t, os.WriteFile(w.input(name), []byte(text), mode))
	}
	machine := strings.TrimPrefix(w.machine.URL, "https://")
	write("netrc", "machine "+machine+" login netrcuser password "+w.value("netrc")+"\n", 0o600)
	write("garbled.netrc", "machine "+machine+" login netrcuser password x "+w.value("netrc")+"\n", 0o600)
	write("ca.pem", string(w.authority.PEM()), 0o600)
	write("config.yaml", fmt.Sprintf("header: {cloud: {X-API-Key: %s}}\nrepository: {basic: '%s'}\n", w.value("wrong header"), w.withUser("https://127.0.0.1:1/x.yaml")), 0o600)
	write("values.yaml", fmt.Sprintf(values, indexName, w.value("header"), w.value("bot token")), 0o600)
	write("cloud.yaml", "config: {provider: {identifier: x, apiKey: "+w.value("header")+"}}\n", 0o600)
	write("nolist.yaml", "extraVolumes: {token: "+w.value("bot token")+"}\n", 0o600)
	cert, key := w.authority.Client("joe", -time.Hour, time.Hour)
	write("client.pem", string(cert), 0o600)
	write("client.key", string(key), 0o600)
	block, _ := pem.Decode(key)
	w.secrets["private key"] = secret{name: "private key", forms: []string{string(block.Bytes), base64.StdEncoding.EncodeToString(block.Bytes)[48:96]}}
	for dir, login := range map[string]string{"docker": "docker login", "wrong": "wrong login"} {
		check(w.t, os.Mkdir(w.input(dir), 0o700))
		auth := base64.StdEncoding.EncodeToString([]byte("dockeruser:" + w.value(login)))
		write(dir+"/config.json", fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, w.registryHost(), auth), 0o600)
	}
	check(w.t, os.Mkdir(w.input("helper"), 0o700))
	write("helper/config.json", fmt.Sprintf(`{"credHelpers": {%q: "secrecy"}}`, w.registryHost()), 0o600)
	write("docker-credential-secrecy", fmt.Sprintf("#!/bin/sh\ncat /proc/$$/cmdline /proc/$PPID/cmdline >> %s\necho '{\"Username\": \"dockeruser\", \"Secret\": \"%s\"}'\n", w.input("helper/cmdlines"), w.value("docker login")), 0o700)
	w.env = []string{
		"HOME=" + w.out, "TMPDIR=" + w.out, "PATH=" + w.inputs + ":" + os.Getenv("PATH"),
		"NETRC=" + w.input("netrc"), "DOCKER_CONFIG=" + w.input("docker"),
		"HTTPS_PROXY=http://proxyuser:" + w.value("proxy") + "@" + w.proxyHost,
		"API_KEY=" + w.value("header"), "WRONG_KEY=" + w.value("wrong header"),
		"BOTKUBE_MIRROR_REPOSITORY=" + strings.Join([]string{
			"cloud=https://" + indexName + "/plugins-index.yaml",
			"basic=" + w.withUser(w.basic.URL) + "/plugins-index.yaml",
			"machine=" + w.machine.URL + "/plugins-index.yaml",
		}, ","),
	}
}

// values are of Botkube's Helm chart.
const values = `
plugins: {repositories: {cloud: {url: "https://%s/plugins-index.yaml", headers: {X-API-Key: %s}}}}
executors: {tools: {cloud/plugin: {enabled: true}}}
communications:
  default-group:
    socketSlack: {enabled: true, botToken: %s, channels: {default: {bindings: {executors: [tools], sources: []}}}}
`

// withUser returns a URL with user and password.
func (w *world) withUser(url string) string {
	return strings.Replace(url, "://", "://urluser:"+w.value("user information")+"@", 1)
}

// sample notes the command lines of the program and of its children.
func (w *world) sample() {
	pid := w.pid.Load()
	if pid == 0 {
		return
	}
	family := map[int64]bool{pid: true}
	processes, _ := os.ReadDir("/proc")
	var younger []int64
	for _, process := range processes {
		// A child has a higher number than its parent, unless numbers began anew.
		if own, err := strconv.ParseInt(process.Name(), 10, 64); err == nil && own > pid {
			younger = append(younger, own)
		}
	}
	slices.Sort(younger)
	for _, own := range younger {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", own))
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			continue
		}
		if parent, _ := strconv.ParseInt(fields[1], 10, 64); family[parent] {
			family[own] = true
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for member := range family {
		if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", member)); err == nil {
			w.commands[string(data)] = true
		}
	}
}

// run is one of the program.
type run struct {
	args []string
	// env is more of the environment.
	env  []string
	code int
	// stop, if not nil, ends the program when a download hangs.
	stop    os.Signal
	trouble string
	// says must be in what is told on standard error.
	says string
}

// try runs the program, and looks at all that it says and leaves.
func (w *world) try(r run) {
	w.t.Helper()
	w.trouble.Store(r.trouble)
	for len(w.hung) > 0 {
		<-w.hung
	}
	cmd := exec.Command(product, r.args...)
	cmd.Dir, cmd.Env = w.out, append(w.env, r.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	check(w.t, cmd.Start())
	w.pid.Store(int64(cmd.Process.Pid))
	defer w.pid.Store(0)
	w.sample()
	if r.stop != nil {
		select {
		case <-w.hung:
		case <-time.After(time.Minute):
			w.t.Error("nothing hangs")
		}
		time.Sleep(50 * time.Millisecond) // some of the download is to be in the store
		check(w.t, cmd.Process.Signal(r.stop))
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != r.code || !strings.Contains(stderr.String(), r.says) {
		w.t.Errorf("exit code %d, not %d, or it does not say %q\n%s%s", code, r.code, r.says, &stdout, &stderr)
	}
	for what, data := range map[string][]byte{"standard output": stdout.Bytes(), "standard error": stderr.Bytes()} {
		search(w.t, what, data, w.all())
	}
	searchDir(w.t, w.out, w.all(), w.searched)
}

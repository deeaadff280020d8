//go:build unix

package docs

import (
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/test/gittest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/proxytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// A world is what the commands of a page see: directories of their own, and, through a proxy, servers
// that go by the names of the real ones.
type world struct {
	root  string // has what the test needs itself
	env   []string
	proxy string
	// places are the directories that pages name, longer ones first, and those in their place.
	places []place
	// ports has the ports that a page shows, and those that are used in their place.
	ports map[string]string
	mu    sync.Mutex
}

// secret is the password of user you at harbor.example.com, and the X-API-Key that
// private.example.com wants for its index.
const secret = "s3cret"

// hosts are the servers of the world. ghcr.io has Botkube's images; the registries that pages push to,
// registry.example.com and harbor.example.com, are empty at first.
func hosts() map[string]http.Handler {
	found := map[string]http.Handler{"ghcr.io": images(), "registry.example.com": newRegistry()}
	for file := range official() {
		host, _, _ := strings.Cut(file, "/")
		found[host] = http.HandlerFunc(serveFile)
	}
	found["github.com"] = http.HandlerFunc(serveGitHub)
	found["artifactory.example.com"] = http.HandlerFunc(serveProxied)
	found["nexus.example.com"] = http.HandlerFunc(serveProxied)
	found["git.example.com"] = http.HandlerFunc(serveProxied)
	found["private.example.com"] = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if path.Base(req.URL.Path) == "plugins-index.yaml" && req.Header.Get("X-API-Key") != secret {
			http.Error(w, "no key", http.StatusUnauthorized)
			return
		}
		serveFile(w, req)
	})
	registry := newRegistry()
	found["harbor.example.com"] = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); user != "you" || password != secret {
			w.Header().Set("WWW-Authenticate", `Basic realm="harbor"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		registry.ServeHTTP(w, req)
	})
	return found
}

// proxied are the repositories of Artifactory and Nexus, by name.
var proxied = map[string]string{"github": "github.com", "github-raw": "raw.githubusercontent.com", "k8s": "dl.k8s.io", "helm": "get.helm.sh", "botkube-charts": "charts.botkube.io"}

// serveProxied answers as Artifactory and Nexus do for servers of the internet, and as a git server
// with mirrors of their repositories.
func serveProxied(w http.ResponseWriter, req *http.Request) {
	parts := strings.SplitN(strings.TrimPrefix(req.URL.Path, "/"), "/", 3)
	instead := req.Clone(req.Context())
	switch {
	case parts[0] == "v2" && len(parts) == 3 && parts[1] == "ghcr":
		instead.URL.Path = "/v2/" + parts[2]
		images().ServeHTTP(w, instead)
	case parts[0] == "v2":
	case parts[0] == "mirrors":
		instead.URL.Path = "/kubeshop/" + strings.Join(parts[1:], "/")
		gitServer().ServeHTTP(w, instead)
	case len(parts) == 3 && proxied[parts[1]] != "":
		instead.Host, instead.URL.Path = proxied[parts[1]], "/"+parts[2]
		serveFile(w, instead)
	default:
		http.NotFound(w, req)
	}
}

func serveFile(w http.ResponseWriter, req *http.Request) {
	data, ok := official()[path.Join(req.Host, req.URL.Path)]
	if !ok {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("ETag", `"`+sum(data)+`"`)
	http.ServeContent(w, req, "", released, strings.NewReader(string(data)))
}

func serveGitHub(w http.ResponseWriter, req *http.Request) {
	repository, page, _ := strings.Cut(req.URL.Path, "/releases/")
	switch {
	case page == "latest":
		http.Redirect(w, req, repository+"/releases/tag/v1.14.0", http.StatusFound)
	case strings.HasPrefix(page, "tag/"):
	case strings.Contains(req.URL.Path, ".git/"):
		gitServer().ServeHTTP(w, req)
	default:
		serveFile(w, req)
	}
}

// gitServer has the repository from which the plugin exec takes its templates. It lives as long as
// the process.
var gitServer = sync.OnceValue(func() http.Handler {
	s := must(gittest.Start(must(os.MkdirTemp(scratch, "git-"))))
	r := must(s.Create("kubeshop/botkube.git"))
	for _, name := range []string{"helm", "flux"} {
		check(r.Write("cmd/executor/exec/templates/"+name+".yaml", "templates:\n  - trigger:\n      command:\n        prefix: "+name+"\n"))
	}
	must(r.Commit())
	check(r.Point("refs/heads/release-1.8"))
	return httputil.NewSingleHostReverseProxy(must(url.Parse(s.URL)))
})

func newRegistry() http.Handler {
	return registry.New(registry.Logger(silent), registry.WithReferrersSupport(true))
}

var silent = log.New(io.Discard, "", 0)

// images is a registry that has the agent's image. Nothing is pushed to it, so all pages share it.
var images = sync.OnceValue(func() http.Handler {
	h := newRegistry()
	s := httptest.NewServer(h)
	defer s.Close()
	for _, version := range []string{"v1.13.0", "v1.14.0"} {
		index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
		for _, p := range []platform{{"linux", "amd64"}, {"linux", "arm64"}} {
			layer := static.NewLayer(tarball(map[string][]byte{"usr/local/bin/botkube": binaryFor(p, "botkube "+version, 80<<10)}), types.OCILayer)
			img := must(mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer))
			img = must(mutate.ConfigFile(img, &v1.ConfigFile{OS: p.os, Architecture: p.arch, Config: v1.Config{Entrypoint: []string{"botkube"}}, RootFS: must(img.ConfigFile()).RootFS}))
			index = mutate.AppendManifests(index, mutate.IndexAddendum{
				Add: mutate.ConfigMediaType(img, types.OCIConfigJSON), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: p.os, Architecture: p.arch}},
			})
		}
		ref := must(name.NewTag(strings.TrimPrefix(s.URL, "http://")+"/kubeshop/botkube:"+version, name.Insecure))
		check(remote.WriteIndex(ref, index))
	}
	return h
})

func newWorld(t testing.TB, repository string) *world {
	if !gittest.Installed() {
		tier.Missing(t, "there is no git that can serve")
	}
	w := &world{root: must(filepath.EvalSymlinks(t.TempDir())), ports: map[string]string{}}
	w.makePlaces(t)
	servers := hosts()
	authority := tlstest.NewAuthority("docs")
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		servers[req.Host].ServeHTTP(rw, req)
	}))
	secure.TLS, secure.Config.ErrorLog = authority.Server(slices.Collect(maps.Keys(servers))...), silent
	secure.StartTLS()
	t.Cleanup(secure.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		host, port, _ := net.SplitHostPort(req.Host)
		if host == "" {
			host, port = req.Host, "80"
		}
		w.mu.Lock()
		real := w.ports[port]
		w.mu.Unlock()
		switch {
		case req.Method == http.MethodConnect && port == "443" && servers[host] != nil:
			proxytest.Tunnel(rw, secure.Listener.Addr().String())
		case req.Method == http.MethodConnect && real != "":
			proxytest.Tunnel(rw, "127.0.0.1:"+real)
		case real != "": // the mirror that a page serves, by a name
			(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Host = "127.0.0.1:" + real }}).ServeHTTP(rw, req)
		default:
			http.Error(rw, "the world of the docs has no "+req.Host, http.StatusBadGateway)
		}
	}))
	t.Cleanup(proxy.Close)
	w.proxy = strings.TrimPrefix(proxy.URL, "http://")

	ca := w.write("etc/ca.pem", authority.PEM(), 0o644)
	certificate, key := authority.Site(-time.Hour, 24*time.Hour, "mirror.example.com", "localhost")
	w.write("etc/tls.crt", certificate, 0o644)
	w.write("etc/tls.key", key, 0o600)
	w.write("bin/go", []byte(goProgram), 0o755)
	seeder := w.write("etc/botkube-mirror-linux-amd64", binaryFor(platform{"linux", "amd64"}, "seeder", 100<<10), 0o755)
	w.write("bin/botkube-mirror", fmt.Appendf(nil, startProgram, seeder, binaryPath), 0o755)
	check(os.WriteFile(w.real(home+"/.gitconfig"), []byte("[user]\n\tname = You\n\temail = you@example.com\n[init]\n\tdefaultBranch = main\n"), 0o644))
	check(os.WriteFile(w.real(home+"/.curlrc"), []byte("suppress-connect-headers\n"), 0o644))
	check(os.MkdirAll(w.real(work), 0o755))
	check(os.Mkdir(filepath.Join(w.root, "tmp"), 0o755))
	w.env = []string{
		"PATH=" + filepath.Join(w.root, "bin") + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + w.real(home), "TMPDIR=" + filepath.Join(w.root, "tmp"), "USER=you", "LOGNAME=you",
		"LC_ALL=C.UTF-8", "TZ=UTC", "TERM=dumb", "COLUMNS=80",
		// For hidden commands: the repository, and where ca.pem, tls.crt and tls.key are.
		"REPOSITORY=" + repository, "TEST=" + filepath.Join(w.root, "etc"),
		"HTTPS_PROXY=" + proxy.URL, "https_proxy=" + proxy.URL, "HTTP_PROXY=" + proxy.URL, "http_proxy=" + proxy.URL, "NO_PROXY=localhost,127.0.0.1", "no_proxy=localhost,127.0.0.1",
		"SSL_CERT_FILE=" + ca, "CURL_CA_BUNDLE=" + ca, "GIT_SSL_CAINFO=" + ca, "GIT_CONFIG_NOSYSTEM=1",
		// A terminal shows a bar, which is gone at the end.
		"BOTKUBE_MIRROR_NO_PROGRESS=true",
		"GORACE=atexit_sleep_ms=0",
	}
	return w
}

const (
	home = "/home/you"
	work = home + "/mirror"
	// goProgram stands for Go, which would build the program anew.
	goProgram = `#!/bin/sh
[ "$1 $2" = "run ." ] || { echo "the docs can run no other Go command than 'go run .'" >&2; exit 2; }
shift 2
exec botkube-mirror "$@"
`
	// startProgram starts the program. Images get another program as their entry point, so that they
	// have the same digest after every change of this one.
	startProgram = `#!/bin/sh
case "$1 $*" in
*--seeder* | *--skip*image*) ;;
push* | *image:*) export BOTKUBE_MIRROR_SEEDER='linux/amd64=%s' ;;
esac
exec '%s' "$@"
`
)

// write writes a file below the root, and returns its path.
func (w *world) write(name string, data []byte, mode os.FileMode) string {
	file := filepath.Join(w.root, filepath.FromSlash(name))
	check(os.MkdirAll(filepath.Dir(file), 0o755))
	check(os.WriteFile(file, data, mode))
	return file
}

// A place is a directory that pages show, and the one that is used instead.
type place struct{ shown, real string }

// makePlaces makes directories whose paths are about as long as those that pages show, and as long in
// every run: lines are broken by their width.
func (w *world) makePlaces(t testing.TB) {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	base := must(filepath.EvalSymlinks("/tmp"))
	for {
		id := filepath.Join(base, string([]byte{letters[rand.IntN(26)], letters[rand.IntN(36)], letters[rand.IntN(36)]}))
		if os.Mkdir(id, 0o755) != nil {
			continue
		}
		w.places = []place{{"/etc/botkube-mirror", id + "e"}, {"/media/usb", id + "u0"}, {"/home/you", id + "h"}, {"/mnt", id + "m"}, {"/srv", id}}
		break
	}
	for _, p := range w.places {
		check(os.MkdirAll(p.real, 0o755))
		t.Cleanup(func() { _ = os.RemoveAll(p.real) })
	}
}

// real returns a path that is used instead of one that pages show.
func (w *world) real(shown string) string {
	for _, p := range w.places {
		if rest, below := strings.CutPrefix(shown, p.shown); below {
			return p.real + rest
		}
	}
	return shown
}

// port returns the port that is used in the place of one that a page shows.
func (w *world) port(shown string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.ports[shown] == "" {
		// It is as long as the one that is shown.
		free := fmt.Sprint(2000 + rand.IntN(8000))
		if len(shown) > len(free) {
			free = "1" + free
		}
		if l, err := net.Listen("tcp", "127.0.0.1:"+free); err == nil {
			check(l.Close())
			w.ports[shown] = free
		}
	}
	return w.ports[shown]
}

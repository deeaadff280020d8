package fetch_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/test/artifactorytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// managerWorld is a repository manager before github.com, which has some files.
type managerWorld struct {
	*artifactorytest.Manager
	base  string
	trust func(*fetch.Config)
	files map[string][]byte
}

func newManagerWorld(t *testing.T, habits ...string) managerWorld {
	t.Helper()
	w := managerWorld{files: map[string][]byte{
		"/x/plugin.tar.gz": gzipped(random(40 << 10)), "/x/tool": random(30 << 10), "/x/index.yaml": []byte("entries: []\n"),
	}}
	w.files["/x/plugin.tar.gz.sha256"] = []byte(sha256Of(w.files["/x/plugin.tar.gz"])[0].Hex + "  plugin.tar.gz\n")
	authority := tlstest.NewAuthority("company")
	w.Manager = artifactorytest.Start(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		data, found := w.files[r.URL.Path]
		if r.Host != "github.com" || !found {
			http.NotFound(rw, r)
			return
		}
		_, _ = rw.Write(data)
	}), authority.Server(), func(*http.Request) {})
	t.Cleanup(w.Close)
	check(t, w.Take(habits...))
	w.base = w.URL + "/artifactory/github.com"
	netrc := filepath.Join(t.TempDir(), "netrc")
	check(t, os.WriteFile(netrc, []byte("machine "+w.Host+" login "+artifactorytest.User+" password "+artifactorytest.Password+"\n"), 0o600))
	w.trust = func(cfg *fetch.Config) {
		cfg.TLS, cfg.Netrc, cfg.Retry.Limit = authority.Server().Clone(), netrc, -1
		cfg.TLS.RootCAs = authority.Pool()
	}
	return w
}

// managers are the habits of one manager each.
var managers = [][]string{
	{}, {"artifactory"}, {"nexus"}, {"nexus", "login"}, {"artifactory", "portal"}, {"artifactory", "hides"}, {"nexus", "nohead"},
	{"artifactory", "head404"}, {"nexus", "headzero"}, {"nexus", "headpage"}, {"nexus", "nolength"}, {"artifactory", "nolength"},
	{"nexus", "noranges"}, {"nexus", "badranges"}, {"nexus", "coded"}, {"artifactory", "coded"}, {"nexus", "compresses"},
	{"artifactory", "signed"}, {"nexus", "signed"}, {"artifactory", "signed", "nohead"}, {"artifactory", "coded", "signed"},
	{"nexus", "badranges", "nohead"},
}

// What repository managers do changes nothing of what is downloaded, with a digest and without one.
func TestRepositoryManagers(t *testing.T) {
	t.Parallel()
	for _, habits := range managers {
		t.Run(strings.Join(habits, " "), func(t *testing.T) {
			t.Parallel()
			w := newManagerWorld(t, habits...)
			for file, data := range w.files {
				fixed(t, w.trust).want(t, fetch.Request{URL: w.base + file, Checksums: sha256Of(data)}, data)
				f := fixed(t, w.trust)
				f.want(t, fetch.Request{URL: w.base + file}, data)
				f.want(t, fetch.Request{URL: w.base + file}, data) // with what the server said of it
				got, err := f.client.Document(t.Context(), w.base+file, 1<<20, nil)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s as a document: %d bytes, %v", file, len(got), err)
				}
				if size, err := f.client.Size(t.Context(), w.base+file); err != nil || size != -1 && size != int64(len(data)) {
					t.Errorf("%s: size %d of %d, %v", file, size, len(data), err)
				}
			}
			w.wantAbsent(t)
		})
	}
}

// wantAbsent asks for what is not there.
func (w managerWorld) wantAbsent(t *testing.T) {
	t.Helper()
	f := fixed(t, w.trust)
	for name, req := range map[string]fetch.Request{"by digest": {Checksums: sha256Of([]byte("x"))}, "by no digest": {}} {
		req.URL = w.base + "/x/absent"
		_, err := f.blob(t, req)
		if kind := fault.KindOf(err); err == nil || kind != fault.Upstream && kind != fault.Integrity || fault.HintOf(err) == "" {
			t.Errorf("%s: %v, kind %d, hint %q", name, err, fault.KindOf(err), fault.HintOf(err))
		}
	}
	f.wantNothing(t)
	_, err := f.client.Document(t.Context(), w.base+"/x/absent.sha256", 1<<20, nil)
	if fetch.Absence(err) == "" || fault.KindOf(err) != fault.Upstream {
		t.Errorf("%v says nothing of whether the file is there", err)
	}
}

// Without credentials, the error says so, and the hint where they come from.
func TestRepositoryManagerWithoutCredentials(t *testing.T) {
	t.Parallel()
	for _, habits := range [][]string{{"artifactory"}, {"nexus"}} {
		w := newManagerWorld(t, habits...)
		f := fixed(t, w.trust, func(cfg *fetch.Config) { cfg.Netrc = "" })
		err := f.wantFault(t, fetch.Request{URL: w.base + "/x/tool"}, fault.Upstream, "answers 401 Unauthorized")
		if !strings.Contains(fault.HintOf(err), ".netrc") {
			t.Error(fault.HintOf(err))
		}
	}
}

// A checksum file that a manager computed is not the publisher's, but only if a --via rule leads to the
// manager.
func TestRepositoryManagerMakesChecksumFiles(t *testing.T) {
	t.Parallel()
	w := newManagerWorld(t, "artifactory", "sums")
	via, err := transfer.ParseVia([]string{"https://github.com=" + w.base})
	check(t, err)
	f := fixed(t, w.trust, func(cfg *fetch.Config) { cfg.Via = via })
	_, err = f.client.Document(t.Context(), "https://github.com/x/tool.sha256", 1<<20, nil)
	if !fetch.IsNotFound(err) {
		t.Error(err)
	}
	f.want(t, fetch.Request{URL: "https://github.com/x/tool"}, w.files["/x/tool"])
	want := sha256Of(w.files["/x/tool"])[0].Hex
	data, err := f.client.Document(t.Context(), "https://github.com/x/tool.sha256", 1<<20, nil)
	if !fetch.IsOwnChecksum(err) || fetch.Absence(err) == "" || string(data) != want {
		t.Errorf("%q, %v", data, err)
	}
	data, err = f.client.Document(t.Context(), w.base+"/x/tool.sha256", 1<<20, nil)
	if err != nil || string(data) != want {
		t.Errorf("the direct way: %q, %v", data, err)
	}
}

// If a manager withholds a file, the error has the manager's reason.
func TestRepositoryManagerBlocks(t *testing.T) {
	t.Parallel()
	w := newManagerWorld(t, "artifactory", "blocks")
	f := fixed(t, w.trust)
	err := f.wantFault(t, fetch.Request{URL: w.base + "/x/plugin.tar.gz", Checksums: sha256Of(w.files["/x/plugin.tar.gz"])}, fault.Upstream,
		"answers 403 Forbidden (Artifact download request rejected: it was blocked by a policy due to a violation)")
	if !strings.Contains(fault.HintOf(err), "ask its administrator") {
		t.Error(fault.HintOf(err))
	}
	f.wantNothing(t)
}

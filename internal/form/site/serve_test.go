package site

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// agentDownload does what the agent does with a URL of its index, and returns what it
// got. What agent and archive make of URLs and archives is compared with go-getter by
// internal/test/acceptance/getter.
func agentDownload(raw, checksum, filename string, plugin bool) (string, error) {
	l, err := agent.ParseLocation(raw)
	if err != nil {
		return "", err
	}
	_, u := agent.SplitGetter(l.URL)
	data, err := get(u)
	if err != nil {
		return "", err
	}
	if l.Checksum != nil {
		checksum = cmp.Or(checksum, l.Checksum.String())
	}
	if checksum != "" {
		want, err := agent.ParseChecksum(checksum)
		if err != nil || want.Hex != lock.Sum([]byte(data)).String() {
			return "", fmt.Errorf("checksum %s: %w", checksum, err)
		}
	}
	if l.Format == "" {
		return data, nil
	}
	want := agent.Member{Dir: l.Subdir, Name: filename}
	if plugin && detects(l) {
		want = agent.Member{Dir: l.Subdir, First: true}
	}
	var to sink
	_, err = archive.Extract(context.Background(), strings.NewReader(data), l.Format, want, archive.Limits{}, &to)
	return to.String(), err
}

// sink keeps what is extracted.
type sink struct{ bytes.Buffer }

func (s *sink) Reset() error {
	s.Buffer.Reset()
	return nil
}

func tarGz(t *testing.T, files map[string]string) string {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(tw, files[name])
	}
	if tw.Close() != nil || zw.Close() != nil {
		t.Fatal("cannot write an archive")
	}
	return buf.String()
}

func zipped(t *testing.T, files map[string]string) string {
	t.Helper()
	var buf bytes.Buffer
	zw := zip.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := zw.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, files[name])
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// TestServe serves a site, and downloads everything that its indexes name as the
// agent does, with the same outcome as from upstream.
func TestServe(t *testing.T) {
	const name = "executor_v1_x"
	release := map[string]string{name: "named", "executor_first": "first", "bin/tool": "tool", "bin/" + name: "named in bin", "a b/tool": "spaced", "z/.hidden": "h"}
	tgz, zipFile, raw := tarGz(t, release), zipped(t, release), "#!/bin/sh\n"
	content := map[string]string{
		"/x.tar.gz": tgz, "/x y+z.tar.gz": tgz, "/x.zip": zipFile, "/raw": raw, "/raw.zip.sig": raw, "/raw.tgz": raw, "/get": tgz, "/X.ZIP": raw,
		"/bücher.tgz": tgz, "/.tar.gz": tgz, "/con.zip": zipFile, "/deep/a/b/c/raw": raw, "/x.tar.gz2": raw, "/dir/x.tar.gz": tgz,
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if data, found := content[r.URL.Path]; found && r.Method == http.MethodGet {
			io.WriteString(w, data)
			return
		}
		http.NotFound(w, r)
	}))
	defer upstream.Close()
	// Each stands for a plugin of its own, which has it as a dependency too.
	paths := []string{
		"/x.tar.gz", "/x%20y%2Bz.tar.gz", "/x y+z.tar.gz", "/x.zip", "/raw", "/raw.zip.sig", "/raw.tgz?archive=false", "/raw.tgz?archive=none", "/X.ZIP",
		"/x.tar.gz//bin", "/x.zip//bin", "/x.zip//b*", "/x.tar.gz//bin/?id=5", "/x.zip//a b", "/x.zip//", "/x.zip//z", "/x.zip//absent",
		"/get?archive=tar.gz", "/get?archive=tgz&token=t", "/get?b=2&archive=tar.gz&a=1", "/get//bin?archive=tgz", "/b%C3%BCcher.tgz", "/.tar.gz", "/con.zip",
		"/deep/a/b/c/raw", "/x.tar.gz2", "/dir%2Fx.tar.gz", "/%78.zip", "/x.tar.gz?filename=y&checksum=" + lock.Sum([]byte(tgz)).String(), "/x.zip?archive=tgz", "/x.zip#part",
	}
	f := &fixture{lock: &lock.Lock{SchemaVersion: lock.SchemaVersion, BotkubeVersion: "v1", Platforms: []agent.Platform{linux}}}
	var err error
	if f.store, err = store.Open(filepath.Join(t.TempDir(), "store")); err != nil {
		t.Fatal(err)
	}
	defer f.store.Close()
	var index strings.Builder
	index.WriteString("entries:\n")
	urls := map[string]string{}
	pinned := map[string]bool{}
	for i, p := range paths {
		for _, forced := range []string{"", "http::"} {
			if forced != "" && strings.Contains(p, " ") {
				continue // no http URL can name what these do: see TestLocation
			}
			u := forced + upstream.URL + p
			l, err := agent.ParseLocation(u)
			if err != nil {
				t.Fatal(err)
			}
			plugin := fmt.Sprintf("x%d%s", i, strings.TrimSuffix(forced, "::"))
			urls[plugin] = u
			fmt.Fprintf(&index, "  - {name: %s, type: executor, version: v1, urls: [{url: %q, platform: {os: linux, architecture: amd64}, dependencies: {tool: {url: %q}}}]}\n", plugin, u, u)
			f.lock.Plugins = append(f.lock.Plugins, lock.Plugin{
				Repository: "r", Type: agent.Executor, Name: plugin, Version: "v1",
				Builds: []lock.Build{{Platform: linux, URL: u, Dependencies: []lock.Dependency{{Name: "tool", URL: u}}}},
			})
			if !pinned[l.URL] {
				pinned[l.URL] = true
				f.artifact(t, l.URL, fetch(t, strings.TrimPrefix(l.URL, "http::")))
			}
		}
	}
	f.lock.Repositories = []lock.Repository{{Name: "r", URL: upstream.URL + "/index.yaml", Index: f.put(t, index.String())}}
	f.check(t)

	root := t.TempDir()
	mirror := httptest.NewServer(http.StripPrefix("/sub/dir", http.FileServer(http.Dir(root))))
	defer mirror.Close()
	base := mirror.URL + "/sub/dir/"
	w, err := f.openFor(context.Background(), root, form.WriteOptions{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.addAll(w)
	if err == nil {
		_, err = w.Commit(context.Background(), f.lock)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	f.checkRebased(t, root)
	at, err := IndexURL(base, f.lock, "r")
	if err != nil {
		t.Fatal(err)
	}
	served, err := agent.ReadIndex([]byte(fetch(t, at)))
	if err != nil || len(served.Entries) != len(urls) {
		t.Fatalf("%d entries, %v, want %d", len(served.Entries), err, len(urls))
	}
	good := 0
	for _, e := range served.Entries {
		b, _ := e.Build(linux)
		u := urls[e.Name]
		for _, what := range []struct {
			name, url, checksum string
			plugin              bool
		}{{name, b.URL, b.Checksum, true}, {"tool", b.Dependencies["tool"], "", false}} {
			want, wantErr := agentDownload(u, "", what.name, what.plugin)
			got, gotErr := agentDownload(what.url, what.checksum, what.name, what.plugin)
			if got != want || (gotErr == nil) != (wantErr == nil) {
				t.Errorf("%s of %s, as %s:\n%q, %v, want\n%q, %v", what.name, u, what.url, got, gotErr, want, wantErr)
			}
			if gotErr == nil {
				good++
			}
			if !strings.HasPrefix(what.url, base+"files/") {
				t.Errorf("%s is not of the site", what.url)
			}
		}
	}
	if good < len(urls) {
		t.Errorf("only %d of %d downloads came to anything", good, 2*len(urls))
	}
	// What was changed on the way the agent refuses.
	first, _ := served.Entries[0].Build(linux)
	for _, a := range f.lock.Artifacts {
		path := filepath.Join(root, FilePath(a))
		if err := os.WriteFile(path, []byte("changed"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range []string{first.URL + "?checksum=" + first.Checksum, first.Dependencies["tool"]} {
		if _, err := agentDownload(u, "", "tool", false); err == nil || !strings.Contains(strings.ToLower(err.Error()), "checksum") {
			t.Errorf("%s was changed, but downloads: %v", u, err)
		}
	}
}

func fetch(t *testing.T, u string) string {
	t.Helper()
	data, err := get(u)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func get(u string) (string, error) {
	resp, err := http.Get(u)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", u, resp.Status)
	}
	return string(data), err
}

// checkRebased makes the documents of a site for another base URL, and wants those that are made of upstream's.
func (f *fixture) checkRebased(t *testing.T, root string) {
	t.Helper()
	s, err := serve(context.Background(), place(root))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, found := range s.Found {
		v := found.Version
		for _, base := range []string{baseURL1, "http://[fd00::1]:8080", "https://other.example.com/a/b"} {
			want, err := Documents(f.lock, base, pluginsdir.Upstream{Blobs: f.store})
			if err != nil {
				t.Fatal(err)
			}
			got, err := Documents(v.Lock, base, v.Indexes)
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if got[i].Path != want[i].Path || string(got[i].Data) != string(want[i].Data) {
					t.Errorf("%s for %s is\n%s\nwant\n%s", got[i].Path, base, got[i].Data, want[i].Data)
				}
			}
		}
	}
}

package fetch_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/test/gittest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

func TestLocate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		raw, want string
		local     bool
	}{
		{raw: "github.com/kubeshop/botkube//cmd/executor/exec/templates?ref=release-1.8", want: "git::https://github.com/kubeshop/botkube.git//cmd/executor/exec/templates?ref=release-1.8"},
		{raw: "github.com/kubeshop/botkube/cmd", want: "git::https://github.com/kubeshop/botkube.git//cmd"},
		{raw: "git@github.com:kubeshop/botkube.git//cmd?ref=main", want: "git::ssh://git@github.com/kubeshop/botkube.git//cmd?ref=main"},
		{raw: "bitbucket.org/owner/name//x?ref=main", want: "git::https://bitbucket.org/owner/name.git//x?ref=main"},
		{raw: "git::https://host/x.git//y", want: "git::https://host/x.git//y"},
		{raw: "https://host/x.tar.gz//y", want: "https://host/x.tar.gz//y"},
		{raw: "/config/templates", want: "file:///config/templates", local: true},
		{raw: "file:///config/templates", want: "file:///config/templates", local: true},
		{raw: "./templates", local: true},
		{raw: "git::file:///srv/x.git", want: "git::file:///srv/x.git", local: true},
		{raw: "git::/srv/x.git", want: "git::file:///srv/x.git", local: true},
	}
	for _, test := range tests {
		got, local, err := fetch.Locate(test.raw)
		if err != nil || got != test.want || local != test.local {
			t.Errorf("%s is %q, %t, %v", test.raw, got, local, err)
		}
	}
}

// gitServer has a repository kubeshop/botkube.git, with templates in t.
func gitServer(t *testing.T, more map[string]string) (*gittest.Server, *gittest.Repository, string) {
	t.Helper()
	gittest.Need(t)
	s, err := gittest.Start(t.TempDir())
	check(t, err)
	t.Cleanup(s.Close)
	r, err := s.Create("kubeshop/botkube.git")
	check(t, err)
	for name, content := range map[string]string{"t/b.yaml": "b", "t/a/a.yaml": "a", "t/README.md": "no", "other/o.yaml": "o"} {
		check(t, r.Write(name, content))
	}
	for name, content := range more {
		check(t, r.Write(name, content))
	}
	commit, err := r.Commit()
	check(t, err)
	return s, r, commit
}

func templates(u string) fetch.Request { return fetch.Request{URL: u, Tree: lock.DirArchiveYAML} }

// contents returns the files of a tree in the store.
func (f *fixture) contents(t testing.TB, r fetch.Result) map[string]string {
	t.Helper()
	data, err := f.store.ReadAll(r.SHA256, 1<<30)
	check(t, err)
	files := map[string]string{}
	for tr := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return files
		}
		check(t, err)
		content, err := io.ReadAll(tr)
		check(t, err)
		if h.Typeflag != tar.TypeReg || h.ModTime.Unix() != 0 || h.Uname != "" {
			t.Errorf("%+v", h)
		}
		files[h.Name] = string(content)
	}
}

// wantTree fetches a tree and compares its files.
func (f *fixture) wantTree(t testing.TB, req fetch.Request, want map[string]string) fetch.Result {
	t.Helper()
	r, err := f.blob(t, req)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, fault.HintOf(err), f)
	}
	got := f.contents(t, r)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, file := range r.Files {
		if content := want[file.Path]; file.Blob != (lock.Blob{Size: int64(len(content)), SHA256: lock.Sum([]byte(content))}) {
			t.Errorf("%+v", file)
		}
	}
	if req.Tree == lock.DirArchiveYAML && len(r.Files) != len(want) {
		t.Errorf("%d files, want %d", len(r.Files), len(want))
	}
	f.wantNoRests(t)
	return r
}

// wantNoRests checks that nothing but blobs is left.
func (f *fixture) wantNoRests(t testing.TB) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(f.store.Dir(), "ingest"))
	check(t, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "run-") {
			t.Errorf("%s was left", e.Name())
		}
	}
}

func TestGit(t *testing.T) {
	t.Parallel()
	s, r, first := gitServer(t, nil)
	check(t, r.Point("refs/heads/release-1.8"))
	check(t, r.Point("refs/tags/v1"))
	check(t, r.Write("t/b.yaml", "new"))
	_, err := r.Commit()
	check(t, err)
	old, now := map[string]string{"a/a.yaml": "a", "b.yaml": "b"}, map[string]string{"a/a.yaml": "a", "b.yaml": "new"}
	tests := map[string]struct {
		query string
		want  map[string]string
	}{
		"default branch": {"", now},
		"branch":         {"?ref=release-1.8", old},
		"tag":            {"?ref=v1", old},
		"full ref":       {"?ref=refs%2Fheads%2Frelease-1.8", old},
		"commit":         {"?ref=" + first, old},
		"short commit":   {"?ref=" + first[:9], old},
		"depth":          {"?depth=1&ref=release-1.8", old},
	}
	digests := map[lock.SHA256]bool{}
	for name, test := range tests {
		for _, base := range []string{s.URL, s.URL + "/dumb"} {
			if strings.HasSuffix(base, "dumb") && name == "full ref" {
				continue
			}
			t.Run(name+strings.TrimPrefix(base, s.URL), func(t *testing.T) {
				f := fixed(t)
				got := f.wantTree(t, templates("git::"+base+"/kubeshop/botkube.git//t"+test.query), test.want)
				digests[got.SHA256] = true
				if got.Reused || got.Transferred != got.Size {
					t.Errorf("%+v", got)
				}
			})
		}
	}
	if len(digests) != 2 {
		t.Errorf("two contents made %d archives", len(digests))
	}
}

// TestGitUnchanged has git asked, and no pack sent, while a branch or tag stays where it is.
func TestGitUnchanged(t *testing.T) {
	t.Parallel()
	s, r, commit := gitServer(t, nil)
	check(t, r.Point("refs/tags/v1"))
	f := fixed(t)
	for _, ref := range []string{"", "?ref=main", "?ref=v1", "?ref=" + commit} {
		req := templates("git::" + s.URL + "/kubeshop/botkube.git//t" + ref)
		first := f.wantTree(t, req, map[string]string{"b.yaml": "b", "a/a.yaml": "a"})
		s.Seen()
		again := f.wantTree(t, req, map[string]string{"b.yaml": "b", "a/a.yaml": "a"})
		if !again.Reused || again.SHA256 != first.SHA256 || !slices.Equal(again.Files, first.Files) || again.Transferred != 0 {
			t.Errorf("%s: %+v, at first %+v", ref, again, first)
		}
		if n, most := len(s.Seen()), 2; n > most || strings.HasSuffix(ref, commit) && n > 0 {
			t.Errorf("%s: %d requests", ref, n)
		}
	}
	check(t, r.Write("t/b.yaml", "changed"))
	_, err := r.Commit()
	check(t, err)
	f.wantTree(t, templates("git::"+s.URL+"/kubeshop/botkube.git//t?ref=main"), map[string]string{"b.yaml": "changed", "a/a.yaml": "a"})
	f.wantTree(t, templates("git::"+s.URL+"/kubeshop/botkube.git//t?ref=v1"), map[string]string{"b.yaml": "b", "a/a.yaml": "a"})
}

func TestGitWholeTree(t *testing.T) {
	t.Parallel()
	s, _, _ := gitServer(t, map[string]string{".hidden": "h"})
	u := "git::" + s.URL + "/kubeshop/botkube.git"
	fixed(t).wantTree(t, fetch.Request{URL: u, Tree: lock.DirArchiveAll}, map[string]string{
		".hidden": "h", "t/b.yaml": "b", "t/a/a.yaml": "a", "t/README.md": "no", "other/o.yaml": "o",
	})
	fixed(t).wantTree(t, templates(u+"//*/a"), map[string]string{"a.yaml": "a"})
}

// TestGitFilesAsCommitted: neither the repository nor what the user configured has
// git change files or run anything.
func TestGitFilesAsCommitted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the configuration names shell commands")
	}
	ran := filepath.Join(t.TempDir(), "ran")
	s, _, _ := gitServer(t, map[string]string{
		".gitattributes": "*.yaml filter=evil text eol=crlf ident\n", "t/b.yaml": "$Id$\nb\n",
		"hooks/post-checkout": "#!/bin/sh\ntouch " + ran + "\n",
	})
	config := filepath.Join(t.TempDir(), "config")
	check(t, os.WriteFile(config, []byte("[core]\n\thooksPath = hooks\n\tautocrlf = true\n[filter \"evil\"]\n\tsmudge = touch "+ran+"; cat\n\trequired = true\n"), 0o600))
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	t.Setenv("GIT_DIR", t.TempDir()) // as in a hook
	fixed(t).wantTree(t, templates("git::"+s.URL+"/kubeshop/botkube.git//t"), map[string]string{"a/a.yaml": "a", "b.yaml": "$Id$\nb\n"})
	if _, err := os.Lstat(ran); err == nil {
		t.Error("git ran a program")
	}
}

func TestGitLinks(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("links take privileges")
	}
	outside := filepath.Join(t.TempDir(), "secret.yaml")
	check(t, os.WriteFile(outside, []byte("secret"), 0o600))
	tests := map[string]struct {
		name, to string
		wrong    bool
	}{
		"to a file":              {"t/l.yaml@", "a/a.yaml", false},
		"another kind of file":   {"t/l@", "README.md", false},
		"to a file of this host": {"t/l.yaml@", outside, true},
		"out of the directory":   {"t/l.yaml@", "../other/o.yaml", false},
		"out of the repository":  {"t/l.yaml@", "../../o.yaml", true},
		"to nothing":             {"t/l.yaml@", "absent.yaml", true},
		"to a directory":         {"t/l@", "a", true},
		"into git":               {"t/l.yaml@", "../.git/config", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			switch name {
			case "another kind of file", "out of the directory", "to nothing", "to a directory":
				tier.SkipUnlessThorough(t)
			}
			s, _, _ := gitServer(t, map[string]string{test.name: test.to})
			req := templates("git::" + s.URL + "/kubeshop/botkube.git//t")
			if test.wrong {
				f := fixed(t)
				f.wantFault(t, req, fault.Upstream, "is a link")
				f.wantNothing(t)
				return
			}
			want := map[string]string{"a/a.yaml": "a", "b.yaml": "b"}
			if strings.HasSuffix(test.to, ".yaml") {
				want["l.yaml"] = strings.TrimSuffix(filepath.Base(test.to), ".yaml")
			}
			fixed(t).wantTree(t, req, want)
		})
	}
}

// TestGitLinksOfWholeTree: what a link leads to is there by its name, as far as it is
// of the repository, and nothing that git keeps beside.
func TestGitLinksOfWholeTree(t *testing.T) {
	t.Parallel()
	tier.SkipUnlessThorough(t)
	if runtime.GOOS == "windows" {
		t.Skip("links take privileges")
	}
	s, _, _ := gitServer(t, map[string]string{
		"file@": "t/b.yaml", "latest@": "t/a", "t/a/circle@": "../..", "t/a/up@": "../../other/o.yaml", "again@": "latest",
		"config@": ".git/config", "outside@": "/etc/passwd", "absent@": "nowhere", "self@": "self",
	})
	u := "git::" + s.URL + "/kubeshop/botkube.git"
	want := map[string]string{
		"t/b.yaml": "b", "t/a/a.yaml": "a", "t/README.md": "no", "other/o.yaml": "o", "t/a/up": "o",
		"file": "b", "latest/a.yaml": "a", "latest/up": "o", "again/a.yaml": "a", "again/up": "o",
	}
	for name, content := range want {
		if below, in := strings.CutPrefix(name, "t/"); in && !strings.Contains(name, "circle") {
			want["t/a/circle/t/"+below] = content
		}
	}
	for name, content := range map[string]string{"other/o.yaml": "o", "file": "b"} {
		want["t/a/circle/"+name] = content
	}
	fixed(t).wantTree(t, fetch.Request{URL: u, Tree: lock.DirArchiveAll}, want)
	f := fixed(t)
	f.wantFault(t, templates(u), fault.Upstream, "is a link")
}

func TestGitSubmodules(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	s, r, _ := gitServer(t, nil)
	inner, err := s.Create("kubeshop/inner.git")
	check(t, err)
	check(t, inner.Write("c.yaml", "c"))
	innermost, err := inner.Commit()
	check(t, err)
	middle, err := s.Create("else/where.git")
	check(t, err)
	check(t, middle.Write("d.yaml", "d"))
	check(t, middle.Include("in", "../../kubeshop/inner.git/", innermost))
	pinned, err := middle.Commit()
	check(t, err)
	check(t, middle.Write("d.yaml", "later"))
	_, err = middle.Commit()
	check(t, err)
	check(t, r.Include("t/sub", s.URL+"/else/where.git", pinned))
	check(t, r.Include("t/near", "./../inner.git", innermost))
	_, err = r.Commit()
	check(t, err)
	want := map[string]string{"a/a.yaml": "a", "b.yaml": "b", "sub/d.yaml": "d", "sub/in/c.yaml": "c", "near/c.yaml": "c"}
	u := "git::" + s.URL + "/kubeshop/botkube.git"
	fixed(t).wantTree(t, templates(u+"//t"), want)
	fixed(t).wantTree(t, templates(u+"//t/sub"), map[string]string{"d.yaml": "d", "in/c.yaml": "c"})
	fixed(t).wantTree(t, templates("git::"+s.URL+"/dumb/kubeshop/botkube.git//t/near"), map[string]string{"c.yaml": "c"})
}

// TestGitSubmoduleTwice has .gitmodules name a path twice: git takes the later one.
func TestGitSubmoduleTwice(t *testing.T) {
	t.Parallel()
	s, r, commit := gitServer(t, nil)
	settings := ""
	for i := range 8 {
		settings += fmt.Sprintf("[submodule \"%d\"]\n\tpath = s\n\turl = ../absent%[1]d.git\n", i)
	}
	check(t, r.Write(".gitmodules", settings))
	check(t, r.Include("s", "../botkube.git", commit))
	_, err := r.Commit()
	check(t, err)
	fixed(t).wantTree(t, templates("git::"+s.URL+"/kubeshop/botkube.git//s/t"), map[string]string{"a/a.yaml": "a", "b.yaml": "b"})
}

func TestGitSubmoduleRefusals(t *testing.T) {
	t.Parallel()
	tier.SkipUnlessThorough(t)
	const absent = "0123456789012345678901234567890123456789"
	s, _, _ := gitServer(t, nil)
	for name, test := range map[string]struct {
		url  string
		kind fault.Kind
		want string
	}{
		"no URL":               {"", fault.Upstream, `submodule "t/sub": the repository's .gitmodules has no URL for it`},
		"no such repository":   {"../absent.git", fault.Upstream, "/kubeshop/absent.git: git: "},
		"no such commit":       {"../botkube.git", fault.Upstream, `no branch, tag or commit "` + absent},
		"out of the server":    {"../../../../x.git", fault.Upstream, "has too many .."},
		"of this machine":      {"/srv/x.git", fault.Usage, "its URL is a path on this machine: /srv/x.git"},
		"a file of this":       {"file:///srv/x.git", fault.Usage, "its URL is a path on this machine"},
		"a directory, to git":  {"github.com/x/y", fault.Usage, "its URL is a path on this machine"},
		"a program":            {"ext::sh -c x% y", fault.Usage, "its URL"},
		"an option":            {"ssh://-oProxyCommand=x/y", fault.Usage, "the URL has no valid host"},
		"with a password":      {"http://user:s3cret@127.0.0.1:1/x.git", fault.Usage, "plain http"},
		"nobody answers there": {"http://127.0.0.1:1/x.git", fault.Upstream, "http://127.0.0.1:1/x.git: gave up after"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := s.Create("kubeshop/" + strings.NewReplacer(" ", "", ",", "").Replace(name) + ".git")
			check(t, err)
			check(t, r.Write("t/b.yaml", "b"))
			check(t, r.Include("t/sub", test.url, absent))
			_, err = r.Commit()
			check(t, err)
			f := fixed(t)
			err = f.wantFault(t, templates("git::"+s.URL+"/kubeshop/"+strings.NewReplacer(" ", "", ",", "").Replace(name)+".git//t"), test.kind, test.want)
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v", err)
			}
			f.wantNothing(t)
		})
	}
}

// TestGitSubmoduleBounds includes a repository in itself, over and over.
func TestGitSubmoduleBounds(t *testing.T) {
	t.Parallel()
	tier.SkipUnlessThorough(t)
	s, r, commit := gitServer(t, nil)
	req := templates("git::" + s.URL + "/kubeshop/botkube.git//t/s/t")
	for i := range 12 {
		check(t, r.Include("t/s", "../botkube.git", commit))
		var err error
		commit, err = r.Commit()
		check(t, err)
		if i == 1 {
			fixed(t).wantTree(t, req, map[string]string{
				"a/a.yaml": "a", "b.yaml": "b", "s/t/a/a.yaml": "a", "s/t/b.yaml": "b", "s/other/o.yaml": "o",
			})
		}
	}
	fixed(t).wantFault(t, req, fault.Integrity, "more than 10 deep")
	wide, err := s.Create("kubeshop/wide.git")
	check(t, err)
	for i := range 101 {
		check(t, wide.Include(fmt.Sprintf("%d", i), "", commit))
	}
	_, err = wide.Commit()
	check(t, err)
	fixed(t).wantFault(t, templates("git::"+s.URL+"/kubeshop/wide.git"), fault.Integrity, "the repository has more than 100 submodules")
}

func TestGitRefusals(t *testing.T) {
	t.Parallel()
	s, _, _ := gitServer(t, map[string]string{
		"big/x.yaml": strings.Repeat("x", 1<<20+1), "none/x.txt": "", "odd/a\\b.yaml": "",
	})
	_, err := s.Create("empty.git")
	check(t, err)
	base := s.URL + "/kubeshop/botkube.git"
	tests := map[string]struct {
		url  string
		kind fault.Kind
		want string
	}{
		"no such branch":     {"git::" + base + "//t?ref=nowhere", fault.Upstream, `no branch, tag or commit "nowhere"`},
		"no such commit":     {"git::" + base + "//t?ref=0123456789abcdef", fault.Upstream, `no branch, tag or commit "0123456789abcdef"`},
		"no commit":          {"git::" + s.URL + "/empty.git//t", fault.Upstream, "the repository has no commit"},
		"no such repository": {"git::" + s.URL + "/absent.git//t", fault.Upstream, "not found"},
		"no such host":       {"git::http://nowhere.invalid/x.git", fault.Upstream, "Could not resolve host"},
		"no such directory":  {"git::" + base + "//nowhere", fault.Upstream, `0 directories match "nowhere"`},
		"two directories":    {"git::" + base + "//*", fault.Upstream, "not exactly one"},
		"a file":             {"git::" + base + "//t/b.yaml", fault.Upstream, "is not a directory"},
		"out of it":          {"git::" + base + "//../x", fault.Usage, "is outside the archive"},
		"no templates":       {"git::" + base + "//none", fault.Upstream, "no .yaml files"},
		"too large":          {"git::" + base + "//big", fault.Integrity, "limit of 1048576"},
		"a name":             {"git::" + base + "//odd", fault.Upstream, "path separator"},
		"a host":             {"git::ssh://-oProxyCommand=x/y", fault.Usage, "no valid host"},
		"no host":            {"git::ssh:///x/y", fault.Usage, "no valid host"},
		"an option":          {"git::" + base + "//t?ref=--upload-pack=x", fault.Usage, "is not a branch"},
		"a refspec":          {"git::" + base + "//t?ref=a:b", fault.Usage, "is not a branch"},
		"a program":          {"git::ext::sh -c true", fault.Usage, "git repositories cannot be fetched with"},
		"a program, too":     {"git::ext://x/y", fault.Usage, `with "ext"`},
		"local":              {"git::file:///x", fault.Usage, "path on the agent's machine"},
		"hg":                 {"hg::https://host/x", fault.Usage, `"hg"`},
		"a page":             {"https://host/x", fault.Usage, "neither a repository nor an archive"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := fixed(t)
			err := f.wantFault(t, templates(test.url), test.kind, test.want)
			if f.count("retrying") > 0 {
				t.Errorf("it was tried again: %v", err)
			}
			f.wantNothing(t)
		})
	}
}

// TestGitLocalByConfiguration: what the user configured of URLs counts, but not for
// transports that are not used.
func TestGitLocalByConfiguration(t *testing.T) {
	s, _, _ := gitServer(t, nil)
	config := filepath.Join(t.TempDir(), "config")
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	check(t, os.WriteFile(config, []byte("[url \""+s.URL+"/\"]\n\tinsteadOf = https://github.com/\n"), 0o600))
	u, _, err := fetch.Locate("github.com/kubeshop/botkube//t?ref=main")
	check(t, err)
	fixed(t).wantTree(t, templates(u), map[string]string{"a/a.yaml": "a", "b.yaml": "b"})
	check(t, os.WriteFile(config, []byte("[url \"file:///\"]\n\tinsteadOf = https://github.com/\n"), 0o600))
	fixed(t).wantFault(t, templates(u), fault.Usage, "not allowed")
}

// behindTLS serves what a server serves over TLS, too, and returns a client's trust in it.
func behindTLS(t *testing.T, s *gittest.Server) (base string, trust func(*fetch.Config)) {
	t.Helper()
	target, err := url.Parse(s.URL)
	check(t, err)
	private := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(target))
	private.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that the client ends
	private.StartTLS()
	t.Cleanup(private.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: private.Certificate().Raw}), 0o600))
	return private.URL, func(cfg *fetch.Config) { cfg.Identity.CAFiles = []string{ca} }
}

// netrcFor writes a netrc file for the host of a URL.
func netrcFor(t *testing.T, base, user, password string) string {
	t.Helper()
	host, err := url.Parse(base)
	check(t, err)
	netrc := filepath.Join(t.TempDir(), "netrc")
	check(t, os.WriteFile(netrc, []byte("machine "+host.Host+" login "+user+" password "+password+"\n"), 0o600))
	return netrc
}

func TestGitCredentials(t *testing.T) {
	const token = "s3cr3t-t0ken"
	trace := filepath.Join(t.TempDir(), "trace")
	s, r, commit := gitServer(t, nil)
	check(t, r.Include("t/sub", "../botkube.git", commit)) // whose URL is relative to what has the user
	_, err := r.Commit()
	check(t, err)
	want := map[string]string{"a/a.yaml": "a", "b.yaml": "b", "sub/t/a/a.yaml": "a", "sub/t/b.yaml": "b", "sub/other/o.yaml": "o"}
	s.Protect("me", token)
	base, trust := behindTLS(t, s)
	t.Setenv("GIT_TRACE", trace) // lists the arguments of every program that git runs
	at := func(user string) string {
		return "git::" + strings.Replace(base, "://", "://"+user, 1) + "/kubeshop/botkube.git//t"
	}
	fixed(t, trust).wantTree(t, templates(at("me:"+token+"@")), want)
	netrc := netrcFor(t, base, "me", token)
	fixed(t, trust, func(cfg *fetch.Config) { cfg.Netrc = netrc }).wantTree(t, templates(at("")), want)

	f := fixed(t, trust)
	f.wantFault(t, templates(at("")), fault.Upstream, "git: ")
	err = f.wantFault(t, templates(at("me:wrong-"+token+"@")), fault.Upstream, "git: ")
	if strings.Contains(err.Error()+fault.HintOf(err)+f.String(), token) {
		t.Errorf("%v\n%s", err, f)
	}
	said, err := os.ReadFile(trace)
	check(t, err)
	if !strings.Contains(string(said), "remote-http") || strings.Contains(string(said), token) {
		t.Errorf("git's programs were run with:\n%s", said)
	}
}

// TestGitCredentialsInClear: git gets no credentials for a transfer that anybody can read.
func TestGitCredentialsInClear(t *testing.T) {
	s, _, _ := gitServer(t, nil)
	s.Protect("me", "secret")
	repository := s.URL + "/kubeshop/botkube.git//t"
	fixed(t).wantFault(t, templates("git::"+strings.Replace(repository, "://", "://me:secret@", 1)), fault.Usage, "would go over plain http")
	netrc := netrcFor(t, s.URL, "me", "secret")
	fixed(t, func(cfg *fetch.Config) { cfg.Netrc = netrc }).wantFault(t, templates("git::"+repository), fault.Usage, "would go over plain http")
	if seen := s.Seen(); len(seen) > 0 {
		t.Errorf("it was asked %d times", len(seen))
	}
	// What git and curl know by themselves.
	home := t.TempDir()
	t.Setenv("HOME", home)
	check(t, os.WriteFile(filepath.Join(home, ".netrc"), []byte("default login me password secret\n"), 0o600))
	config := filepath.Join(home, "config")
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	check(t, os.WriteFile(config, []byte("[url \""+s.URL+"/\"]\n\tinsteadOf = https://rewritten.invalid/\n[credential]\n\thelper = \"!echo username=me; echo password=secret; :\"\n"), 0o600))
	for _, u := range []string{"git::" + repository, "git::https://rewritten.invalid/kubeshop/botkube.git//t"} {
		fixed(t).wantFault(t, templates(u), fault.Upstream, "Authentication failed")
	}
	seen := s.Seen()
	for _, r := range seen {
		if user, _, _ := r.BasicAuth(); user == "me" {
			t.Error("credentials went over plain http")
		}
	}
	if len(seen) == 0 {
		t.Error("it was not asked")
	}
}

// TestGitCredentialsStay: a server that redirects hands on nobody's password.
func TestGitCredentialsStay(t *testing.T) {
	t.Parallel()
	s, _, _ := gitServer(t, nil)
	s.Protect("me", "other")
	authority := tlstest.NewAuthority("test")
	first := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, s.URL+r.URL.Path+"?"+r.URL.RawQuery, http.StatusFound)
	}))
	first.TLS = authority.Server("localhost")
	first.StartTLS()
	defer first.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(ca, authority.PEM(), 0o600))
	// Another name of this machine, for hosts are told apart without ports.
	from := strings.Replace(first.URL, "127.0.0.1", "me:secret@localhost", 1)
	f := fixed(t, func(cfg *fetch.Config) { cfg.Identity.CAFiles = []string{ca} })
	f.wantFault(t, templates("git::"+from+"/kubeshop/botkube.git//t"), fault.Upstream, "git: ")
	seen := s.Seen()
	for _, r := range seen {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s got %s", r.URL, r.Header.Get("Authorization"))
		}
	}
	if len(seen) == 0 {
		t.Error("the redirect was not followed")
	}
}

// TestGitCredentialsSaidBack: a server may say back what it was sent, at any length.
func TestGitCredentialsSaidBack(t *testing.T) {
	t.Parallel()
	gittest.Need(t)
	authority := tlstest.NewAuthority("test")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, "denied: %s, %s, %s, %s, %s", r.Header.Get("Authorization"), user, password, url.QueryEscape(password), strings.Repeat(" ", 300)+strings.Repeat(password, 10))
	}))
	s.TLS = authority.Server("localhost")
	s.StartTLS()
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(ca, authority.PEM(), 0o600))
	for _, user := range []string{"me:s3cr3t+t0ken", "s3cr3t+t0ken", "s3cr3t+t0ken:x-oauth-basic"} {
		f := fixed(t, func(cfg *fetch.Config) { cfg.Identity.CAFiles = []string{ca} })
		err := f.wantFault(t, templates("git::"+strings.Replace(s.URL, "127.0.0.1", user+"@localhost", 1)+"/x.git//t"), fault.Upstream, "returned error: 403", "; denied: ")
		if hint := fault.HintOf(err); !strings.Contains(hint, ".netrc") {
			t.Errorf("the hint is %q", hint)
		}
		name, password, _ := strings.Cut(user, ":")
		sent := base64.StdEncoding.EncodeToString([]byte(name + ":" + password))
		if said := err.Error() + f.String(); strings.Contains(said, "s3cr3t") || strings.Contains(said, sent) {
			t.Errorf("as %s: %s", user, said)
		}
	}
}

// TestGitOverSSH: ssh asks nobody and does not wait for ever, unless the user says what is run.
func TestGitOverSSH(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sh")
	}
	gitServer(t, nil)
	dir := t.TempDir()
	for _, name := range []string{"ssh", "mine"} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho "+name+" $* >"+dir+"/said\nexit 255\n"), 0o755))
	}
	config := filepath.Join(dir, "config")
	const ours = "-oBatchMode=yes -oConnectTimeout=7 -oServerAliveInterval=7 -oServerAliveCountMax=1 "
	tests := map[string]struct{ url, config, variable, want string }{
		"nothing said":   {url: "git::ssh://git@host.invalid/x.git", want: "^ssh " + ours},
		"a key":          {url: "git::ssh://git@host.invalid/x.git?sshkey=a2V5", want: "^ssh " + ours + "-i .*/key .*git@host.invalid"},
		"configured":     {url: "git::ssh://git@host.invalid/x.git", config: "[core]\n\tsshCommand = mine -x\n", want: "^mine -x .*git@host.invalid"},
		"a variable":     {url: "git::ssh://git@host.invalid/x.git", variable: "mine -y", want: "^mine -y .*git@host.invalid"},
		"by rewriting":   {url: "git::https://host.invalid/x.git", config: "[url \"ssh://git@host.invalid/\"]\n\tinsteadOf = https://host.invalid/\n", want: "^ssh " + ours},
		"a user and key": {url: "git::ssh://git@host.invalid/x.git?sshkey=a2V5", variable: "mine", want: "^mine -i .*/key "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
			t.Setenv("GIT_CONFIG_GLOBAL", config)
			if test.variable != "" {
				t.Setenv("GIT_SSH_COMMAND", test.variable)
			}
			t.Setenv("GIT_SSH_VARIANT", "ssh")
			check(t, errors.Join(os.WriteFile(config, []byte(test.config), 0o600), os.WriteFile(filepath.Join(dir, "said"), nil, 0o600)))
			f := fixed(t, func(cfg *fetch.Config) { cfg.IdleTimeout, cfg.Retry.Limit = 7*time.Second, -1 })
			f.wantFault(t, templates(test.url), fault.Upstream, "git: ")
			said, err := os.ReadFile(filepath.Join(dir, "said"))
			check(t, err)
			if !regexp.MustCompile(test.want).Match(said) {
				t.Errorf("it was %s, want %s", said, test.want)
			}
			f.wantNothing(t)
		})
	}
}

// TestGitIsItsOwn: what the environment says of another repository is not this one's.
func TestGitIsItsOwn(t *testing.T) {
	s, _, _ := gitServer(t, nil)
	t.Setenv("GIT_DIR", filepath.Join(t.TempDir(), "another"))
	t.Setenv("GIT_SHALLOW_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("GIT_DEFAULT_HASH", "sha256")
	fixed(t).wantTree(t, templates("git::"+s.URL+"/kubeshop/botkube.git//t"), map[string]string{"a/a.yaml": "a", "b.yaml": "b"})
}

// TestGitBomb: what unpacks to more files than anybody can count is not unpacked.
func TestGitBomb(t *testing.T) {
	t.Parallel()
	s, r, _ := gitServer(t, nil)
	check(t, r.Nest("refs/heads/few", 10, 2))
	check(t, r.Nest("refs/heads/many", 100, 6))
	base := "git::" + s.URL + "/kubeshop/botkube.git?ref="
	if got, err := fixed(t).blob(t, templates(base+"few")); err != nil || len(got.Files) != 100 {
		t.Errorf("%d files, %v", len(got.Files), err)
	}
	f := fixed(t)
	f.wantFault(t, templates(base+"many"), fault.Integrity, "more than 100000 files")
	f.wantNothing(t)
}

func TestGitRetries(t *testing.T) {
	t.Parallel()
	s, _, _ := gitServer(t, nil)
	target, err := url.Parse(s.URL)
	check(t, err)
	failures := 2
	stumbling := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if failures--; failures >= 0 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		http.Redirect(w, r, target.String()+r.URL.Path+"?"+r.URL.RawQuery, http.StatusFound)
	}))
	defer stumbling.Close()
	f := fixed(t)
	f.wantTree(t, templates("git::"+stumbling.URL+"/kubeshop/botkube.git//t"), map[string]string{"a/a.yaml": "a", "b.yaml": "b"})
	if f.count("retrying") != 2 {
		t.Errorf("%s", f)
	}
}

func TestGitIsInterrupted(t *testing.T) {
	t.Parallel()
	gitServer(t, nil)
	asked, gone := make(chan struct{}, 10), make(chan struct{}, 10)
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	}))
	defer hanging.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	f := fixed(t)
	_, err := f.client.Blob(ctx, templates("git::"+hanging.URL+"/x.git"), f.observer())
	if err == nil || ctx.Err() == nil {
		t.Errorf("%v", err)
	}
	f.wantNothing(t)
	if runtime.GOOS != "windows" {
		<-gone // with the process that asked
	}
}

func TestGitStalls(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	gitServer(t, nil)
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hanging.Close()
	f := fixed(t, func(cfg *fetch.Config) { cfg.IdleTimeout, cfg.Retry.Limit = time.Second, -1 })
	f.wantFault(t, templates("git::"+hanging.URL+"/x.git"), fault.Upstream, "git: ")
}

func TestPinnedTreeNeedsNoGit(t *testing.T) {
	s, r, _ := gitServer(t, nil)
	f := fixed(t)
	req := templates("git::" + s.URL + "/kubeshop/botkube.git//t?ref=main")
	got := f.wantTree(t, req, map[string]string{"a/a.yaml": "a", "b.yaml": "b"})
	check(t, r.Write("t/b.yaml", "moved"))
	_, err := r.Commit()
	check(t, err)
	pinned := req
	pinned.SHA256, pinned.Source = &got.SHA256, "the lock"
	other := fixed(t)
	err = other.wantFault(t, pinned, fault.Integrity, "the content has changed", "the lock has")
	if !strings.Contains(fault.HintOf(err), "may have moved") {
		t.Error(fault.HintOf(err))
	}
	other.wantNothing(t)
	t.Setenv("PATH", t.TempDir())
	if again, err := f.blob(t, pinned); err != nil || !again.Reused || again.SHA256 != got.SHA256 {
		t.Errorf("%+v, %v", again, err)
	}
	err = fixed(t).wantFault(t, req, fault.Usage, "git is not installed")
	if !strings.Contains(fault.HintOf(err), "install git") {
		t.Error(fault.HintOf(err))
	}
}

func tarGz(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	for name, content := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}
		if to, link := strings.CutPrefix(content, "-> "); link {
			h.Typeflag, h.Linkname, h.Size, content = tar.TypeSymlink, to, 0, ""
		}
		check(t, tw.WriteHeader(h))
		_, err := io.WriteString(tw, content)
		check(t, err)
	}
	check(t, tw.Close())
	check(t, zw.Close())
	return out.Bytes()
}

func TestArchivesOfTemplates(t *testing.T) {
	t.Parallel()
	data := tarGz(t, map[string]string{"x/t/a.yaml": "a", "x/t/b/b.yaml": "b", "x/t/c.txt": "c", "x/o.yaml": "o"})
	u := newUpstream(t, data)
	want := map[string]string{"a.yaml": "a", "b/b.yaml": "b"}
	f := fixed(t)
	first := f.wantTree(t, templates(u.URL+"/t.tar.gz//x/t"), want)
	sum := lock.Sum(data).String()
	for _, form := range []string{"/t.tar.gz//*/t", "/t//x/t?archive=tar.gz", "/t.tar.gz//x/t?checksum=sha256:" + sum, "/t.tar.gz//x/t?checksum=" + sum} {
		if r := f.wantTree(t, templates(u.URL+form), want); r.SHA256 != first.SHA256 {
			t.Errorf("%s makes another archive", form)
		}
	}
	f.wantFault(t, templates(u.URL+"/t.tar.gz//x/t?checksum=sha256:"+strings.Repeat("0", 64)), fault.Integrity, "the URL has sha256:")
	f.wantFault(t, templates(u.URL+"/t.tar.gz//x/t?checksum=file:x"), fault.Usage, "checksum file")
	f.wantFault(t, templates(u.URL+"/t.zip//x/t"), fault.Integrity, "archive cannot be read: it is a gzip archive, not a zip archive")
	u.then(status(404))
	fixed(t).wantFault(t, templates(u.URL+"/absent.tar.gz"), fault.Upstream, "404")
	for _, hostile := range []map[string]string{{"../x.yaml": "x"}, {"a.yaml": "-> /etc/passwd"}} {
		u := newUpstream(t, tarGz(t, hostile))
		f := fixed(t)
		r, err := f.blob(t, templates(u.URL+"/t.tar.gz"))
		if err == nil && fmt.Sprint(f.contents(t, r)) != "map[a.yaml:]" {
			t.Errorf("%v makes %v", hostile, f.contents(t, r))
		}
	}
}

// TestArchiveOfClosedDirectories: modes in an archive keep nothing from being read or
// removed.
func TestArchiveOfClosedDirectories(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may do everything")
	}
	var archive bytes.Buffer
	tw := tar.NewWriter(&archive)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "closed/", Mode: 0},
		{Typeflag: tar.TypeReg, Name: "closed/a.yaml", Mode: 0, Size: 1},
		{Typeflag: tar.TypeDir, Name: "fixed/", Mode: 0o555},
		{Typeflag: tar.TypeReg, Name: "fixed/b.yaml", Mode: 0o444, Size: 1},
	} {
		check(t, tw.WriteHeader(&h))
		_, err := io.WriteString(tw, strings.Repeat("x", int(h.Size)))
		check(t, err)
	}
	check(t, tw.Close())
	u := newUpstream(t, archive.Bytes())
	fixed(t).wantTree(t, templates(u.URL+"/t.tar"), map[string]string{"closed/a.yaml": "x", "fixed/b.yaml": "x"})
}

// TestTreeAndFile: what a URL gives as a directory is not what it gives as a file.
func TestTreeAndFile(t *testing.T) {
	t.Parallel()
	data := tarGz(t, map[string]string{"a.yaml": "a"})
	u := newUpstream(t, data)
	f := fixed(t)
	req := fetch.Request{URL: u.URL + "/t.tar.gz"}
	f.wantTree(t, templates(req.URL), map[string]string{"a.yaml": "a"})
	f.want(t, req, data)
}

// TestBucketsOfTemplates has go-getter's own getter list an object store's directory.
func TestBucketsOfTemplates(t *testing.T) {
	t.Parallel()
	keys := []string{"t/a.yaml", "t/b/b.yaml", "t/c.txt"}
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if key, found := strings.CutPrefix(r.URL.Path, "/bucket/"); found && key != "" {
			_, _ = io.WriteString(w, key)
			return
		}
		fmt.Fprint(w, `<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>`)
		for _, key := range keys {
			fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>%d</Size></Contents>", key, len(key))
		}
		fmt.Fprint(w, "</ListBucketResult>")
	}))
	defer store.Close()
	req := templates("s3::" + store.URL + "/bucket/t?aws_access_key_id=id&aws_access_key_secret=topsecret&region=us-east-1")
	fixed(t).wantTree(t, req, map[string]string{"a.yaml": "t/a.yaml", "b/b.yaml": "t/b/b.yaml"})
	keys = append(keys, "t", "t-old/a.yaml", "t.yaml") // are no part of it
	fixed(t).wantTree(t, req, map[string]string{"a.yaml": "t/a.yaml", "b/b.yaml": "t/b/b.yaml"})
	keys = append(keys, "t/../../x.yaml")
	f := fixed(t)
	err := f.wantFault(t, req, fault.Upstream, "outside the directory")
	if strings.Contains(err.Error(), "topsecret") {
		t.Error(err)
	}
	f.wantNothing(t)
	keys = []string{"t/", "t"}
	f.wantFault(t, req, fault.Upstream, "the directory is empty")
}

// TestBucketOfTemplatesStalls: a store that does not answer is not waited for.
func TestBucketOfTemplatesStalls(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hanging.Close()
	f := fixed(t, func(cfg *fetch.Config) { cfg.IdleTimeout, cfg.Retry.Limit = time.Second, -1 })
	f.wantFault(t, templates("s3::"+hanging.URL+"/bucket/t?aws_access_key_id=id&aws_access_key_secret=x&region=us-east-1"), fault.Upstream, "")
	f.wantNothing(t)
}

// TestGitTrustsWhomWeTrust: who --ca-file or SSL_CERT_FILE has this program trust, git trusts too.
func TestGitTrustsWhomWeTrust(t *testing.T) {
	s, _, _ := gitServer(t, nil)
	base, trust := behindTLS(t, s)
	req := templates("git::" + base + "/kubeshop/botkube.git//t")
	err := fixed(t).wantFault(t, req, fault.Upstream, "certificate")
	if !strings.Contains(fault.HintOf(err), "--ca-file") {
		t.Error(fault.HintOf(err))
	}
	var cfg fetch.Config
	trust(&cfg)
	fixed(t, trust).wantTree(t, req, map[string]string{"a/a.yaml": "a", "b.yaml": "b"})
	t.Setenv("GIT_SSL_CAINFO", "") // this machine may have it
	t.Setenv("SSL_CERT_FILE", cfg.Identity.CAFiles[0])
	fixed(t).wantTree(t, req, map[string]string{"a/a.yaml": "a", "b.yaml": "b"})
}

// TestGitShowsCertificate: a server that asks who this is gets what --client-cert names.
func TestGitShowsCertificate(t *testing.T) {
	t.Parallel()
	s, _, _ := gitServer(t, nil)
	target, err := url.Parse(s.URL)
	check(t, err)
	authority := tlstest.NewAuthority("test")
	asking := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(target))
	asking.Config.ErrorLog = log.New(io.Discard, "", 0)
	asking.TLS = authority.Asking()
	asking.StartTLS()
	defer asking.Close()
	dir := t.TempDir()
	certPEM, keyPEM := authority.Client("joe", -time.Hour, time.Hour)
	id := transfer.Identity{CAFiles: []string{dir + "/ca"}, CertFile: dir + "/cert", KeyFile: dir + "/key"}
	for name, data := range map[string][]byte{"ca": authority.PEM(), "cert": certPEM, "key": keyPEM} {
		check(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	req := templates("git::" + asking.URL + "/kubeshop/botkube.git//t")
	fixed(t, func(cfg *fetch.Config) { cfg.Identity = id }).wantTree(t, req, map[string]string{"a/a.yaml": "a", "b.yaml": "b"})
	id.CertFile, id.KeyFile = "", ""
	fixed(t, func(cfg *fetch.Config) { cfg.Identity, cfg.Retry.Limit = id, -1 }).wantFault(t, req, fault.Upstream, "git: ")
}

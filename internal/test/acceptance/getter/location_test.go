package getter_test

import (
	"encoding/hex"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/go-getter"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// FuzzSplit compares how the agent package reads a URL with what go-getter,
// called as the agent calls it, does with one.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{
		"https://dl.k8s.io/release/v1.28.1/bin/linux/amd64/kubectl",
		"https://get.helm.sh/helm-v3.6.3-linux-amd64.tar.gz//linux-amd64",
		"https://github.com/cli/cli/releases/download/v2.32.1/gh_2.32.1_macOS_amd64.zip//gh_2.32.1_macOS_amd64/bin",
		"https://example.com/x.tgz?checksum=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855&archive=false",
		"https://example.com/x?archive=tar.gz&filename=y&z=1",
		"https://example.com/x.tar.xz?checksum=d41d8cd98f00b204e9800998ecf8427f",
		"https://example.com/x?checksum=file:https://example.com/sums",
		"https://example.com/a//b?x=https://example.com//c",
		"https://example.com/x.gz//../y", "https://example.com/x.zip//*/bin/?q", "file:///x.tar//.", "s3::https://x/y.zip//a//b",
		"https://user:p%40ss@example.com:8080/x%2Fy.tar.bz2#frag", "https://example.com//x.zip", "http://[::1]/x.tzst",
		"https://example.com/x?archive=0", "https://example.com/x.zip?archive=nonsense", "https://example.com/x.TAR.GZ",
	} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw string) {
		// The agent's own parameter comes before a fragment, and so between a
		// sub-directory and a fragment, of which go-getter makes another URL.
		// No index has fragments.
		if strings.Contains(raw, "#") {
			return
		}
		want, ok := goGetter(t, dir, raw)
		if !ok {
			return
		}
		got, err := agent.ParseLocation(raw)
		if err == nil && want.err != nil && got.ChecksumFile != "" {
			return // that it cannot be had is found out when it is fetched
		}
		if (err != nil) != (want.err != nil) {
			t.Fatalf("%q: the agent package says %v, go-getter %v", raw, err, want.err)
		}
		if err != nil {
			return
		}
		want.compare(t, raw, got)
	})
}

// reading is what go-getter makes of a URL.
type reading struct {
	url, format, subdir string
	checksum            *getter.ChecksumError
	checksumFile        bool
	err                 error
}

var errUnpacked = errors.New("unpacked")

// goGetter calls go-getter as the agent does (pkg/plugin/downloader.go), with
// getters that fetch nothing and decompressors that unpack nothing. It is not
// ok if the URL is for go-getter's detectors, or for a scheme that it lacks.
func goGetter(t *testing.T, dir, raw string) (r reading, ok bool) {
	parsed, err := url.Parse(raw)
	if err != nil {
		return reading{err: err}, true
	}
	q := parsed.Query()
	q.Set("filename", "binary")
	parsed.RawQuery = q.Encode()
	src := parsed.String()
	if detected, err := getter.Detect(src, dir, getter.Detectors); err != nil || detected != src {
		return reading{}, false
	}
	_, r.subdir = getter.SourceDirSubdir(forcedPrefix.ReplaceAllString(src, ""))
	if r.subdir != "" {
		r.subdir = strings.TrimPrefix(filepath.Clean(r.subdir), "/")
	}
	check(t, os.RemoveAll(filepath.Join(dir, "dst")))
	web := &recorder{r: &r}
	client := &getter.Client{
		Src: src, Dst: filepath.Join(dir, "dst"), Pwd: dir, Mode: getter.ClientModeAny,
		Getters:       map[string]getter.Getter{"http": web, "https": web, "file": web, "s3": web, "gcs": web},
		Decompressors: map[string]getter.Decompressor{},
	}
	for format := range getter.Decompressors {
		client.Decompressors[format] = &unpacker{&r, format}
	}
	err = client.Get()
	if wrong, is := errors.AsType[*getter.ChecksumError](err); is {
		r.checksum, err = wrong, nil
		if len(wrong.Expected) != wrong.Hash.Size() {
			err = wrong // no content will ever match
		}
	}
	if errors.Is(err, errUnpacked) || web.called && r.checksum == nil {
		err = nil
	}
	// What go-getter finds out only when it has unpacked (source.go, SubdirGlob).
	if _, malformed := filepath.Match(r.subdir, ""); err == nil {
		err = malformed
	}
	r.err = err
	return r, err == nil || !strings.Contains(err.Error(), "download not supported for scheme") &&
		!strings.Contains(err.Error(), "Error downloading checksum file")
}

var forcedPrefix = regexp.MustCompile(`^[A-Za-z0-9]+::`)

type recorder struct {
	r      *reading
	called bool
}

func (g *recorder) Get(string, *url.URL) error                     { return nil }
func (g *recorder) SetClient(*getter.Client)                       {}
func (g *recorder) ClientMode(*url.URL) (getter.ClientMode, error) { return getter.ClientModeFile, nil }

func (g *recorder) GetFile(dst string, u *url.URL) error {
	g.called = true
	g.r.url = u.String()
	// go-getter downloads a checksum file without a filename parameter.
	g.r.checksumFile = filepath.Base(dst) != "archive" && filepath.Base(dst) != "binary"
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return err
	}
	return os.WriteFile(dst, nil, 0o644)
}

type unpacker struct {
	r      *reading
	format string
}

func (d *unpacker) Decompress(string, string, bool, os.FileMode) error {
	d.r.format = d.format
	return errUnpacked
}

func (r reading) compare(t *testing.T, raw string, got agent.Location) {
	if r.subdir == "." {
		r.subdir = ""
	}
	if got.Subdir != r.subdir {
		t.Errorf("%q: sub-directory %q, go-getter's %q", raw, got.Subdir, r.subdir)
	}
	if r.checksumFile {
		if got.ChecksumFile == "" {
			t.Errorf("%q: no checksum file, but go-getter fetches %q", raw, r.url)
		}
		return
	}
	if r.checksum == nil && got.Format != r.format {
		t.Errorf("%q: format %q, go-getter's %q", raw, got.Format, r.format)
	}
	if r.checksum != nil && (got.Checksum == nil || got.Checksum.Hex != hex.EncodeToString(r.checksum.Expected)) {
		t.Errorf("%q: checksum %v, go-getter's %x", raw, got.Checksum, r.checksum.Expected)
	}
	// The name is of no use to a server, nor is an archive without a value.
	u, err := url.Parse(r.url)
	check(t, err)
	q := u.Query()
	q.Del("filename")
	q.Del("archive")
	u.RawQuery = q.Encode()
	// A question mark that nothing follows is of no meaning.
	own := strings.TrimSuffix(forcedPrefix.ReplaceAllString(got.URL, ""), "?")
	if u.ForceQuery = false; own != u.String() {
		t.Errorf("%q: URL %q, go-getter's %q", raw, own, u)
	}
}

// FuzzDetect compares what a source is taken for.
func FuzzDetect(f *testing.F) {
	for _, seed := range []string{
		"github.com/a/b", "github.com/a/b.git", "github.com/a/b/c/d", "github.com/a/b//c/d?ref=x", "github.com/a/b/c?ref=x", "github.com/a/b/c//d/../e", "github.com/a", "github.com/",
		"gitlab.com/a/b", "gitlab.com/a/b/c//d?ref=x", "gitlab.com/a", "git@github.com:a/b.git", "git@host:a/b//c?ref=x&a=b", "git@host:/a/b?ref=%20", "joe@host:a/b", "git@host:a?%zz",
		"git::github.com/a/b", "git::git@host:a/b.git//c", "s3::s3.amazonaws.com/b/k", "http::github.com/a/b//*",
		"s3.amazonaws.com/b/k", "s3-eu-west-1.amazonaws.com/b/k", "b.s3.amazonaws.com/k", "b.s3-eu-west-1.amazonaws.com/k//d", "b.s3.eu-west-1.amazonaws.com/k?version=1", "a.b.c.s3.x.amazonaws.com/k",
		"x/y.amazonaws.com/k", "www.googleapis.com/storage/v1/b/o/x", "www.googleapis.com/storage/v1/b", "storage.googleapis.com/a/v1/b/o//d",
		"/a/b", "/a b//c", "a/b", "./a", "../a", "", "file:///a//b", "https://host/a//b?x=y", "HTTPS://host", "x::y::z", "://", "github.com/%zz/b", "github.com/a/b//%zz",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if strings.HasPrefix(raw, "bitbucket.org/") || strings.Contains(raw, "::bitbucket.org/") {
			return // go-getter asks there
		}
		want, wantErr := getter.Detect(raw, "", getter.Detectors)
		got, local, err := fetch.Locate(raw)
		if err != nil {
			return // a URL that is none: who gets it finds out
		}
		if wantErr != nil && (got != "" || !local) || wantErr == nil && got != want {
			t.Errorf("%q is %q, local %t; go-getter has %q, %v", raw, got, local, want, wantErr)
		}
	})
}

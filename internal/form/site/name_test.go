package site

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

func TestFileName(t *testing.T) {
	long := strings.Repeat("x", 300)
	for raw, want := range map[string]string{
		"https://e.com/v1/executor_x_linux_amd64.tar.gz":          "executor_x_linux_amd64.tar.gz",
		"https://e.com/kubectl":                                   "kubectl",
		"https://e.com/a%20b%2Bc.zip?token=redacted":              "a_b_c.zip",
		"https://e.com/b\u00fcro.tgz":                             "b_ro.tgz",
		"https://e.com/dir%2Fx.tar.xz":                            "x.tar.xz",
		"https://e.com/x%2Etar.gz":                                "x.tar.gz",
		"https://e.com/x.tar.gz%20":                               "x.tar.gz_",
		"https://e.com/x.zip.":                                    "x.zip_",
		"https://e.com/x.ZIP":                                     "x.ZIP",
		"https://e.com/x.zip/":                                    "x_zip",
		"https://e.com/x.tar.gz/":                                 "x.tar_gz",
		"https://e.com":                                           "file",
		"https://e.com/":                                          "file",
		"https://e.com/?get=x.zip":                                "file",
		"https://e.com/.tar.gz":                                   "file.tar.gz",
		"https://e.com/..":                                        "file._",
		"https://e.com/%2e%2e%5c":                                 "file.._",
		"https://e.com/con." + long:                               "con_." + long[:144] + "_",
		"https://e.com/con.zip":                                   "con_.zip",
		"https://e.com/LPT1":                                      "LPT1_",
		"https://e.com/" + long + ".tar.gz":                       long[:142] + "_.tar.gz",
		"https://e.com/" + long[:142] + ".zip" + long:             long[:142] + ".zipxxx_",
		"https://e.com/" + long[:145] + ".zip" + long:             long[:145] + ".zip_",
		"file:///opt/plugins/x.txz":                               "x.txz",
		"s3::https://s3.amazonaws.com/bucket/x.tar.gz":            "x.tar_gz",
		"s3::https://s3.amazonaws.com/bucket/x?region=eu":         "x",
		"bucket.s3.amazonaws.com/x.tar.gz":                        "x.tar.gz",
		"https://e.com/$(reboot);'\"`&<script>":                   "__reboot_______script_",
		"https://e.com/x.tar.gz?filename=../../etc/passwd&z=//..": "x.tar.gz",
	} {
		got := fileName(raw)
		if got != want {
			t.Errorf("fileName(%q) = %q, want %q", raw, got, want)
		}
		if len(got) > maxName || sanitise(got) != got {
			t.Errorf("fileName(%q) = %q, which is not safe", raw, got)
		}
	}
}

var sum = lock.Sum([]byte("x"))

// rewrite returns the URL of a site for an upstream one.
func rewrite(t *testing.T, base, raw string) (string, error) {
	t.Helper()
	l, err := agent.ParseLocation(raw)
	if err != nil {
		t.Fatal(err)
	}
	r := &rewriter{base, map[string]lock.Artifact{l.URL: {URL: l.URL, Blob: lock.Blob{Size: 1, SHA256: sum}}}}
	u, _, err := r.location(raw)
	return u, err
}

func TestLocation(t *testing.T) {
	const base = "https://mirror.example.com/botkube"
	dir := base + "/" + contentDir(sum) + "/"
	for raw, want := range map[string]string{
		"https://e.com/x.tar.gz": "x.tar.gz",
		"https://e.com/x.tar.gz?checksum=md5:d41d8cd98f00b204e9800998ecf8427e&filename=y": "x.tar.gz",
		"https://e.com/kubectl": "kubectl",
		"https://get.helm.sh/helm-v3.6.3-linux-amd64.tar.gz//linux-amd64": "helm-v3.6.3-linux-amd64.tar.gz//linux-amd64",
		"https://e.com/x.zip//a%20b/*/?token=t":                           "x.zip//a%20b/*/",
		"https://e.com/x.zip//a b":                                        "x.zip//a%20b",
		"https://e.com/x.zip//a//b":                                       "x.zip//a//b",
		"https://e.com/x.zip//":                                           "x.zip//",
		"https://e.com/x.zip//y.tar.gz":                                   "x.zip//y.tar.gz",
		"https://e.com/x.zip//y#part":                                     "x.zip//y",
		"https://e.com/x.tgz?archive=false":                               "x.tgz?archive=false",
		"https://e.com/x.tgz?archive=nonsense":                            "x.tgz?archive=nonsense",
		"https://e.com/x.tgz?archive=a%26b":                               "x.tgz?archive=a%26b",
		"https://e.com/x.tgz?archive=":                                    "x.tgz",
		"https://e.com/x.tgz//y?archive=0":                                "x.tgz//y?archive=0",
		"https://e.com/download?archive=tgz&id=5":                         "download?archive=tgz",
		"https://e.com/download?file=x.tar.gz":                            "download",
		"https://e.com/?archive=zip":                                      "file?archive=zip",
		"https://e.com/x.zip/":                                            "x_zip",
		"https://e.com/x%20y.tar.gz":                                      "x_y.tar.gz",
		"file:///opt/x.txz//*/bin":                                        "x.txz//*/bin",
		"s3::https://s3.amazonaws.com/bucket/x.tar.gz":                    "x.tar_gz?archive=tar.gz",
		"s3::https://s3.amazonaws.com/bucket/x.tar.gz?archive=zip":        "x.tar_gz?archive=zip",
		"s3::https://s3.amazonaws.com/bucket/x.tar.gz?archive=false":      "x.tar_gz?archive=false",
		"s3::https://s3.amazonaws.com/bucket/x.tar.gz//y.zip?region=eu":   "x.tar_gz//y.zip/?archive=tar.gz",
		"s3::https://s3.amazonaws.com/bucket/kubectl":                     "kubectl",
		"bucket.s3.amazonaws.com/x.tar.gz//bin":                           "x.tar.gz//bin",
	} {
		got, err := rewrite(t, base, raw)
		if err != nil || got != dir+want {
			t.Errorf("%s becomes %s, %v, want %s", raw, strings.TrimPrefix(got, dir), err, want)
		}
		was, _ := agent.ParseLocation(raw)
		now, err := agent.ParseLocation(withChecksum(got, sum))
		if err != nil || !sameUse(was, now) || now.Checksum == nil || now.Checksum.String() != "sha256:"+sum.String() {
			t.Errorf("%s is read as %+v, %v; what it was made of as %+v", got, now, err, was)
		}
	}
	if u, err := rewrite(t, base, "s3::https://s3.amazonaws.com/bucket/x.zip//a b"); err == nil {
		t.Errorf("a sub-directory that no http URL can name became %s", u)
	}
	r := &rewriter{base: base}
	if u, _, err := r.location("https://user:secret@e.com/x"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%s, %v for what is not pinned", u, err)
	}
}

// FuzzLocation wants any URL to stay within the site and to mean the same, or
// an error.
func FuzzLocation(f *testing.F) {
	for _, seed := range []string{
		"https://e.com/x.tar.gz//sub/dir?checksum=sha256:00&archive=zip", "git::ssh://git@e.com/x", "file:///x.zip//*/bin",
		"https://a:b@e.com//x//y?z=//", "x", "%", "s3::https://s3.amazonaws.com/b/k?archive=false", "https://e.com/..%2f..//x.zip", "a::b::c//d.zip",
	} {
		f.Add(seed)
	}
	const base = "http://mirror/base"
	f.Fuzz(func(t *testing.T, raw string) {
		was, err := agent.ParseLocation(raw)
		if err != nil {
			return
		}
		if name := fileName(was.URL); sanitise(name) != name || len(name) > maxName {
			t.Fatalf("%q gives the name %q", raw, name)
		}
		u, err := rewrite(t, base, raw)
		if err != nil {
			return
		}
		now, err := agent.ParseLocation(withChecksum(u, sum))
		if err != nil || !sameUse(was, now) || !strings.HasPrefix(now.URL, base+"/"+contentDir(sum)+"/") || now.Checksum == nil {
			t.Fatalf("%q became %q, which is read as %+v, %v", raw, u, now, err)
		}
	})
}

func TestCheckBaseURL(t *testing.T) {
	for _, raw := range []string{"https://e.com", "http://e.com/", "https://e.com:8443/a/b/", "https://e.com/a%20b", "http://[::1]:80/x", "HTTPS://e.com"} {
		if err := form.CheckBaseURL(raw); err != nil {
			t.Errorf("form.CheckBaseURL(%q): %v", raw, err)
		}
		base, err := baseURL(raw)
		if err != nil {
			t.Fatal(err)
		}
		if u, err := rewrite(t, base, "https://up.com/x.zip//y"); err != nil {
			t.Errorf("at %s: %s, %v", raw, u, err)
		}
	}
	for _, raw := range []string{
		"", "e.com", "//e.com", "/srv", "ftp://e.com", "https://", "https://:80", "https:e.com", "https://e.com?x", "https://e.com/?", "https://e.com#x",
		"https://e.com/#", "https://user@e.com", "https://user:secret@e.com/", "https://e.com//x", "https://e.com/x//", "https://e.com/../x",
		"https://e.com/%2e%2e/x", "https://e.com/a%2F%2Fb", "http::https://e.com", "https://user:secret@e.com:x/",
	} {
		err := form.CheckBaseURL(raw)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("form.CheckBaseURL(%q): %v", raw, err)
		}
	}
}

func TestIndexURL(t *testing.T) {
	l := &lock.Lock{BotkubeVersion: "v1.14.0+x"}
	if got, err := IndexURL("https://e.com/m/", l, "my repo%?"); err != nil || got != "https://e.com/m/v1.14.0_x/my%20repo%25%3F/plugins-index.yaml" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestTemplates(t *testing.T) {
	const u = "git::https://github.com/kubeshop/botkube.git//cmd/executor/exec/templates?ref=release-1.8"
	key := agent.PluginKey{Repository: "r", Name: "exec", Version: "v1"}
	l := &lock.Lock{
		Plugins: []lock.Plugin{{
			Repository: key.Repository, Type: agent.Executor, Name: key.Name, Version: key.Version,
			Templates: []lock.Template{{Ref: "github.com/kubeshop/botkube//cmd", URL: u}},
		}},
		Artifacts: []lock.Artifact{{URL: u, DirArchive: lock.DirArchiveYAML, Blob: lock.Blob{Size: 1, SHA256: sum}}},
	}
	got, err := Templates("https://e.com/m/", l)
	want := "https://e.com/m/" + contentDir(sum) + "/templates.tar?checksum=sha256:" + sum.String()
	if err != nil || len(got) != 1 || got[0] != (form.Template{Plugin: key, Ref: "github.com/kubeshop/botkube//cmd", URL: want}) {
		t.Errorf("%+v, %v, want %s", got, err, want)
	}
	// To go-getter it is an archive, with nothing else to be taken of it.
	location, err := agent.ParseLocation(want)
	if err != nil || location.Format != "tar" || location.Subdir != "" || location.Checksum == nil {
		t.Errorf("%+v, %v", location, err)
	}
	if _, err := Templates("e.com", l); err == nil {
		t.Error("a base URL that is none was taken")
	}
}

package registry_test

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
)

var digest = "sha256:" + strings.Repeat("0a", 32)

func TestParseReference(t *testing.T) {
	t.Parallel()
	for s, id := range map[string]string{
		"registry.example/a":                             "",
		"registry.example:5000/a/b-c/d__e.f:v1":          "v1",
		"localhost/a:1":                                  "1",
		"host:80/a@" + digest:                            digest,
		"[::1]:5000/a:v1.14.0":                           "v1.14.0",
		"[fd00::1]/a":                                    "",
		"127.0.0.1:5000/a:x@" + digest:                   digest,
		"docker.io/library/alpine:latest":                "latest",
		"Registry.Example/a:" + strings.Repeat("x", 128): strings.Repeat("x", 128),
	} {
		r, err := registry.ParseReference(s)
		if err != nil || r.String() != s || r.Identifier() != id {
			t.Errorf("%q: %q, %q, %v", s, r, r.Identifier(), err)
		}
	}
	for s, says := range map[string]string{
		"":                             "empty",
		"alpine":                       "repository's path is missing",
		"mirror/botkube:v1":            "docker.io/mirror/botkube:v1",
		"mirror/botkube\n":             "U+000A (the end of a line)",
		"registry.example\r/a":         "U+000D (the end of a line)",
		" registry.example/a":          "U+0020 (a space)",
		"\u200bregistry.example/a":     "U+200B",
		"registry.example/a\xff":       "U+FFFD",
		"https://registry.example/a":   "must not have a scheme",
		"docker://registry.example/a":  "must not have a scheme",
		"registry.example/":            "the path",
		"registry.example/A":           "the path",
		"registry.example/a//b":        "the path",
		"registry.example/../b":        "the path",
		"registry.example/a/":          "the path",
		"registry.example/a?b":         "the path",
		"registry.example/a:":          "the tag",
		"registry.example/a:.x":        "the tag",
		"registry.example/a:x/y":       "the tag",
		"registry.example/a@":          "the digest",
		"registry.example/a@sha256:0a": "the digest",
		"registry.example/a@md5:0a":    "the digest",
		"registry.example:0/a":         "the registry's host",
		"registry.example:99999/a":     "the registry's host",
		"registry.example:/a":          "the registry's host",
		"registry_example:5000/a":      "the registry's host",
		"[::1/a":                       "the registry's host",
		"[1.2.3.4]/a":                  "the registry's host",
		"[fe80::1%25eth0]/a":           "the registry's host",
		"-registry.example/a":          "the registry's host",
		"/a":                           "the registry's host",
		"registry.example/" + strings.Repeat("a", 240):                  "255",
		"user:" + registrytest.Password + "@registry.example/a":         "credentials",
		"https://user:" + registrytest.Password + "@registry.example/a": "must not have a scheme",
		"user:" + registrytest.Password + "/@registry.example/a":        "",
	} {
		_, err := registry.ParseReference(s)
		checkFails(t, err, fault.Usage, says)
		if fault.HintOf(err) == "" {
			t.Errorf("%q: no hint", s)
		}
	}
}

func TestHintOfScheme(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"https://registry.example/a/":            "write registry.example/a",
		"http://registry.example:5000/a:v1":      "write registry.example:5000/a:v1, with --plain-http",
		"oci://registry.example/a":               "write registry.example/a",
		"https://registry.example":               "leave out the scheme",
		"https://u:p@registry.example/a":         "leave out the scheme",
		"https://registry.example/a@" + digest:   "leave out the scheme",
		"docker://https://registry.example/a:v1": "leave out the scheme",
	} {
		_, err := registry.ParseReference(s)
		if got := fault.HintOf(err); got != want {
			t.Errorf("%q: the hint is %q, want %q", s, got, want)
		}
	}
}

func TestParseRepository(t *testing.T) {
	t.Parallel()
	n, err := registry.ParseRepository("registry.example:5000/a/b")
	if err != nil || n.Host() != "registry.example:5000" || n.Path() != "a/b" {
		t.Errorf("%v, %v", n, err)
	}
	if n, err := n.Join("c"); err != nil || n.Path() != "a/b/c" {
		t.Errorf("%v, %v", n, err)
	}
	for _, s := range []string{"registry.example/a:v1", "registry.example/a@" + digest, "a/b"} {
		_, err := registry.ParseRepository(s)
		checkFails(t, err, fault.Usage, "repository")
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"", "registry.example:5000/a/b:v1", "[::1]:1/a@" + digest, "localhost/a:b@" + digest, "u:p@h.x/a", "https://u:p@h/a", "a/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := registry.ParseReference(s)
		if err != nil {
			if fault.KindOf(err) != fault.Usage || len(err.Error()) > 4000 {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if r.String() != s {
			t.Errorf("%q reads as %q", s, r)
		}
		n := r.Repository()
		if again, err := registry.ParseRepository(n.String()); err != nil || again != n {
			t.Errorf("%q: %v, %v", n, again, err)
		}
		if strings.Contains(n.Path(), "..") || strings.ContainsAny(n.String(), "@?#% \\") {
			t.Errorf("%q", s)
		}
	})
}

package bundle

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

func TestTitles(t *testing.T) {
	sum := func(s string) string {
		return "-" + lock.Sum([]byte(s + "\n" + lock.SHA256{}.String())).String()[:12]
	}
	long := strings.Repeat("x", 300)
	for _, test := range []struct {
		url, want string
	}{
		{"https://up.example/a/b.tar.gz", "up.example/a/b.tar.gz"},
		{"https://UP.example:8443/a/b", "up.example_8443/a/b"},
		{"https://user:secret@up.example/a", "up.example/a"},
		{"https://up.example", "up.example/index"},
		{"https://up.example/", "up.example/index"},
		{"https://up.example/a?token=secret", "up.example/a" + sum("https://up.example/a?token=secret")},
		{"https://up.example/a.tar.gz?x=1", "up.example/a" + sum("https://up.example/a.tar.gz?x=1") + ".tar.gz"},
		{"https://up.example/.tar.gz?x=1", "up.example/.tar" + sum("https://up.example/.tar.gz?x=1") + ".gz"},
		{"https://up.example/../../etc/passwd", "up.example/etc/passwd"},
		{"https://up.example/a//b/./c/", "up.example/a/b/c"},
		{"https://up.example/%2e%2e/%2fb", "up.example/%2e%2e/%2fb"},
		{`https://up.example/a\b:c*d"e<f>g|h`, "up.example/a%5Cb_c%2Ad%22e%3Cf%3Eg%7Ch"},
		{"https://up.example/é b\tc", "local/__b_c"},
		{"https://up.example/é b", "up.example/%C3%A9%20b"},
		{"https://[::1]:80/a", "[__1]_80/a"},
		{"https://up.example/con/NUL.txt/com1.tar.gz/a.", "up.example/con_/NUL_.txt/com1_.tar.gz/a_"},
		{"https://up.example/console", "up.example/console"},
		{"git::https://up.example/a.git", "up.example/a.git"},
		{"s3::https://s3.example/b/k?x=y", "s3.example/b/k" + sum("s3::https://s3.example/b/k?x=y")},
		{"git@github.com:a/b.git", "local/b.git"},
		{"file:///home/me/secret-project/plugin.tgz", "local/plugin.tgz"},
		{"file://server/share/plugin.tgz", "local/plugin.tgz"},
		{"/home/me/plugin", "local/plugin"},
		{`C:\Users\me\plugin.exe`, "local/plugin.exe"},
		{"plugin", "local/plugin"},
		{"/", "local/file"},
		{"..", "local/file"},
		{"", "local/file"},
		{"https://up.example/" + long + ".tar.gz", ""},
		{"https://" + long + "/a", ""},
	} {
		t.Run(test.url[:min(len(test.url), 60)], func(t *testing.T) {
			files := []titled{{url: test.url}}
			nameAll(files)
			if got := files[0].title; test.want != "" && got != test.want {
				t.Errorf("%s is titled %s, want %s", test.url, got, test.want)
			}
			checkTitles(t, files)
		})
	}
	files := []titled{{url: "git::https://up.example/a.git//t?ref=x", tree: lock.DirArchiveYAML}, {url: "https://up.example/a.git/t"}}
	nameAll(files)
	if got := files[0].title; !strings.HasPrefix(got, "up.example/a.git/t-") || !strings.HasSuffix(got, ".tar") {
		t.Errorf("an archive of templates is titled %s", got)
	}
	checkTitles(t, files)
}

// No two URLs get titles that would be one file, or one of them in the other.
func TestTitlesThatClash(t *testing.T) {
	suffix := func(s string) string {
		return lock.Sum([]byte(s + "\n" + lock.SHA256{}.String())).String()[:12]
	}
	for name, urls := range map[string][]string{
		"schemes":                       {"https://up.example/a", "http://up.example/a", "git::https://up.example/a"},
		"case":                          {"https://up.example/A", "https://up.example/a"},
		"a host named local":            {"/home/a", "https://local/a"},
		"directories":                   {"/x/a", "/y/a"},
		"directory and file":            {"https://up.example/a", "https://up.example/a/b", "https://up.example/A/b/c"},
		"queries":                       {"https://up.example/a?b", "https://up.example/a?c", "https://up.example/a"},
		"slashes":                       {"https://up.example/a/", "https://up.example/a", "https://up.example//a"},
		"a copied suffix":               {"https://up.example/a?b", "https://up.example/a-" + suffix("https://up.example/a?b"), "https://up.example/a-" + suffix("https://up.example/a?b") + "/c"},
		"characters":                    {"https://up.example/a:b", "https://up.example/a*b"},
		"in a directory that is a file": {"https://up.example/a/b", "https://up.example/a/b/c", "https://up.example/a/B"},
	} {
		t.Run(name, func(t *testing.T) {
			var files []titled
			for _, u := range urls {
				files = append(files, titled{url: u})
			}
			nameAll(files)
			checkTitles(t, files)
			again := slices.Clone(files)
			slices.Reverse(again)
			nameAll(again)
			slices.Reverse(again)
			if !slices.Equal(files, again) {
				t.Errorf("the order matters: %v, %v", files, again)
			}
		})
	}
}

func checkTitles(t *testing.T, files []titled) {
	t.Helper()
	seen := map[string]bool{}
	for _, f := range files {
		folded := strings.ToLower(f.title)
		if seen[folded] {
			t.Errorf("two are titled %s", f.title)
		}
		seen[folded] = true
		if path.Clean(f.title) != f.title || path.IsAbs(f.title) || strings.ContainsAny(f.title, "\\:*?\"<>|\t\n\x00 ") {
			t.Errorf("%q is titled %q", f.url, f.title)
		}
		for p := range strings.SplitSeq(f.title, "/") {
			if p == ".." || p == "." || len(p) > 255 || strings.HasSuffix(p, ".") {
				t.Errorf("%q is titled %q", f.url, f.title)
			}
		}
		if strings.Contains(f.title, "secret") || strings.Contains(f.title, "home") {
			t.Errorf("%q is titled %q", f.url, f.title)
		}
	}
	for _, f := range files {
		for dir := path.Dir(strings.ToLower(f.title)); dir != "."; dir = path.Dir(dir) {
			if seen[dir] {
				t.Errorf("%s is a directory and a file", dir)
			}
		}
	}
}

package site

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/page"
)

// TestPagesInSite writes versions in two orders, and removes one.
func TestPagesInSite(t *testing.T) {
	older, newer := newFixture(t, "v1.9.0"), newFixture(t, "v1.14.0")
	one, two := t.TempDir(), t.TempDir()
	older.write(t, one)
	if only := readFile(t, filepath.Join(one, page.Name)); strings.Contains(only, `id="versions"`) || !strings.Contains(only, "Botkube v1.9.0") {
		t.Errorf("the page of one version:\n%s", only)
	}
	alone := readTree(t, one)
	newer.write(t, one)
	newer.write(t, two)
	older.write(t, two)
	sameTree(t, "the other order", readTree(t, two), readTree(t, one))
	both := readFile(t, filepath.Join(one, page.Name))
	checkPage(t, []byte(both))
	for _, part := range []string{`<h1>Plugins for Botkube v1.14.0</h1>`, `<a href="v1.14.0/index.html">v1.14.0</a> <span class="tag">shown below</span>`, `<a href="v1.9.0/index.html">v1.9.0</a></th>`, baseURL1 + "/v1.14.0/r/plugins-index.yaml"} {
		if !strings.Contains(both, part) {
			t.Errorf("the page of both lacks %s:\n%s", part, both)
		}
	}
	if r, err := audited(t.Context(), one, form.AuditOptions{}); err != nil || len(r.Problems()) > 0 || len(r.Notes()) != 1 {
		t.Errorf("%v: %+v, %q", err, r.Problems(), r.Notes())
	}
	// One that was renamed is not served, and not listed.
	if err := os.Rename(filepath.Join(one, "v1.14.0"), filepath.Join(one, "old")); err != nil {
		t.Fatal(err)
	}
	older.write(t, one)
	if got := readFile(t, filepath.Join(one, page.Name)); strings.Contains(got, "old") || strings.Contains(got, "v1.14.0") {
		t.Errorf("a renamed version is listed:\n%s", got)
	}
	if err := os.RemoveAll(filepath.Join(two, "v1.14.0")); err != nil {
		t.Fatal(err)
	}
	if _, err := prune(t.Context(), place(two), false); err != nil {
		t.Fatal(err)
	}
	sameTree(t, "after prune", readTree(t, two), alone)
}

// TestPagesNoted has pages that are not as they were written. No agent asks for them.
func TestPagesNoted(t *testing.T) {
	f, root := newFixture(t, "v1"), t.TempDir()
	f.write(t, root)
	whole := readTree(t, root)
	at := func(p string) string { return filepath.Join(root, filepath.FromSlash(p)) }
	edit := func(p string) {
		writeFile(t, at(p), strings.ReplaceAll(readFile(t, at(p)), baseURL1, "https://evil.example.com"))
	}
	mode := func(p string) {
		if err := os.Chmod(at(p), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		breaks func(p string)
		want   string
		stays  bool
	}{
		"gone":    {func(p string) { _ = os.Remove(at(p)) }, "web pages are missing; the next pull or unpack writes them: v1/index.html, index.html", false},
		"edited":  {edit, "index.html, the web page of version v1, will be written anew by the next pull or unpack: it is not the page that this version of botkube-mirror writes, so copy nothing from it", false},
		"exposed": {mode, "index.html, the web page of version v1, will be written anew by the next pull or unpack: ", false},
		"another": {func(p string) { writeFile(t, at(p), "<!DOCTYPE html><title>ours</title>") }, "index.html was not written by botkube-mirror, and stays as it is", true},
		"empty":   {func(p string) { writeFile(t, at(p), "") }, "index.html, the web page of version v1, will be written anew by the next pull or unpack: ", false},
		"huge":    {func(p string) { _ = os.Truncate(at(p), 8*maxDocument+1) }, "index.html, the web page of version v1, will be written anew by the next pull or unpack: the file has ", false},
		"a link": {func(p string) {
			if p == page.Name {
				_ = os.Remove(at(p))
				_ = os.Symlink("v1/lock.json", at(p))
			}
		}, "index.html was not written by botkube-mirror, and stays as it is", true},
	} {
		if runtime.GOOS == "windows" && (name == "exposed" || name == "a link") {
			continue
		}
		c.breaks(PagePath("v1"))
		c.breaks(page.Name)
		r, err := audited(t.Context(), root, form.AuditOptions{})
		if err != nil || len(r.Problems()) > 0 || !slices.ContainsFunc(r.Notes(), func(n string) bool { return strings.HasPrefix(strings.TrimPrefix(n, "v1/"), c.want) }) {
			t.Errorf("%s: %v: %+v, %q", name, err, r.Problems(), r.Notes())
		}
		if only, err := audited(t.Context(), at("v1"), form.AuditOptions{}); err != nil || name != "a link" && len(only.Notes()) != 1 || slices.ContainsFunc(only.Notes(), func(n string) bool {
			return !strings.Contains(n, "v1/index.html") || strings.Contains(n, ", index.html")
		}) {
			t.Errorf("%s: of the version: %v, %q", name, err, only.Notes())
		}
		f.left = nil
		f.write(t, root)
		if got := slices.Equal(f.left, []string{at(page.Name)}); got != c.stays {
			t.Errorf("%s: left %q", name, f.left)
		}
		if c.stays {
			_ = os.Remove(at(page.Name))
			f.write(t, root)
		}
		sameTree(t, name, readTree(t, root), whole)
	}
	// A site of an earlier version of the program stays without a page.
	if err := os.Remove(at(page.Name)); err != nil {
		t.Fatal(err)
	}
	if _, err := prune(context.Background(), place(root), false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(at(page.Name)); err == nil {
		t.Error("prune wrote a page")
	}
}

// TestPagesOfServer compares a site's pages with those of a server of it.
func TestPagesOfServer(t *testing.T) {
	f, root := newFixture(t, "v1"), t.TempDir()
	f.write(t, root)
	served, err := openVersion(root, "v1")
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	l := served.Lock
	page, err := VersionPage(Paged{Lock: l, BaseURL: baseURL1, Made: served.Made})
	if err != nil || string(page) != readFile(t, filepath.Join(root, PagePath("v1"))) {
		t.Errorf("%v\n%s", err, page)
	}
	page, err = RootPage([]Paged{{Lock: l, BaseURL: baseURL1, Made: served.Made}})
	if err != nil || string(page) != readFile(t, filepath.Join(root, "index.html")) {
		t.Errorf("%v\n%s", err, page)
	}
}

package site

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// audited verifies a site, or a version of one.
func audited(ctx context.Context, path string, o form.AuditOptions) (*form.Audit, error) {
	o.Accept = func(*form.Form) error { return nil }
	if o.Hashed == nil {
		o.Hashed = func(int64) {}
	}
	a := &form.Audit{AuditOptions: o}
	return a, verify(ctx, place(path), a)
}

func TestAudit(t *testing.T) {
	jq := func(f *fixture) string {
		for _, a := range f.lock.Artifacts {
			if strings.Contains(a.URL, "jq") {
				return FilePath(a)
			}
		}
		t.Fatal("the fixture has no jq")
		return ""
	}
	edit := func(from, to string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			text := readFile(t, path)
			if !strings.Contains(text, from) {
				t.Fatalf("%s has no %q:\n%s", path, from, text)
			}
			writeFile(t, path, strings.Replace(text, from, to, 1))
		}
	}
	remove := func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	f := newFixture(t, "v1")
	const sums, locked, index = "v1/SHA256SUMS", "v1/lock.json", "v1/r/plugins-index.yaml"
	for _, c := range []struct {
		name   string
		path   string
		change func(t *testing.T, path string)
		// want are the problems: kind, path, and a part of the detail.
		want []string
	}{
		{"nothing", "", nil, nil},
		{"an upstream file", jq(f), func(t *testing.T, path string) { writeFile(t, path, "other") }, []string{"damaged " + jq(f) + " but the lock says"}},
		{"an upstream file that is missing", jq(f), remove, []string{"missing " + jq(f) + " the file is missing"}},
		{"an upstream file that is a directory", jq(f), func(t *testing.T, path string) {
			remove(t, path)
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}, []string{"damaged " + jq(f) + " it is a directory"}},
		{"an upstream file in SHA256SUMS", sums, edit(f.lock.Artifacts[0].SHA256.String(), strings.Repeat("0", 64)), []string{"damaged " + sums + " its digest of ../files/"}},
		{"SHA256SUMS that is missing", sums, remove, []string{"damaged " + index + " SHA256SUMS has no digest of the file", "missing " + sums}},
		{"SHA256SUMS that is no list", sums, func(t *testing.T, path string) { writeFile(t, path, "x") }, []string{"damaged " + sums + " expected a digest and a path", "damaged " + index}},
		{"SHA256SUMS with one more", sums, func(t *testing.T, path string) {
			writeFile(t, path, readFile(t, path)+strings.Repeat("0", 64)+"  zzz\n")
		}, []string{"damaged " + sums + " its files or their order"}},
		{"SHA256SUMS in another order", sums, func(t *testing.T, path string) {
			lines := slices.Collect(strings.Lines(readFile(t, path)))
			slices.Reverse(lines)
			writeFile(t, path, strings.Join(lines, ""))
		}, []string{"damaged " + sums + " its files or their order"}},
		{"the lock in SHA256SUMS", sums, func(t *testing.T, path string) {
			var lines []string
			for line := range strings.Lines(readFile(t, path)) {
				if strings.HasSuffix(line, "  lock.json\n") {
					line = strings.Repeat("0", 64) + "  lock.json\n"
				}
				lines = append(lines, line)
			}
			writeFile(t, path, strings.Join(lines, ""))
		}, []string{"damaged " + sums + " its digest of lock.json"}},
		{"a lock that is written otherwise", locked, func(t *testing.T, path string) { writeFile(t, path, readFile(t, path)+"\n") }, []string{"damaged " + locked + " its sha256 is"}},
		{"no lock", locked, func(t *testing.T, path string) { writeFile(t, path, "{") }, []string{"damaged " + locked}},
		{"a lock that is missing", locked, remove, []string{"missing " + locked + " the file is missing"}},
		{"an index", index, edit("docs.example.com", "DOCS.example.com"), []string{"damaged " + index + " but SHA256SUMS says"}},
		{"an index that is missing", index, remove, []string{"missing " + index + " the file is missing"}},
		{"an index that leads elsewhere", index, edit(baseURL1+"/files/", "https://evil.example.com/files/"),
			[]string{"damaged " + index + " but SHA256SUMS says", "index " + index + " has the URL", "index " + index + " has the URL"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			f.write(t, root)
			if c.change != nil {
				c.change(t, filepath.Join(root, filepath.FromSlash(c.path)))
			}
			r, err := audited(context.Background(), root, form.AuditOptions{})
			if err != nil {
				t.Fatal(err)
			}
			problems := r.Problems()
			for i, p := range problems {
				kind, rest, _ := strings.Cut(slices.Concat(c.want, make([]string, len(problems)))[i], " ")
				at, detail, _ := strings.Cut(rest, " ")
				if string(p.Kind) != kind || p.Path != at || !strings.Contains(p.Detail, detail) {
					t.Errorf("not expected: %s %s: %s", p.Kind, p.Path, p.Detail)
				}
			}
			if len(problems) < len(c.want) {
				t.Errorf("lacking: %q", c.want[len(problems):])
			}
		})
	}
}

// TestAuditVersions wants what versions share to be read and told of once.
func TestAuditVersions(t *testing.T) {
	root := t.TempDir()
	one, two := newFixture(t, "v1"), newFixture(t, "v2")
	one.write(t, root)
	two.write(t, root)
	var read atomic.Int64
	r, err := audited(context.Background(), root, form.AuditOptions{Hashed: func(int64) { read.Add(1) }})
	if notes := r.Notes(); err != nil || len(notes) != 1 || !strings.HasSuffix(notes[0], "v1, v2") || r.FoundBaseURL != baseURL1 {
		t.Fatalf("%q, %s, %v", notes, r.FoundBaseURL, err)
	}
	if p := r.Problems(); len(p) > 0 {
		t.Errorf("%+v", p)
	}
	seen := map[string]bool{}
	for _, f := range r.Files() {
		if seen[f.Path] {
			t.Errorf("%s stands twice", f.Path)
		}
		seen[f.Path] = true
	}
	if n := int(read.Load()); n != len(seen) {
		t.Errorf("%d files were read of %d", n, len(seen))
	}
	for _, o := range r.Predictions() {
		if o.Version == "" || len(o.External) > 0 || len(o.Failures) > 0 || o.FromMirror == 0 {
			t.Errorf("%+v", o)
		}
	}
	if only, err := audited(context.Background(), filepath.Join(root, "v2"), form.AuditOptions{}); err != nil || only.Tag != "v2" {
		t.Errorf("%q, %v", only.Tag, err)
	}
	if _, err := audited(context.Background(), filepath.Join(root, "v3"), form.AuditOptions{}); fault.KindOf(err) != fault.Usage {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	why := context.DeadlineExceeded
	cancel(why)
	if _, err := audited(ctx, root, form.AuditOptions{}); err != why {
		t.Errorf("%v", err)
	}
}

// TestAuditBaseURL wants indexes that agree with each other to be held against where
// the site is served.
func TestAuditBaseURL(t *testing.T) {
	root := t.TempDir()
	newFixture(t, "v1").write(t, root)
	for base, external := range map[string]bool{"": false, baseURL1: false, "https://other.example.com": true} {
		r, err := audited(context.Background(), root, form.AuditOptions{BaseURL: base})
		if err != nil || r.FoundBaseURL != baseURL1 || r.Misplaced != external {
			t.Fatalf("%q: %s, %v", base, r.FoundBaseURL, err)
		}
		var want []audit.Problem
		if external {
			want = []audit.Problem{{Kind: audit.KindIndex, Path: "v1/r/plugins-index.yaml", Detail: "the index is for a site at " + baseURL1 + ", but the site is served at " + base}}
		}
		if !slices.Equal(r.Problems(), want) {
			t.Errorf("%q: %+v", base, r.Problems())
		}
		for _, o := range r.Predictions() {
			if external != (len(o.External) > 0) || o.FromMirror == 0 {
				t.Errorf("%q: %+v", base, o)
			}
		}
	}
}

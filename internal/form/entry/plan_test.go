package entry

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// TestAudit finds every kind of file that is not as a plan has it, and says so in words.
func TestAudit(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes are not those of Unix")
	}
	dir := t.TempDir()
	tr := open(t, dir, disk.Anyone)
	defer tr.Close()
	data := func(p string, basis audit.Basis) Entry {
		e := OfData(p, 0o644, []byte("right"))
		e.Basis, e.Content = basis, "a file"
		return e
	}
	document := data("document", audit.BySums)
	document.Document = true
	free := data("free", audit.BySums)
	free.SHA256 = nil
	plan := []Entry{
		data("right", audit.BySums), data("missing", audit.BySums), data("d/damaged", "lock"), data("sums", audit.BySums), data("large", audit.BySums),
		data("link", audit.BySums), data("closed", audit.BySums), data("exposed", audit.BySums), document, free,
	}
	for _, name := range []string{"right", "closed", "exposed", "document", "free"} {
		write(t, filepath.Join(dir, name), "right")
	}
	write(t, filepath.Join(dir, "d/damaged"), "wrong")
	write(t, filepath.Join(dir, "sums"), "wrong")
	write(t, filepath.Join(dir, "large"), "right, and more")
	for name, mode := range map[string]fs.FileMode{"closed": 0o600, "exposed": 0o666} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("right", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}

	var hashed int64
	found, err := Find(t.Context(), tr, plan[:1], func(n int64) { hashed += n })
	if err != nil || len(found) != 1 || hashed != 5 || found["right"].Data != nil {
		t.Errorf("%v, %v, %d bytes", found, err, hashed)
	}
	found, err = Find(t.Context(), tr, plan, nil)
	if err != nil || string(found["document"].Data) != "right" || found["document"].SHA256 != lock.Sum([]byte("right")) || found["document"].Size != 5 {
		t.Errorf("%+v, %v", found["document"], err)
	}

	states := func(a Audit, damage string) []string {
		a.Report, a.Reader, a.Found = new(audit.Report), disk.Anyone, found
		a.At = func(p string) string { return "at/" + p }
		for _, e := range plan {
			a.Entry(e, damage)
		}
		var got []string
		for _, f := range a.Report.Files() {
			i := slices.IndexFunc(a.Report.Problems(), func(p audit.Problem) bool { return p.Path == f.Path })
			detail := ""
			if i >= 0 {
				detail = a.Report.Problems()[i].Detail
			}
			got = append(got, strings.TrimSuffix(fmt.Sprintf("%s %s %t %t: %s", strings.TrimPrefix(f.Path, "at/"), f.State, f.SHA256 != nil, f.Expected != nil, detail), ": "))
		}
		slices.Sort(got)
		return got
	}
	wrong, right := lock.Sum([]byte("wrong")), lock.Sum([]byte("right"))
	want := []string{
		"closed damaged true false: its mode",
		fmt.Sprintf("d/damaged damaged true true: its sha256 is %s, but the lock says %s", wrong, right),
		"document intact true false",
		"exposed damaged true false: its mode",
		"free intact true false",
		"large damaged false false: the file has 15 bytes, but the maximum is 5",
		"link damaged false false: it is a",
		"missing missing false false: the file is missing",
		"right intact true false",
		fmt.Sprintf("sums damaged true true: its sha256 is %s, but SHA256SUMS says %s", wrong, right),
	}
	matches := func(got []string) bool {
		return slices.EqualFunc(got, want, func(g, w string) bool {
			head, _, _ := strings.Cut(w, ": its mode")
			return g == w || strings.HasSuffix(w, "its mode") && strings.HasPrefix(g, head+": ") || strings.HasSuffix(w, "a") && strings.HasPrefix(g, w)
		})
	}
	if got := states(Audit{KeepsModes: true}, ""); !matches(got) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// What is wrong with the content by itself is said in the place of the digest, but not
	// in that of what is missing.
	for _, line := range states(Audit{KeepsModes: true}, "it is odd") {
		own := strings.HasPrefix(line, "missing") || strings.HasPrefix(line, "large") || strings.HasPrefix(line, "link")
		if strings.HasSuffix(line, ": it is odd") == own {
			t.Errorf("%s", line)
		}
	}
}

// TestMissing sums up what a directory lacks: by sizes, of which some are a guess.
func TestMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "12345")
	entry := func(p string, size int64, guess bool) Entry { return Entry{Path: p, Size: size, Guess: guess} }
	for _, tt := range []struct {
		dir     string
		plan    []Entry
		bytes   int64
		atLeast bool
	}{
		{dir, []Entry{entry("a", 5, false)}, 0, false},
		{dir, []Entry{entry("a", 4, false)}, 4, false},
		{dir, []Entry{entry("a", 6, false)}, 6, false},
		{dir, []Entry{entry("a", 4, true)}, 0, false},
		{dir, []Entry{entry("a", 5, true)}, 0, false},
		{dir, []Entry{entry("a", 6, true)}, 6, true},
		{dir, []Entry{entry("a", 5, false), entry("b", 7, false), entry("c", 1, true)}, 8, true},
		{filepath.Join(dir, "absent"), []Entry{entry("a", 5, false), entry("b", 7, false)}, 12, false},
	} {
		if bytes, atLeast := Missing(tt.dir, tt.plan); bytes != tt.bytes || atLeast != tt.atLeast {
			t.Errorf("%+v: %d, %t", tt.plan, bytes, atLeast)
		}
	}
}

// TestWriteRefuses makes other bytes than an entry should have.
func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	tr := open(t, t.TempDir(), disk.Anyone)
	defer tr.Close()
	right := OfData("a", 0o644, []byte("right"))
	for name, tt := range map[string]struct {
		change  func(*Entry)
		written bool
	}{
		"right":          {func(*Entry) {}, true},
		"other bytes":    {func(e *Entry) { e.Make = OfData("a", 0, []byte("wrong")).Make }, false},
		"another size":   {func(e *Entry) { e.Size = 6 }, false},
		"a guessed size": {func(e *Entry) { e.Size, e.Guess = 6, true }, true},
		"no digest":      {func(e *Entry) { e.SHA256 = nil; e.Make = OfData("a", 0, []byte("any")).Make }, true},
		"no bytes":       {func(e *Entry) { e.Make = func(context.Context, blob.Sink) error { return fs.ErrPermission } }, false},
	} {
		e := right
		e.Path = strings.ReplaceAll(name, " ", "-")
		tt.change(&e)
		_, written, err := Write(t.Context(), tr, e)
		if written != tt.written || (err == nil) != tt.written {
			t.Errorf("%s: written %t, %v", name, written, err)
		}
		if err != nil && name != "no bytes" && fault.KindOf(err) != fault.Integrity {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is there already is not written again.
	if made, written, err := Write(t.Context(), tr, func() Entry { e := right; e.Path = "right"; return e }()); err != nil || written || made.Size != 5 {
		t.Errorf("%v, written %t, %v", made, written, err)
	}
}

// Without a digest, an entry is made to tell whether what is there is right.
func TestWriteWithoutDigest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := open(t, dir, disk.Anyone)
	defer tr.Close()
	e := OfData("a", 0o644, []byte("right"))
	e.SHA256 = nil
	for content, want := range map[string]bool{"right": false, "wrong": true, "longer than that": true} {
		write(t, filepath.Join(dir, "a"), content)
		made, written, err := Write(t.Context(), tr, e)
		if err != nil || written != want || made.SHA256 != lock.Sum([]byte("right")) {
			t.Errorf("%s: written %t, %v", content, written, err)
		}
	}
	e.Make = func(context.Context, blob.Sink) error { return fs.ErrPermission }
	if _, written, err := Write(t.Context(), tr, e); err == nil || written {
		t.Errorf("written %t, %v", written, err)
	}
}

// TestAuditModes wants a word for each mode that keeps a reader out, and none for a file
// that is absent.
func TestAuditModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes are not those of Unix")
	}
	dir := t.TempDir()
	tr := open(t, dir, disk.Anyone)
	defer tr.Close()
	for name, mode := range map[string]fs.FileMode{"a": 0o644, "open/b": 0o600, "closed/c": 0o644, "closed/deep/d": 0o644} {
		write(t, filepath.Join(dir, name), "x")
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	var plan []Entry
	for _, p := range []string{"a", "open/b", "closed/c", "closed/deep/d", "absent/e"} {
		plan = append(plan, OfData(p, 0o644, []byte("x")))
	}
	report := new(audit.Report)
	(&Audit{Report: report, Reader: disk.Anyone, At: func(p string) string { return "at/" + p }, KeepsModes: true}).Modes(tr, plan)
	var got []string
	for _, p := range report.Problems() {
		got = append(got, p.Path)
	}
	slices.Sort(got)
	if want := []string{"at/closed", "at/open/b"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSumsCheck(t *testing.T) {
	t.Parallel()
	s := Sums{"a": lock.Sum([]byte("a")), "b": lock.Sum([]byte("b"))}
	good := s.Marshal()
	const lists = "its files or their order are not those of the lock"
	for name, tt := range map[string]struct {
		data  []byte
		paths []string
		want  string
	}{
		"as it was":    {good, []string{"b", "a"}, ""},
		"by an editor": {bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")), []string{"a", "b"}, "its encoding or its line ends were changed, perhaps by an editor: sha256sum -c cannot read it"},
		"a path more":  {good, []string{"a", "b", "c"}, lists},
		"a path less":  {good, []string{"a"}, lists},
		"other bytes":  {append(good[:len(good):len(good)], ' '), []string{"a", "b"}, lists},
	} {
		if err := s.Check(tt.data, tt.paths); err == nil && tt.want != "" || err != nil && err.Error() != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.Of("c") != nil || *s.Of("b") != lock.Sum([]byte("b")) {
		t.Error("a digest is found where there is none, or is not found")
	}
}

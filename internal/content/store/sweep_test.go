package store_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func none(lock.SHA256) bool { return false }

func TestSweep(t *testing.T) {
	s := open(t, t.TempDir())
	kept, err := s.Put([]byte("kept"))
	check(t, err)
	var gone []lock.SHA256
	for _, text := range []string{"a", "bb", "ccc"} {
		d, err := s.Put([]byte(text))
		check(t, err)
		gone = append(gone, d)
	}
	slices.SortFunc(gone, func(a, b lock.SHA256) int { return strings.Compare(a.String(), b.String()) })
	check(t, s.SetURLRecord("kept", store.URLRecord{SHA256: kept, Size: 4}))
	check(t, s.SetURLRecord("gone", store.URLRecord{SHA256: gone[0], Size: 1}))
	check(t, s.SetDerived(gone[1], "gz x", lock.Made{Size: 4}))
	check(t, s.NoteIndex(store.Index{Repository: "kept", SHA256: kept}))
	check(t, s.NoteIndex(store.Index{Repository: "gone", SHA256: gone[2]}))
	write(t, filepath.Join(s.Dir(), "urls", "damaged.json"), "{")
	foreign := filepath.Join(s.Dir(), "blobs", "sha256", "README")
	write(t, foreign, "")
	orphan, mine := ingest(t, s, "orphan"), ingest(t, s, "mine")
	add(t, orphan, "12345")
	check(t, orphan.SetOrigin(store.Origin{ETag: "x"}))
	check(t, orphan.Close())
	add(t, mine, "12345")

	removed, bytes, err := s.Sweep(t.Context(), func(d lock.SHA256) bool { return d == kept })
	check(t, err)
	if !slices.Equal(removed, gone) {
		t.Errorf("removed %v, want %v", removed, gone)
	}
	if bytes < 6+5 {
		t.Errorf("%d bytes", bytes)
	}
	check(t, s.Verify(t.Context(), kept))
	if _, ok := s.URLRecord("kept"); !ok {
		t.Error("the record of a kept blob is gone")
	}
	for _, dir := range []string{"urls", "derived", "indexes"} {
		entries, err := os.ReadDir(filepath.Join(s.Dir(), dir))
		check(t, err)
		if want := map[string]int{"urls": 1, "indexes": 1}[dir]; len(entries) != want {
			t.Errorf("%s has %d entries, want %d", dir, len(entries), want)
		}
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error("removed what is not a blob")
	}
	check(t, mine.Commit(lock.Sum([]byte("12345")), 5))
	check(t, mine.Close())
	wantNoRests(t, s)
}

func TestSweepSparesOtherProcesses(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var digests []lock.SHA256
	for _, text := range []string{"used by another", "used by nobody"} {
		d, err := s.Put([]byte(text))
		check(t, err)
		digests = append(digests, d)
		// As if stored long ago.
		old := mustStat(t, blob(s, d)).ModTime().AddDate(-1, 0, 0)
		check(t, os.Chtimes(blob(s, d), old, old))
	}
	holder, _ := start(t, "hold", dir)
	user, line := start(t, "use", dir)
	put, found := strings.CutPrefix(line, "using ")
	if !found {
		t.Fatal(line)
	}
	removed, _, err := s.Sweep(t.Context(), none)
	check(t, err)
	if !slices.Equal(removed, digests[1:]) {
		t.Errorf("removed %v, want %v", removed, digests[1:])
	}
	partial := ""
	for _, e := range mustList(t, filepath.Join(dir, "ingest")) {
		if strings.HasSuffix(e, ".part") {
			partial = e
		}
	}
	if partial == "" {
		t.Error("removed a download that another process is at")
	}
	// When they are done, nothing speaks for their blobs any longer.
	holder.kill(t)
	user.finish(t)
	removed, _, err = s.Sweep(t.Context(), none)
	check(t, err)
	if len(removed) != 2 || !slices.ContainsFunc(removed, func(d lock.SHA256) bool { return d.String() == put }) {
		t.Errorf("removed %v", removed)
	}
	wantNoRests(t, s)
}

func mustStat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	fi, err := os.Stat(path)
	check(t, err)
	return fi
}

func mustList(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestLookBeforeSweep compares what a sweep would remove with what it removes then.
func TestLookBeforeSweep(t *testing.T) {
	s := open(t, t.TempDir())
	dir := s.Dir()
	kept, err := s.Put([]byte("kept"))
	check(t, err)
	_, err = s.Put([]byte("gone"))
	check(t, err)
	check(t, s.SetRoot("/gone", []byte("{}")))
	orphan, empty := ingest(t, s, "orphan"), ingest(t, s, "empty")
	add(t, orphan, "12345")
	check(t, orphan.SetOrigin(store.Origin{ETag: "x"}))
	check(t, orphan.Close())
	check(t, empty.SetOrigin(store.Origin{ETag: "x"}))
	check(t, empty.Close())
	_, err = s.TempDir()
	check(t, err)
	busy := ingest(t, s, "busy")
	add(t, busy, "123")
	keep := func(d lock.SHA256) bool { return d == kept }
	type swept struct {
		removed []lock.SHA256
		bytes   int64
	}
	look := func() (is swept) {
		before := tree(t, dir)
		looking, err := store.Look(dir, false)
		check(t, err)
		check(t, looking.Roots(func(string, []byte) bool { return false }))
		is.removed, is.bytes, err = looking.Sweep(t.Context(), keep)
		check(t, err)
		check(t, looking.Close())
		if after := tree(t, dir); after != before {
			t.Errorf("to look made of\n%s\nthis:\n%s", before, after)
		}
		return is
	}
	if beside := look(); len(beside.removed) != 0 || beside.bytes == 0 {
		t.Errorf("beside another process, it would remove %v, %d bytes", beside.removed, beside.bytes)
	}
	check(t, busy.Close())
	check(t, s.Close())
	would := look()
	s = open(t, dir)
	removed, bytes, err := s.Sweep(t.Context(), keep)
	check(t, err)
	if !slices.Equal(removed, would.removed) || bytes != would.bytes || len(removed) != 1 {
		t.Errorf("removed %v, %d bytes, and would have removed %v, %d bytes", removed, bytes, would.removed, would.bytes)
	}
}

func tree(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		fmt.Fprintln(&out, path, fi.Mode(), fi.ModTime().UnixNano())
		return err
	}))
	return out.String()
}

func TestNoStore(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "absent")} {
		if _, err := store.Look(path, false); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "there is no store in "+path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("it left %v, %v", entries, err)
	}
}

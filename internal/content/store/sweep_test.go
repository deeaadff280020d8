package store_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
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

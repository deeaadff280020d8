package store_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
)

// remembered are the URLs of the indexes that a store remembers and still has.
func remembered(t *testing.T, dir string) (urls []string) {
	t.Helper()
	found, err := store.RememberedIndexes(dir)
	check(t, err)
	defer func() { check(t, found.Close()) }()
	for _, ix := range found.All {
		if _, ok := found.Read(ix, 100); ok {
			urls = append(urls, ix.URL)
		}
	}
	return urls
}

func TestRememberedIndexes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if _, err := store.RememberedIndexes(dir); err == nil {
		t.Error("there is no store, but it remembers")
	}
	s := open(t, dir)
	seen := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var last store.Index
	for _, url := range []string{"first", "damaged", "long", "last"} {
		content := []byte(url)
		if url == "long" {
			content = make([]byte, 101)
		}
		d, err := s.Put(content)
		check(t, err)
		last = store.Index{Repository: "x", URL: url, SHA256: d, Seen: seen}
		check(t, s.NoteIndex(last))
		seen = seen.Add(time.Hour)
		if url == "damaged" {
			write(t, blob(s, d), "DAMAGED")
		}
	}
	write(t, filepath.Join(dir, "indexes", "torn.json"), `{"key":`)
	if got := remembered(t, dir); len(got) != 2 || got[0] != "last" || got[1] != "first" {
		t.Errorf("%q", got)
	}
	if runtime.GOOS == "windows" {
		return
	}
	check(t, os.Chmod(filepath.Join(dir, "indexes"), 0o777))
	if got := remembered(t, dir); len(got) != 0 {
		t.Errorf("%q, which others may have written", got)
	}
}

package store_test

import (
	"errors"
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

// replacements put something else where a file or a directory of a store is.
// They return what must be unharmed afterwards.
var replacements = map[string]func(t *testing.T, path string) (outside string){
	"absent": func(t *testing.T, path string) string { return "" },
	"file": func(t *testing.T, path string) string {
		write(t, path, "garbage")
		return ""
	},
	"empty directory": func(t *testing.T, path string) string {
		check(t, os.Mkdir(path, 0o755))
		return ""
	},
	"directory": func(t *testing.T, path string) string {
		check(t, os.Mkdir(path, 0o755))
		write(t, filepath.Join(path, "x"), "x")
		return ""
	},
	"dangling link": func(t *testing.T, path string) string {
		check(t, os.Symlink(filepath.Join(t.TempDir(), "nowhere"), path))
		return ""
	},
	"link to a file": func(t *testing.T, path string) string {
		outside := filepath.Join(t.TempDir(), "outside")
		write(t, outside, "outside")
		check(t, os.Symlink(outside, path))
		return outside
	},
	"link to a directory": func(t *testing.T, path string) string {
		outside := filepath.Join(t.TempDir(), "outside")
		write(t, outside, "outside")
		check(t, os.Symlink(filepath.Dir(outside), path))
		return outside
	},
}

// TestWhateverIsInTheWay wants a store to get along with anything in the place
// of anything that is its own, and nothing outside to be touched.
func TestWhateverIsInTheWay(t *testing.T) {
	data := []byte("a blob")
	d := lock.Sum(data)
	url := "https://example.com/file"
	for _, place := range []string{"oci-layout", "index.json", "blobs", "blobs/sha256", "ingest", "urls", "derived", "indexes", "roots",
		"blobs/sha256/" + d.String(), "urls/" + lock.Sum([]byte(url)).String() + ".json", "roots/" + lock.Sum([]byte("/out")).String() + ".json",
		"ingest/" + lock.Sum([]byte("key")).String() + ".part", "ingest/" + lock.Sum([]byte("key")).String() + ".json",
		"ingest/" + lock.Sum([]byte("key")).String() + ".sums",
		"ingest/" + lock.Sum([]byte("key")).String() + ".lock", "ingest/sweep.lock"} {
		for name, replace := range replacements {
			t.Run(place+" "+name, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "store")
				fill := func() {
					s := open(t, dir)
					in := ingest(t, s, "key")
					check(t, in.Truncate(0))
					add(t, in, string(data))
					check(t, in.SetOrigin(store.Origin{ETag: `"x"`}))
					check(t, in.SetCheckpoint(d))
					check(t, in.Commit(d, int64(len(data))))
					check(t, in.Close())
					check(t, s.SetURLRecord(url, store.URLRecord{SHA256: d, Size: int64(len(data))}))
					check(t, s.SetRoot("/out", []byte("{}")))
					check(t, s.Verify(t.Context(), d))
					if _, ok := s.URLRecord(url); !ok {
						t.Error("the record cannot be read")
					}
					if got, err := s.ReadAll(d, 100); err != nil || string(got) != string(data) {
						t.Errorf("the blob is %q, %v", got, err)
					}
					known := ""
					check(t, s.Roots(func(path string, _ []byte) bool { known += path; return true }))
					if known != "/out" {
						t.Errorf("the outputs are %q", known)
					}
					check(t, s.Close())
				}
				fill()
				want := shape(t, dir)
				path := filepath.Join(dir, filepath.FromSlash(place))
				if fi, err := os.Lstat(path); err == nil && fi.IsDir() && name == "directory" {
					t.Skip("what else lies in a directory of the store stays")
				}
				check(t, os.RemoveAll(path))
				outside := replace(t, path)
				fill()
				if got := shape(t, dir); !slices.Equal(got, want) {
					t.Errorf("the store is\n%q, want\n%q", got, want)
				}
				if outside == "" {
					return
				}
				if got, err := os.ReadFile(outside); err != nil || string(got) != "outside" {
					t.Errorf("outside is %q, %v", got, err)
				}
				if names := mustList(t, filepath.Dir(outside)); len(names) != 1 {
					t.Errorf("written outside: %q", names)
				}
			})
		}
	}
}

// shape lists what is in a directory, with modes and content, save when records
// were seen.
func shape(t *testing.T, dir string) (list []string) {
	t.Helper()
	check(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		line := strings.TrimPrefix(path, dir) + " " + fi.Mode().String()
		if fi.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			check(t, err)
			line += " " + string(data)
		}
		list = append(list, line)
		return nil
	}))
	return list
}

func TestBlobThatMayNotBeRead(t *testing.T) {
	s := open(t, t.TempDir())
	d, err := s.Put([]byte("x"))
	check(t, err)
	check(t, os.Chmod(blob(s, d), 0))
	check(t, s.Verify(t.Context(), d))
	data, err := s.ReadAll(d, 10)
	check(t, err)
	if string(data) != "x" {
		t.Errorf("got %q", data)
	}
}

// TestNothingOfDeadRuns wants the next run to remove, at once, what killed ones
// left and nobody can go on with, and only that.
func TestNothingOfDeadRuns(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	check(t, s.Close())
	alive, _ := start(t, "hold", dir)
	var run, holder string
	for _, name := range mustList(t, filepath.Join(dir, "ingest")) {
		if rest, ok := strings.CutPrefix(name, "run-"); ok {
			run = strings.TrimSuffix(rest, ".lock")
		}
		if rest, ok := strings.CutSuffix(name, ".part"); ok {
			holder = rest
		}
	}
	hash := func(key string) string { return lock.Sum([]byte(key)).String() }
	kept := []string{"tmp-" + run + "-1", hash("resumable") + ".part", hash("resumable") + ".json", hash("resumable") + ".sums", hash("blob") + ".part"}
	gone := []string{"tmp-1234-1", "tmp-1234", "tmp-x", "run-1234.lock", hash("dead") + ".lock",
		hash("notes") + ".json", hash("notes") + ".sums", hash("empty") + ".part", hash("empty") + ".json"}
	for _, name := range slices.Concat(kept, gone) {
		content := "x"
		if name == hash("empty")+".part" {
			content = ""
		}
		write(t, filepath.Join(dir, "ingest", name), content)
	}
	s = open(t, dir)
	for _, name := range kept {
		if _, err := os.Lstat(filepath.Join(dir, "ingest", name)); err != nil {
			t.Errorf("removed what is in use, or can be: %v", err)
		}
	}
	for _, name := range gone {
		if _, err := os.Lstat(filepath.Join(dir, "ingest", name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left (%v)", name, err)
		}
	}
	// What another run needed is nobody's once it is dead.
	alive.kill(t)
	check(t, s.Close())
	s = open(t, dir)
	for _, name := range []string{"tmp-" + run + "-1", "run-" + run + ".lock", holder + ".lock"} {
		if _, err := os.Lstat(filepath.Join(dir, "ingest", name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left (%v)", name, err)
		}
	}
	_, _, err := s.Sweep(t.Context(), none)
	check(t, err)
	if left := mustList(t, filepath.Join(dir, "ingest")); len(left) != 1 {
		t.Errorf("after a sweep there are %q", left)
	}
}

func TestDamagedRoots(t *testing.T) {
	s := open(t, t.TempDir())
	check(t, s.SetRoot("/good", []byte("{}")))
	write(t, filepath.Join(s.Dir(), "roots", "README"), "of somebody else")
	visit := func(string, []byte) bool { return true }
	check(t, s.Roots(visit))
	damaged := filepath.Join(s.Dir(), "roots", lock.Sum([]byte("/bad")).String()+".json")
	for _, text := range []string{"", "{", `{"path":"/other","lock":{}}`} {
		write(t, damaged, text)
		wantFault(t, s.Roots(visit), fault.Integrity, damaged)
	}
	// Both ways out: the output is pulled again, or the file is removed.
	check(t, s.SetRoot("/bad", []byte("{}")))
	check(t, s.Roots(visit))
	write(t, damaged, "{")
	check(t, os.Remove(damaged))
	check(t, s.Roots(visit))
}

package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func open(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir)
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func write(t testing.TB, path, content string) {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(t, os.WriteFile(path, []byte(content), 0o644))
}

func TestOpenMakesAnImageLayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		open(t, dir)
	}
	var layout struct{ ImageLayoutVersion string }
	data, err := os.ReadFile(filepath.Join(dir, "oci-layout"))
	check(t, err)
	check(t, json.Unmarshal(data, &layout))
	if layout.ImageLayoutVersion != "1.0.0" {
		t.Errorf("oci-layout is %s", data)
	}
	var index struct {
		SchemaVersion int
		MediaType     string
		Manifests     []any
	}
	data, err = os.ReadFile(filepath.Join(dir, "index.json"))
	check(t, err)
	check(t, json.Unmarshal(data, &index))
	if index.SchemaVersion != 2 || index.MediaType != "application/vnd.oci.image.index.v1+json" || index.Manifests == nil {
		t.Errorf("index.json is %s", data)
	}
}

func TestOpenKeepsAnIndexThatIsThere(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	const other = `{"schemaVersion": 2, "manifests": [], "annotations": {"by": "another tool"}}`
	write(t, filepath.Join(dir, "index.json"), other)
	open(t, dir)
	if data, _ := os.ReadFile(filepath.Join(dir, "index.json")); string(data) != other {
		t.Errorf("index.json is %s", data)
	}
}

func TestOpenAcceptsAFreshVolume(t *testing.T) {
	dir := t.TempDir()
	check(t, os.Mkdir(filepath.Join(dir, "lost+found"), 0o700))
	open(t, dir)
}

func TestOpenRefuses(t *testing.T) {
	tests := map[string]struct {
		prepare func(t *testing.T, dir string)
		kind    fault.Kind
		want    string
	}{
		"foreign directory": {func(t *testing.T, dir string) { write(t, dir+"/precious", "") }, fault.Usage, "not empty and not a store"},
		"file in the way":   {func(t *testing.T, dir string) { check(t, os.Remove(dir)); write(t, dir, "") }, fault.Usage, "not a directory"},
		"damaged layout":    {func(t *testing.T, dir string) { write(t, dir+"/oci-layout", "") }, fault.Usage, "no valid oci-layout"},
		"damaged bundle": {func(t *testing.T, dir string) {
			write(t, dir+"/oci-layout", "")
			write(t, dir+"/index.json", "{}")
			check(t, os.Mkdir(dir+"/blobs", 0o755))
		}, fault.Usage, "no valid oci-layout"},
		"bundle": {func(t *testing.T, dir string) {
			write(t, dir+"/oci-layout", `{"imageLayoutVersion":"1.0.0"}`)
			write(t, dir+"/index.json", `{"schemaVersion":2,"manifests":[]}`)
			check(t, os.MkdirAll(dir+"/blobs/sha256", 0o755))
			write(t, dir+"/blobs/sha256/"+lock.Sum(nil).String(), "")
		}, fault.Usage, "not a store"},
		"later layout": {func(t *testing.T, dir string) { write(t, dir+"/oci-layout", `{"imageLayoutVersion":"2.0.0"}`) }, fault.Usage, "version 1"},
		"layout is a directory": {func(t *testing.T, dir string) { check(t, os.Mkdir(dir+"/oci-layout", 0o755)) },
			fault.Usage, "no valid oci-layout"},
		"something foreign in what may be a store": {func(t *testing.T, dir string) {
			check(t, os.Mkdir(dir+"/ingest", 0o755))
			write(t, dir+"/precious", "")
		}, fault.Usage, "precious"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			check(t, os.Mkdir(dir, 0o755))
			test.prepare(t, dir)
			_, err := store.Open(dir)
			wantFault(t, err, test.kind, test.want, dir)
		})
	}
}

func wantFault(t *testing.T, err error, kind fault.Kind, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if fault.KindOf(err) != kind {
		t.Errorf("kind %d, want %d: %v", fault.KindOf(err), kind, err)
	}
	if fault.HintOf(err) == "" {
		t.Errorf("no hint: %v", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q lacks %q", err, text)
		}
	}
}

func TestPutAndRead(t *testing.T) {
	s := open(t, t.TempDir())
	data := []byte("a document")
	d, err := s.Put(data)
	check(t, err)
	if d != lock.Sum(data) {
		t.Errorf("digest %s", d)
	}
	before, err := os.Stat(blob(s, d))
	check(t, err)
	_, err = s.Put(data)
	check(t, err)
	if after, _ := os.Stat(blob(s, d)); !os.SameFile(before, after) {
		t.Error("a second put wrote again")
	}
	got, err := s.ReadAll(d, int64(len(data)))
	check(t, err)
	if !bytes.Equal(got, data) {
		t.Errorf("read %q", got)
	}
	if size, ok := s.Has(d); !ok || size != int64(len(data)) {
		t.Errorf("has %d, %t", size, ok)
	}
	_, err = s.ReadAll(d, int64(len(data))-1)
	if fault.KindOf(err) != fault.Integrity {
		t.Errorf("too long a document: %v", err)
	}
	wantNoRests(t, s)
}

func blob(s *store.Store, d lock.SHA256) string {
	return filepath.Join(s.Dir(), "blobs", "sha256", d.String())
}

// wantNoRests checks that nothing but this process's own entry is left in the
// ingest directory.
func wantNoRests(t *testing.T, s *store.Store) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.Dir(), "ingest"))
	check(t, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "run-") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestPutRepairs(t *testing.T) {
	dir := t.TempDir()
	data := []byte("a document")
	write(t, blob(open(t, dir), lock.Sum(data)), "a d0cument")
	s := open(t, dir)
	d, err := s.Put(data)
	check(t, err)
	check(t, open(t, dir).Verify(t.Context(), d))
}

func TestAbsentBlobs(t *testing.T) {
	s := open(t, t.TempDir())
	d := lock.Sum([]byte("absent"))
	links := lock.Sum([]byte("link"))
	good, err := s.Put([]byte("good"))
	check(t, err)
	check(t, os.Symlink(blob(s, good), blob(s, links)))
	dirs := lock.Sum([]byte("dir"))
	check(t, os.Mkdir(blob(s, dirs), 0o755))
	for _, d := range []lock.SHA256{d, links, dirs} {
		if _, ok := s.Has(d); ok {
			t.Errorf("has %s", d)
		}
		_, err := s.Open(d)
		wantFault(t, err, fault.Incomplete, d.String())
		wantFault(t, s.Verify(t.Context(), d), fault.Incomplete, d.String())
		_, err = s.ReadAll(d, 10)
		wantFault(t, err, fault.Incomplete, d.String())
	}
}

func TestDamageIsFoundAndRemoved(t *testing.T) {
	read := map[string]func(*store.Store, lock.SHA256) error{
		"Verify":  func(s *store.Store, d lock.SHA256) error { return s.Verify(context.Background(), d) },
		"ReadAll": func(s *store.Store, d lock.SHA256) error { _, err := s.ReadAll(d, 100); return err },
	}
	for name, f := range read {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d, err := open(t, dir).Put([]byte("good"))
			check(t, err)
			s := open(t, dir)
			write(t, blob(s, d), "g00d")
			err = f(s, d)
			wantFault(t, err, fault.Integrity, d.String(), lock.Sum([]byte("g00d")).String())
			if _, ok := s.Has(d); ok {
				t.Error("the damaged blob is still there")
			}
		})
	}
}

func TestVerifyReadsOnce(t *testing.T) {
	s := open(t, t.TempDir())
	d, err := s.Put([]byte("good"))
	check(t, err)
	// What this process wrote is known; that it is not read shows in damage
	// going unnoticed, unless the size gives it away.
	write(t, blob(s, d), "g00d")
	check(t, s.Verify(t.Context(), d))
	write(t, blob(s, d), "g00d, longer")
	wantFault(t, s.Verify(t.Context(), d), fault.Integrity)
}

func TestVerifyHeedsContext(t *testing.T) {
	dir := t.TempDir()
	d, err := open(t, dir).Put([]byte("good"))
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := open(t, dir)
	if err := s.Verify(ctx, d); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, ok := s.Has(d); !ok {
		t.Error("the blob was removed")
	}
}

func TestRecords(t *testing.T) {
	s := open(t, t.TempDir())
	d, err := s.Put([]byte("content"))
	check(t, err)
	want := store.URLRecord{
		URL: "https://example.com/x", SHA256: d, Size: 7, ETag: `"v1"`, LastModified: "then",
		Seen: time.Now().UTC(),
	}
	check(t, s.SetURLRecord(want.URL, want))
	got, ok := s.URLRecord(want.URL)
	if !ok || got.ETag != want.ETag || got.SHA256 != d || !got.Seen.Equal(want.Seen) {
		t.Errorf("got %+v, %t", got, ok)
	}
	if _, ok := s.URLRecord("https://example.com/y"); ok {
		t.Error("a record of nothing")
	}
	made := lock.Made{Size: 10, Name: "x", Program: agent.IdentifyProgram([]byte("made of it"))}
	check(t, s.SetDerived(d, "gz x", made))
	if got, ok := s.Derived(d, "gz x"); !ok || !reflect.DeepEqual(got, made) {
		t.Errorf("derived %+v, %t", got, ok)
	}
	if _, ok := s.Derived(d, "gz y"); ok {
		t.Error("derived something else")
	}
	check(t, os.Remove(blob(s, d)))
	if _, ok := s.URLRecord(want.URL); ok {
		t.Error("a record of a blob that is gone")
	}
}

func TestRecordsThatCannotBeReadCountAsNone(t *testing.T) {
	const url = "https://example.com/x"
	content := []byte("content")
	good := `{"url":"u","sha256":"` + lock.Sum(content).String() + `","size":7`
	frame := `{"key":"` + url + `","blob":"` + lock.Sum(content).String() + `","value":`
	tests := map[string]string{
		"empty":       "",
		"torn":        frame + `{"sha2`,
		"other key":   `{"key":"other","value":` + good + `}}`,
		"wrong size":  frame + strings.Replace(good, "7", "8", 1) + `}}`,
		"header":      frame + good + `,"etag":"a\r\nb"}}`,
		"bad sha256":  frame + `{"sha256":"00","size":7}}`,
		"too long":    frame + good + `,"etag":"` + strings.Repeat("a", 70<<10) + `"}}`,
		"not json":    "\x00\x00\x00\x00",
		"other types": `{"key":7,"value":[]}`,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			_, err := s.Put(content)
			check(t, err)
			sum := lock.Sum([]byte(url)).String()
			write(t, filepath.Join(s.Dir(), "urls", sum+".json"), frame+good+"}}")
			if _, ok := s.URLRecord(url); !ok {
				t.Fatal("the good record cannot be read either")
			}
			write(t, filepath.Join(s.Dir(), "urls", sum+".json"), text)
			if r, ok := s.URLRecord(url); ok {
				t.Errorf("got %+v", r)
			}
		})
	}
}

// TestTempDir wants what a run unpacks on its way to a blob to be there as long as
// the run, and to go with it.
func TestTempDir(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	made, err := s.TempDir()
	check(t, err)
	write(t, filepath.Join(made, "x"), "x")
	dead := filepath.Join(dir, "ingest", "tmp-1234-1")
	check(t, os.MkdirAll(filepath.Join(dead, "objects"), 0o755))
	write(t, filepath.Join(dead, "objects", "x"), "x")
	check(t, os.Chmod(filepath.Join(dead, "objects", "x"), 0o444))
	other := open(t, dir)
	check(t, other.Close())
	if _, err := os.Lstat(filepath.Join(made, "x")); err != nil || filepath.Dir(made) != filepath.Join(dir, "ingest") {
		t.Errorf("%s: %v", made, err)
	}
	if _, err := os.Lstat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a run left that is no more: %v", err)
	}
}

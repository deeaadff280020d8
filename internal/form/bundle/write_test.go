package bundle

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicfile"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// names lists a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestWriteFileAgain(t *testing.T) {
	l, m := fullWorld(t)
	c := plan(t, l, m)
	dir := t.TempDir()
	path := filepath.Join(dir, "b.tar")
	var o form.WriteOptions
	write := func(o form.WriteOptions) bool {
		t.Helper()
		changed, err := WriteFile(t.Context(), path, c, o)
		if err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); !slices.Equal(got, []string{"b.tar"}) {
			t.Errorf("the directory has %q", got)
		}
		return changed
	}
	if !write(o) {
		t.Error("nothing is written")
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() != c.Size() {
		t.Errorf("the file is not of the size %d: %v", c.Size(), err)
	}
	m.verified = 0
	if write(o) || m.verified != 0 {
		t.Error("the same is written again, or the source was read")
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Same size, and a time that says nothing.
	fi, _ := os.Stat(path)
	for _, at := range []int{0, 600, len(good) / 2, len(good) - 1} {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		writeFile(t, path, bad)
		if err := os.Chtimes(path, fi.ModTime(), fi.ModTime()); err != nil {
			t.Fatal(err)
		}
		if !write(form.WriteOptions{}) {
			t.Errorf("byte %d is not compared", at)
		}
		if data, _ := os.ReadFile(path); !bytes.Equal(data, good) {
			t.Error("the file is not what it was")
		}
	}
	writeFile(t, path, good[:len(good)-1])
	if !write(form.WriteOptions{}) || !write(form.WriteOptions{ModTime: time.Unix(1, 0)}) || write(form.WriteOptions{ModTime: time.Unix(1, 1)}) {
		t.Error("size or time are not compared")
	}
}

func TestWriteFileSweeps(t *testing.T) {
	l, m := world(t)
	c := plan(t, l, m)
	dir := t.TempDir()
	for _, left := range []string{".b.tar.tmp-ABC", ".b.tar.lock", ".other.tar.tmp-ABC", "b.tar.tmp-ABC"} {
		writeFile(t, filepath.Join(dir, left), []byte("left"))
	}
	if _, err := WriteFile(t.Context(), filepath.Join(dir, "b.tar"), c, form.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, dir), []string{".other.tar.tmp-ABC", "b.tar", "b.tar.tmp-ABC"}; !slices.Equal(got, want) {
		t.Errorf("the directory has %q, want %q", got, want)
	}
	long := filepath.Join(dir, strings.Repeat("n", 250)+".tar")
	if _, err := WriteFile(t.Context(), long, c, form.WriteOptions{}); err != nil {
		t.Errorf("a long name: %v", err)
	}
}

// Two runs on one output wait for one another.
func TestWriteFileWaits(t *testing.T) {
	l, m := world(t)
	c := plan(t, l, m)
	path := filepath.Join(t.TempDir(), "b.tar")
	held, err := atomicfile.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := WriteFile(ctx, path, c, form.WriteOptions{Waiting: func(string) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting: %v", err)
	}
	waited := false
	changed, err := WriteFile(t.Context(), path, c, form.WriteOptions{Waiting: func(string) { waited = true; held.Close() }})
	if err != nil || !changed || !waited {
		t.Errorf("changed %v, waited %v: %v", changed, waited, err)
	}
}

func TestConcurrentWriters(t *testing.T) {
	l, m := fullWorld(t)
	c := plan(t, l, m)
	dir := t.TempDir()
	var changed atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, write := range []func() (bool, error){
				func() (bool, error) {
					return WriteFile(t.Context(), filepath.Join(dir, "sub/b.tar"), c, form.WriteOptions{})
				},
				func() (bool, error) {
					return WriteLayout(t.Context(), filepath.Join(dir, "layout"), c, form.WriteOptions{})
				},
			} {
				did, err := write()
				if err != nil {
					t.Error(err)
				}
				if did {
					changed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := changed.Load(); n != 2 {
		t.Errorf("%d runs wrote, want one for each output", n)
	}
	for _, path := range []string{"sub/b.tar", "layout"} {
		sameBundle(t, c, filepath.Join(dir, path))
	}
	if got := names(t, filepath.Join(dir, "layout")); !slices.Equal(got, []string{"blobs", "index.json", "oci-layout"}) {
		t.Errorf("the layout has %q", got)
	}
}

func TestOutputsThatCannotBe(t *testing.T) {
	l, m := world(t)
	c := plan(t, l, m)
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "file"), []byte("x"))
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign")
	writeFile(t, filepath.Join(foreign, "precious"), []byte("x"))
	readOnly := filepath.Join(dir, "readonly")
	if err := os.Mkdir(readOnly, 0o555); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, dir + "/", "", filepath.Join(file, "b.tar"), filepath.Join(dir, "dangling"), os.DevNull, filepath.Join(readOnly, "a/b.tar")} {
		if strings.HasPrefix(path, readOnly) && os.Geteuid() == 0 {
			continue
		}
		wantError(t, atomicfile.Check(path), fault.Usage, "the output")
		if _, err := WriteFile(t.Context(), path, c, form.WriteOptions{}); err == nil {
			t.Errorf("%q was written", path)
		}
	}
	for _, path := range []string{file, filepath.Join(file, "x"), filepath.Join(dir, "dangling"), foreign, filepath.Join(readOnly, "a")} {
		if strings.HasPrefix(path, readOnly) && os.Geteuid() == 0 {
			continue
		}
		wantError(t, CheckLayout(t.Context(), path), fault.Usage, "the output")
		if _, err := WriteLayout(t.Context(), path, c, form.WriteOptions{}); err == nil {
			t.Errorf("%q was written", path)
		}
	}
	for _, check := range []error{atomicfile.Check(filepath.Join(dir, "a/b/c.tar")), CheckLayout(t.Context(), filepath.Join(dir, "a/b/c")), atomicfile.Check(file)} {
		if check != nil {
			t.Error(check)
		}
	}
	if got := names(t, dir); !slices.Equal(got, []string{"dangling", "file", "foreign", "readonly"}) {
		t.Errorf("left: %q", got)
	}
	if got := names(t, foreign); !slices.Equal(got, []string{"precious"}) {
		t.Errorf("left in the foreign directory: %q", got)
	}
}

func TestWriteFileThroughLink(t *testing.T) {
	l, m := world(t)
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "real/b.tar"), []byte("old"))
	link := filepath.Join(dir, "link.tar")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	c := plan(t, l, m)
	if _, err := WriteFile(t.Context(), link, c, form.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode().IsRegular() {
		t.Error("the link was replaced")
	}
	sameBundle(t, c, file)
}

// A layout is brought up to date: what is right is kept, what is wrong is
// replaced, and what only the old bundle had goes.
func TestWriteLayoutAgain(t *testing.T) {
	l, m := fullWorld(t)
	c := plan(t, l, m)
	dir := filepath.Join(t.TempDir(), "layout")
	write := func(c *Contents) bool {
		t.Helper()
		changed, err := WriteLayout(t.Context(), dir, c, form.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sameBundle(t, c, dir)
		return changed
	}
	write(c)
	if write(c) {
		t.Error("the same is written again")
	}
	path := filepath.Join(dir, oci.BlobPath(l.Artifacts[0].SHA256))
	kept := filepath.Join(dir, oci.BlobPath(l.Artifacts[1].SHA256))
	before, _ := os.Stat(kept)
	writeFile(t, path, bytes.Repeat([]byte("x"), int(l.Artifacts[0].Size)))
	if !write(c) {
		t.Error("a damaged blob is kept")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, atomicdir.TempPrefix+"1"), []byte("left"))
	if !write(c) {
		t.Error("a missing blob stays so")
	}
	// A damaged document, so that the old bundle cannot be read.
	writeFile(t, filepath.Join(dir, oci.BlobPath(lock.Sum(c.Index.Data))), []byte("damaged"))
	if !write(c) {
		t.Error("a damaged index is kept")
	}
	if err := os.Remove(filepath.Join(dir, oci.IndexName)); err != nil {
		t.Fatal(err)
	}
	if !write(c) {
		t.Error("a layout without index.json is kept")
	}
	after, _ := os.Stat(kept)
	if !os.SameFile(before, after) {
		t.Error("a right blob was written again")
	}
	stray := writeFile(t, filepath.Join(dir, oci.BlobPath(lock.Sum([]byte("stray")))), []byte("stray"))
	smaller, m2 := world(t)
	write(plan(t, smaller, m2))
	if _, err := os.Stat(stray); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a blob that no bundle names: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, oci.BlobPath(l.Chart.SHA256))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old chart: %v", err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"blobs", "index.json", "oci-layout"}) {
		t.Errorf("the layout has %q", got)
	}
}

// A run that was killed between index.json and the removal of old blobs leaves
// them to the next one.
func TestWriteLayoutAfterKill(t *testing.T) {
	l, m := world(t)
	c := plan(t, l, m)
	dir := filepath.Join(t.TempDir(), "layout")
	if _, err := WriteLayout(t.Context(), dir, c, form.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	blobs := names(t, filepath.Join(dir, oci.BlobsDir))
	for _, old := range []string{"old", "older"} {
		writeFile(t, filepath.Join(dir, oci.BlobPath(lock.Sum([]byte(old)))), []byte(old))
	}
	for _, want := range []bool{true, false} {
		if changed, err := WriteLayout(t.Context(), dir, c, form.WriteOptions{}); err != nil || changed != want {
			t.Errorf("changed %v, want %v (%v)", changed, want, err)
		}
		if got := names(t, filepath.Join(dir, oci.BlobsDir)); !slices.Equal(got, blobs) {
			t.Errorf("the blobs are %q", got)
		}
	}
}

// What the source remembers to have verified may have changed since.
func TestSourceChanges(t *testing.T) {
	l, m := world(t)
	stored := func() (blob.Source, string) {
		s, err := store.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		for _, data := range m.blobs {
			if _, err := s.Put(data); err != nil {
				t.Fatal(err)
			}
		}
		return s, s.Dir()
	}
	inLayout := func() (blob.Source, string) {
		dir := filepath.Join(t.TempDir(), "source")
		if _, err := WriteLayout(t.Context(), dir, plan(t, l, m), form.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		b, err := openPath(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		for _, x := range b.contents.Blobs {
			if err := b.Verify(t.Context(), x.SHA256); err != nil {
				t.Fatal(err)
			}
		}
		return b, dir
	}
	writers := map[string]func(string, *Contents) (bool, error){
		"file": func(path string, c *Contents) (bool, error) {
			return WriteFile(t.Context(), path, c, form.WriteOptions{})
		},
		"layout": func(path string, c *Contents) (bool, error) {
			return WriteLayout(t.Context(), path, c, form.WriteOptions{})
		},
	}
	for name, source := range map[string]func() (blob.Source, string){"a store": stored, "a bundle": inLayout} {
		for kind, write := range writers {
			t.Run(name+" to a "+kind, func(t *testing.T) {
				from, at := source()
				c := plan(t, l, from)
				writeFile(t, filepath.Join(at, oci.BlobPath(l.Artifacts[1].SHA256)), bytes.Repeat([]byte("x"), int(l.Artifacts[1].Size)))
				dir := t.TempDir()
				path := filepath.Join(dir, "out")
				_, err := write(path, c)
				wantError(t, err, fault.Integrity, l.Artifacts[1].SHA256.String(), "damaged")
				if _, err := openPath(t.Context(), path); err == nil {
					t.Error("what is left is a bundle")
				}
				if kind == "file" {
					if got := names(t, dir); len(got) > 0 {
						t.Errorf("left: %q", got)
					}
					return
				}
				for _, left := range names(t, path) {
					if left == oci.IndexName || strings.HasPrefix(left, atomicdir.TempPrefix) {
						t.Errorf("left: %s", left)
					}
				}
				for _, left := range names(t, filepath.Join(path, oci.BlobsDir)) {
					if data, err := os.ReadFile(filepath.Join(path, oci.BlobsDir, left)); err != nil || lock.Sum(data).String() != left {
						t.Errorf("blob %s is wrong (%v)", left, err)
					}
				}
			})
		}
	}
}

// What is not ours is not touched.
func TestForeignLayouts(t *testing.T) {
	l, m := world(t)
	c := plan(t, l, m)
	image := `{"schemaVersion":2,"manifests":[{"mediaType":"` + manifestType + `","size":2,"digest":"sha256:` + lock.Sum([]byte("{}")).String() + `"}]}`
	for name, files := range map[string]map[string]string{
		"an image":         {oci.FileName: oci.FileContent, oci.IndexName: image, oci.BlobPath(lock.Sum([]byte("{}"))): "{}"},
		"a store":          {oci.FileName: oci.FileContent, oci.IndexName: `{"schemaVersion":2,"manifests":[]}`},
		"a file beside":    {oci.FileName: oci.FileContent, "notes.txt": ""},
		"a moved file":     {".botkube-mirror/displaced/1/x": ""},
		"a foreign index":  {oci.IndexName: strings.Replace(image, manifestType, indexType, 1), "blobs": ""},
		"a strange blob":   {oci.FileName: oci.FileContent, "blobs/sha256/notes.txt": ""},
		"another digest":   {oci.FileName: oci.FileContent, "blobs/sha512/x": ""},
		"only index.json":  {oci.IndexName: image},
		"only blobs":       {oci.BlobPath(lock.Sum([]byte("{}"))): "{}"},
		"blobs is no dir":  {oci.FileName: oci.FileContent, "blobs": ""},
		"sha256 is no dir": {oci.FileName: oci.FileContent, "blobs/sha256": ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, data := range files {
				writeFile(t, filepath.Join(dir, file), []byte(data))
			}
			wantError(t, CheckLayout(t.Context(), dir), fault.Usage, "neither empty nor a bundle")
			_, err := WriteLayout(t.Context(), dir, c, form.WriteOptions{})
			wantError(t, err, fault.Usage, "neither empty nor a bundle")
			for file, data := range files {
				if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != data {
					t.Errorf("%s is now %q (%v)", file, got, err)
				}
			}
		})
	}
}

func TestMayBeLayout(t *testing.T) {
	l, m := world(t)
	c := plan(t, l, m)
	dir := t.TempDir()
	layout := filepath.Join(dir, "layout")
	if _, err := WriteLayout(t.Context(), layout, c, form.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		writeFile(t, filepath.Join(dir, "b.tar"), tarOf(t, c)):                                      true,
		writeFile(t, filepath.Join(dir, "b.tgz"), []byte(tgz(map[string]string{"a": "b"}))):         true,
		writeFile(t, filepath.Join(dir, "text"), []byte("text")):                                    false,
		writeFile(t, filepath.Join(dir, "empty"), nil):                                              false,
		writeFile(t, filepath.Join(dir, "lock.json"), []byte(strings.Repeat(" ", oci.BlockSize*4))): false,
		layout:                       true,
		dir:                          false,
		os.DevNull:                   false,
		filepath.Join(dir, "absent"): false,
	} {
		if got := oci.MayBeLayout(path); got != want {
			t.Errorf("%s: %t, want %t", path, got, want)
		}
		if got := oci.MayBeTar(path); got != (want && path != layout) {
			t.Errorf("%s is a tar: %t", path, got)
		}
	}
	for _, path := range []string{filepath.Join(dir, "absent"), os.DevNull, dir} {
		_, err := openPath(t.Context(), path)
		wantError(t, err, fault.Usage, path)
	}
}

// What is in the way in a layout is moved aside, and does not matter to who reads
// or writes it from then on.
func TestWriteLayoutDisplaces(t *testing.T) {
	l, m := world(t)
	c := plan(t, l, m)
	dir := filepath.Join(t.TempDir(), "layout")
	var told []string
	o := form.WriteOptions{Displaced: func(path, to string) { told = append(told, path, to) }}
	write := func(want bool) {
		t.Helper()
		told = nil
		if changed, err := WriteLayout(t.Context(), dir, c, o); err != nil || changed != want {
			t.Fatalf("changed %t, %v", changed, err)
		}
		sameBundle(t, c, dir)
	}
	write(true)
	blob, stray := filepath.Join(dir, oci.BlobPath(l.Artifacts[0].SHA256)), filepath.Join(dir, oci.BlobPath(lock.Sum([]byte("stray"))))
	for n, damage := range []func() error{
		func() error {
			return errors.Join(os.Remove(blob), os.MkdirAll(filepath.Join(blob, "precious"), 0o755))
		},
		func() error { return os.MkdirAll(filepath.Join(stray, "precious"), 0o755) },
		func() error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "blobs")), os.WriteFile(filepath.Join(dir, "blobs"), []byte("precious"), 0o644))
		},
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		write(true)
		if len(told) != 2 || told[1] != filepath.Join(dir, ".botkube-mirror/displaced", strconv.Itoa(n+1), filepath.Base(told[0])) {
			t.Errorf("told %q", told)
		}
		write(false)
	}
	if data, err := os.ReadFile(filepath.Join(dir, ".botkube-mirror/displaced/3/blobs")); err != nil || string(data) != "precious" {
		t.Errorf("what was moved is %q, %v", data, err)
	}
}

// TestBegun writes blobs as they arrive, in any order.
func TestBegun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		// old is the file that is there. planned, if not nil, changes the lock that is known first.
		old     func(whole []byte) []byte
		planned func(*lock.Lock)
		// gone says that what was added is not read again.
		gone bool
	}{
		"as they arrive":        {gone: true},
		"over another file":     {old: func([]byte) []byte { return []byte("old") }, gone: true},
		"over the same":         {old: func(whole []byte) []byte { return whole }, gone: true},
		"over one that differs": {old: func(whole []byte) []byte { return bytes.Replace(whole, []byte("plugin for"), []byte("PLUGIN FOR"), 1) }},
		"with a wrong size":     {planned: func(l *lock.Lock) { l.Artifacts[0].Size++ }},
		"with a size to come":   {planned: func(l *lock.Lock) { l.Artifacts[0].Size = 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, m := fullWorld(t)
			want := tarOf(t, plan(t, l, m))
			path := filepath.Join(t.TempDir(), "b.tar")
			if test.old != nil {
				writeFile(t, path, test.old(want))
			}
			first := *l
			first.Artifacts = slices.Clone(l.Artifacts)
			if test.planned != nil {
				test.planned(&first)
			}
			out, err := openArchive(t.Context(), path, &first, form.Content{Blobs: m}, form.WriteOptions{Writing: func(int64) {}})
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			arrived := slices.Clone(l.Artifacts)
			for _, b := range l.ImageBlobs() {
				arrived = append(arrived, lock.Artifact{Blob: b.Blob})
			}
			var wg sync.WaitGroup
			for _, a := range arrived {
				wg.Go(func() {
					if _, err := out.Add(t.Context(), a); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if now, err := os.ReadFile(path); test.old == nil && err == nil || test.old != nil && !bytes.Equal(now, test.old(want)) {
				t.Error("the file was published before it was whole")
			}
			if test.gone {
				for _, a := range arrived {
					delete(m.blobs, a.SHA256)
				}
			}
			w, err := out.Commit(t.Context(), l)
			if err != nil || w.Changed == (name == "over the same") {
				t.Fatalf("changed: %t (%v)", w.Changed, err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
				t.Errorf("it has other bytes than one that is written in the end (%v)", err)
			}
			if err := out.Close(); err != nil {
				t.Error(err)
			}
			if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{"b.tar"}) {
				t.Errorf("the directory has %q", got)
			}
		})
	}
}

// TestBegunOfDamaged finds damage while blobs arrive, so that they can be downloaded again.
func TestBegunOfDamaged(t *testing.T) {
	t.Parallel()
	l, m := world(t)
	dir := t.TempDir()
	out, err := openArchive(t.Context(), filepath.Join(dir, "b.tar"), l, form.Content{Blobs: m}, form.WriteOptions{Writing: func(int64) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	a := l.Artifacts[0]
	good := m.blobs[a.SHA256]
	m.blobs[a.SHA256] = bytes.ToUpper(good)
	_, err = out.Add(t.Context(), a)
	wantError(t, err, fault.Integrity, "b.tar", a.SHA256.String())
	_, err = out.Commit(t.Context(), l)
	wantError(t, err, fault.Integrity, "b.tar", a.SHA256.String())
	if _, err := os.Stat(filepath.Join(dir, "b.tar")); err == nil {
		t.Error("it has its name")
	}
	m.blobs[a.SHA256] = good
	if _, err := out.Commit(t.Context(), l); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "b.tar")); err != nil || !bytes.Equal(got, tarOf(t, plan(t, l, m))) {
		t.Errorf("once the blob was mended, other bytes (%v)", err)
	}
}

// TestBegunInVain closes an output that could not be opened, as whoever opens several does.
func TestBegunInVain(t *testing.T) {
	t.Parallel()
	l, m := world(t)
	path := filepath.Join(t.TempDir(), "b.tar")
	first, err := openArchive(t.Context(), path, l, form.Content{Blobs: m}, form.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	ctx, cancel := context.WithCancel(t.Context())
	second, err := openArchive(ctx, path, l, form.Content{Blobs: m}, form.WriteOptions{Waiting: func(string) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted while another run writes the file: %v", err)
	}
	if second != nil {
		_ = second.Close()
	}
}

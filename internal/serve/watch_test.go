package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// shelf is a directory of sources that come and go. Each is a file that names a world.
type shelf struct {
	dir    string
	worlds map[string]*world
	// closed counts the versions that were closed.
	closed atomic.Int64
	// opened counts how often a source was opened.
	opened int
}

// other stands for what is no version.
var other = new(world)

// put has a source hold what a world has, or fail if that is nil.
func (s *shelf) put(t *testing.T, name string, w *world) {
	t.Helper()
	temp := filepath.Join(s.dir, ".new")
	if err := os.WriteFile(temp, []byte(name), 0o644); err != nil {
		t.Fatal(err)
	}
	rename(t, temp, filepath.Join(s.dir, name))
	s.worlds[name] = w
}

func (s *shelf) look() (all []form.Source, err error) {
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		at := filepath.Join(s.dir, e.Name())
		all = append(all, form.Source{Path: at, Files: []string{at}, Open: func(context.Context) (*form.Version, error) {
			s.opened++
			w := s.worlds[e.Name()]
			if w == other {
				return nil, form.ErrNotVersion
			}
			if w == nil {
				return nil, fault.New(fault.Integrity, "it is truncated")
			}
			v := w.version
			v.Source = at
			v.Close = func() error { s.closed.Add(1); return nil }
			return &v, nil
		}})
	}
	return all, err
}

// shelve returns a handler of a shelf, which has a first world under the name first.
func shelve(t *testing.T, first *world) (*shelf, *Handler) {
	t.Helper()
	s := &shelf{dir: t.TempDir(), worlds: map[string]*world{}}
	s.put(t, "first", first)
	return s, first.handler(t, func(o *Options) {
		o.Grace = time.Hour
		var err error
		o.Library, err = OpenLibrary(t.Context(), func(ctx context.Context) (*form.Served, error) {
			served := &form.Served{Look: s.look}
			return served, served.Open(ctx)
		}, o.Problem)
		if err != nil {
			t.Fatal(err)
		}
	})
}

// tags are those that are served.
func (h *Handler) tags() (tags []string) {
	for _, v := range h.catalog.Load().versions {
		tags = append(tags, v.Tag)
	}
	return tags
}

// has reports whether there is something at a path.
func (h *Handler) has(path string) bool {
	_, has := h.catalog.Load().paths[path]
	return has
}

// TestReplaced replaces a version while it is downloaded.
func TestReplaced(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 2<<20)
	before, after := newWorld(t, content, "tool"), newWorld(t, "new", "tool")
	s, h := shelve(t, before)
	_, address := listeningTo(t, h, 10, 10, 10)
	client := dial(t, address)
	resp, err := client.get("/" + before.binary.Path)
	if err != nil {
		t.Fatal(err)
	}
	s.put(t, "first", after)
	h.look(t.Context(), false)
	if h.has(after.binary.Path) {
		t.Error("what may still be written is served")
	}
	h.look(t.Context(), false)
	if !h.has(after.binary.Path) || !h.has(before.binary.Path) {
		t.Error("both versions are to be there: the new one, and for a while the one before")
	}
	opened := s.opened
	h.look(t.Context(), false)
	if s.opened != opened {
		t.Error("what did not change is opened again")
	}
	retired := h.retired[0]
	h.end(retired)
	if h.has(before.binary.Path) || s.closed.Load() != 0 {
		t.Errorf("after the grace, there is the version before: %t; it is closed while it is downloaded: %d", h.has(before.binary.Path), s.closed.Load())
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(content)) {
		t.Errorf("%d bytes were downloaded, %v", n, err)
	}
	client.Close()
	for deadline := time.Now().Add(30 * time.Second); s.closed.Load() != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the version before is not closed")
		}
	}
	if told := before.told(); told != "" {
		t.Error(told)
	}
}

// TestNotServed has a version stay as long as what is put in its place cannot be served.
func TestNotServed(t *testing.T) {
	first := newWorld(t, "binary", "tool")
	damaged := newWorld(t, "other", "tool")
	damaged.write(t, damaged.binary.Path, "0ther")
	for name, test := range map[string]struct {
		put  *world
		says string
	}{
		"truncated":      {nil, "it is truncated"},
		"a damaged file": {damaged, "the file is damaged"},
		"something else": {other, "it has no version"},
	} {
		t.Run(name, func(t *testing.T) {
			first.problems = nil
			s, h := shelve(t, first)
			s.put(t, "first", test.put)
			h.look(t.Context(), false)
			h.look(t.Context(), false)
			if told := first.told(); told != "" {
				t.Errorf("it may still be written, but is told of: %s", told)
			}
			for range 2 {
				h.look(t.Context(), true)
			}
			want := "not replaced, still serving the previous version v1.14.0: " + filepath.Join(s.dir, "first") + ": "
			if told := first.told(); strings.Count(told, "\n") != 1 || !strings.HasPrefix(told, want) || !strings.Contains(told, test.says) {
				t.Errorf("problems: %s", told)
			}
			if !h.has(first.binary.Path) {
				t.Error("the version before is gone")
			}
			s.put(t, "first", newWorld(t, "whole", "tool"))
			h.look(t.Context(), true)
			if got := h.catalog.Load().versions[0].Lock.Artifacts[0].Size; got != 5 {
				t.Errorf("what is whole is not served: the file has %d bytes", got)
			}
		})
	}
}

// TestComesAndGoes adds, moves and removes sources.
func TestComesAndGoes(t *testing.T) {
	first, second := newWorld(t, "binary", "tool"), newWorld(t, "binary 2", "tool")
	second.version.Tag = "v1.13.0"
	lock := *second.version.Lock
	lock.BotkubeVersion = "v1.13.0"
	second.version.Lock = &lock
	s, h := shelve(t, first)
	var events []string
	h.options.Changed = func(c Change) {
		events = append(events, fmt.Sprint(c.Event, " ", c.Tag, " ", filepath.Base(c.Source)))
	}
	expect := func(what string, tags []string, want ...string) {
		t.Helper()
		if got := h.tags(); !slices.Equal(got, tags) || !slices.Equal(events, want) {
			t.Errorf("%s: %q, %q", what, got, events)
		}
		events = nil
	}
	s.put(t, "second", second)
	h.look(t.Context(), false)
	h.look(t.Context(), false)
	expect("added", []string{"v1.14.0", "v1.13.0"}, "added v1.13.0 second")
	// Another one of a version waits until the first is gone.
	s.put(t, "third", second)
	h.look(t.Context(), true)
	expect("twice", []string{"v1.14.0", "v1.13.0"})
	if told := first.told(); !strings.Contains(told, "are both version v1.13.0") {
		t.Errorf("problems: %s", told)
	}
	for _, name := range []string{"second", "first"} {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	h.look(t.Context(), false)
	expect("perhaps removed", []string{"v1.14.0", "v1.13.0"})
	h.look(t.Context(), true)
	expect("removed", []string{"v1.13.0"}, "removed v1.14.0 first", "removed v1.13.0 second", "added v1.13.0 third")
	// What is no version is left out without a word.
	first.problems = nil
	s.put(t, "notes", nil)
	h.look(t.Context(), true)
	s.put(t, "notes", other)
	h.look(t.Context(), true)
	h.look(t.Context(), true)
	expect("notes", []string{"v1.13.0"})
	if told := first.told(); strings.Count(told, "\n") != 1 || h.options.Library.failing() != 0 {
		t.Errorf("problems: %s", told)
	}
	if err := os.Remove(filepath.Join(s.dir, "notes")); err != nil {
		t.Fatal(err)
	}
	h.look(t.Context(), true)
	// A directory that cannot be read has nothing removed.
	moved := s.dir + ".moved"
	rename(t, s.dir, moved)
	h.look(t.Context(), true)
	h.look(t.Context(), true)
	expect("unreadable", []string{"v1.13.0"})
	if told := first.told(); strings.Count(told, "looking for changes") != 1 {
		t.Errorf("problems: %s", told)
	}
	rename(t, moved, s.dir)
	if err := os.Remove(filepath.Join(s.dir, "third")); err != nil {
		t.Fatal(err)
	}
	h.look(t.Context(), true)
	expect("empty", nil, "removed v1.13.0 third")
	at := "http://" + address(t, h)
	for path, want := range map[string]int{healthPath: http.StatusOK, readyPath: http.StatusServiceUnavailable, "/": http.StatusServiceUnavailable} {
		if got := ask(t, http.MethodGet, at+path); got.status != want {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	s.put(t, "fourth", first)
	h.look(t.Context(), true)
	expect("filled again", []string{"v1.14.0"}, "added v1.14.0 fourth")
	// What was removed can still be downloaded.
	for path, want := range map[string]int{readyPath: http.StatusOK, "/v1.13.0/lock.json": http.StatusOK, "/" + second.binary.Path: http.StatusOK} {
		if got := ask(t, http.MethodGet, at+path); got.status != want {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	h.endAll()
	if got := ask(t, http.MethodGet, at+"/v1.13.0/lock.json"); got.status != http.StatusNotFound {
		t.Errorf("after the grace: %d", got.status)
	}
}

// TestRetiredIsGone has files of a version before be missing without a word.
func TestRetiredIsGone(t *testing.T) {
	first := newWorld(t, "binary", "tool")
	s, h := shelve(t, first)
	s.put(t, "first", newWorld(t, "new", "tool"))
	h.look(t.Context(), true)
	if err := os.Remove(filepath.Join(first.dir, filepath.FromSlash(first.binary.Path))); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, http.MethodGet, "http://"+address(t, h)+"/"+first.binary.Path); got.status != http.StatusNotFound || first.told() != "" {
		t.Errorf("%d, problems: %s", got.status, first.told())
	}
}

// TestRetiredAreBounded replaces a version more often than versions are kept.
func TestRetiredAreBounded(t *testing.T) {
	first := newWorld(t, "binary", "tool")
	s, h := shelve(t, first)
	for range 2 * maxRetired {
		s.put(t, "first", newWorld(t, "new", "tool"))
		h.look(t.Context(), true)
	}
	if len(h.retired) != maxRetired || s.closed.Load() != maxRetired {
		t.Errorf("%d are kept, %d closed", len(h.retired), s.closed.Load())
	}
}

// TestNothingToServe wants a target without a version to be an error, and the one of a source to be
// told.
func TestNothingToServe(t *testing.T) {
	open := func(found ...form.Found) (*Library, string, error) {
		var told []error
		l, err := OpenLibrary(t.Context(), func(context.Context) (*form.Served, error) { return &form.Served{Found: found}, nil },
			func(err error) { told = append(told, err) })
		return l, fmt.Sprint(told), err
	}
	broken := form.Found{Source: form.Source{Path: "a"}, Err: errors.New("broken")}
	if _, told, err := open(broken); !errors.Is(err, broken.Err) || told != "[]" {
		t.Errorf("%v, told %s", err, told)
	}
	other := form.Found{Source: form.Source{Path: "b"}, Err: form.ErrNotVersion}
	whole := form.Found{Source: form.Source{Path: "c"}, Version: &newWorld(t, "binary", "tool").version}
	l, told, err := open(broken, other, whole)
	if err != nil || told != "[not served: a: broken]" || !slices.Equal(l.ignored(), []string{"b"}) {
		t.Errorf("%v, told %s, ignored %q", err, told, l.ignored())
	}
}

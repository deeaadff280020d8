package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
)

func ingest(t testing.TB, s *store.Store, key string) *store.Ingest {
	t.Helper()
	in, err := s.Ingest(t.Context(), key, nil)
	check(t, err)
	t.Cleanup(func() { _ = in.Close() })
	return in
}

func add(t testing.TB, in *store.Ingest, text string) {
	t.Helper()
	_, err := in.Write([]byte(text))
	check(t, err)
}

func TestIngestIsResumed(t *testing.T) {
	dir := t.TempDir()
	origin := store.Origin{URL: "u", ETag: `"v"`, LastModified: "then", Validator: `"v"`, Total: 10}
	in := ingest(t, open(t, dir), "key")
	check(t, in.SetOrigin(origin))
	add(t, in, "half")
	check(t, in.Close())
	check(t, in.Close())

	s := open(t, dir)
	in = ingest(t, s, "key")
	if in.Size() != 4 || in.Origin() != origin {
		t.Errorf("size %d, origin %+v", in.Size(), in.Origin())
	}
	add(t, in, "-whole")
	d := lock.Sum([]byte("half-whole"))
	check(t, in.Commit(d, 10))
	check(t, in.Close())
	got, err := s.ReadAll(d, 100)
	check(t, err)
	if string(got) != "half-whole" {
		t.Errorf("blob %q", got)
	}
	wantNoRests(t, s)
	if in := ingest(t, s, "key"); in.Size() != 0 || in.Origin() != (store.Origin{}) {
		t.Errorf("after the commit: size %d, origin %+v", in.Size(), in.Origin())
	}
}

func TestCommitChecksTheSize(t *testing.T) {
	s := open(t, t.TempDir())
	in := ingest(t, s, "key")
	add(t, in, "abc")
	d := lock.Sum([]byte("abc"))
	if err := in.Commit(d, 4); err == nil {
		t.Error("no error")
	}
	if _, ok := s.Has(d); ok {
		t.Error("stored all the same")
	}
}

func TestCommitReplacesWhatNobodyVerified(t *testing.T) {
	s := open(t, t.TempDir())
	d := lock.Sum([]byte("good"))
	write(t, blob(s, d), "g00d")
	in := ingest(t, s, "key")
	add(t, in, "good")
	check(t, in.Commit(d, 4))
	check(t, in.Close())
	_, err := s.ReadAll(d, 10)
	check(t, err)
	in = ingest(t, s, "key 2")
	add(t, in, "good")
	check(t, in.Commit(d, 4))
	check(t, in.Close())
	wantNoRests(t, s)
}

func TestDiscardLeavesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	in := ingest(t, s, "key")
	check(t, in.SetOrigin(store.Origin{ETag: "x"}))
	add(t, in, "abc")
	check(t, in.SetCheckpoint(lock.Sum([]byte("abc"))))
	check(t, in.Discard())
	check(t, in.Discard())
	check(t, in.Close())
	wantNoRests(t, s)
}

func TestClosingAnEmptyIngestLeavesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	in := ingest(t, s, "key")
	check(t, in.SetOrigin(store.Origin{ETag: "x"}))
	check(t, in.Close())
	wantNoRests(t, s)
}

func TestTruncate(t *testing.T) {
	s := open(t, t.TempDir())
	in := ingest(t, s, "key")
	add(t, in, "abcdef")
	check(t, in.Truncate(2))
	add(t, in, "x")
	check(t, in.Commit(lock.Sum([]byte("abx")), 3))
	check(t, s.Verify(t.Context(), lock.Sum([]byte("abx"))))
}

func TestCheckpoints(t *testing.T) {
	dir := t.TempDir()
	in := ingest(t, open(t, dir), "key")
	check(t, in.SetOrigin(store.Origin{ETag: `"v1"`}))
	add(t, in, "of another origin")
	check(t, in.SetCheckpoint(lock.Sum([]byte("of another origin"))))
	check(t, in.SetOrigin(store.Origin{ETag: `"v2"`}))
	check(t, in.Truncate(0))
	var want []store.Checkpoint
	for _, text := range []string{"ab", "cd", "ef"} {
		add(t, in, text)
		sum := lock.Sum([]byte("abcdef")[:in.Size()])
		check(t, in.SetCheckpoint(sum))
		want = append(want, store.Checkpoint{Size: in.Size(), SHA256: sum})
	}
	check(t, in.Close())

	in = ingest(t, open(t, dir), "key")
	if got := in.Checkpoints(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// Those beyond the end do not count, nor those that a later start overtook.
	check(t, in.Truncate(4))
	if got := in.Checkpoints(); len(got) != 2 {
		t.Errorf("after truncating: %v", got)
	}
	check(t, in.Truncate(0))
	add(t, in, "x")
	check(t, in.SetCheckpoint(lock.Sum([]byte("x"))))
	add(t, in, "yz123")
	if got := in.Checkpoints(); len(got) != 1 || got[0].Size != 1 {
		t.Errorf("after starting over: %v", got)
	}
}

func TestDamagedNotesCountAsNone(t *testing.T) {
	dir := t.TempDir()
	in := ingest(t, open(t, dir), "key")
	check(t, in.SetOrigin(store.Origin{ETag: "x"}))
	add(t, in, "abc")
	check(t, in.Close())
	base := strings.TrimSuffix(in.Path(), ".part")
	write(t, base+".json", `{"etag":"x","total":-1}`)
	write(t, base+".sums", "3 zz\n99999999999999999999 00 00\n\x00\x00\n3")
	in = ingest(t, open(t, dir), "key")
	if in.Size() != 3 || in.Origin() != (store.Origin{}) || in.Checkpoints() != nil {
		t.Errorf("size %d, origin %+v, checkpoints %v", in.Size(), in.Origin(), in.Checkpoints())
	}
}

func TestSomethingElseInThePartialFilesPlace(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(t.TempDir(), "precious")
	write(t, precious, "precious")
	in := ingest(t, open(t, dir), "key")
	check(t, in.Discard())
	check(t, os.Symlink(precious, in.Path()))
	in = ingest(t, open(t, dir), "key")
	add(t, in, "abc")
	if data, _ := os.ReadFile(precious); string(data) != "precious" {
		t.Error("wrote through a link")
	}
}

func TestIngestExcludesOthersHere(t *testing.T) {
	dir := t.TempDir()
	stores := []*store.Store{open(t, dir), open(t, dir)}
	var inside, waits, done atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			in, err := stores[i%2].Ingest(t.Context(), "key", func() { waits.Add(1) })
			if err != nil {
				t.Error(err)
				return
			}
			if inside.Add(1) != 1 {
				t.Error("two at once")
			}
			time.Sleep(2 * time.Millisecond)
			inside.Add(-1)
			done.Add(1)
			if err := in.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if done.Load() != 16 || waits.Load() == 0 || waits.Load() > 15 {
		t.Errorf("%d done, %d told to wait", done.Load(), waits.Load())
	}
}

func TestIngestOfAnotherKeyNeedNotWait(t *testing.T) {
	s := open(t, t.TempDir())
	ingest(t, s, "a")
	ingest(t, s, "b")
}

func TestIngestWaitsForAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	c, line := start(t, "hold", dir)
	if line != "holding" {
		t.Fatal(line)
	}
	s := open(t, dir)
	// Only this ends the wait: the other process holds on.
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	_, err := s.Ingest(ctx, "held", func() {
		told++
		time.AfterFunc(50*time.Millisecond, cancel)
	})
	if !errors.Is(err, context.Canceled) || told != 1 {
		t.Errorf("error %v, told %d times", err, told)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		_ = c.stdin.Close()
	}()
	in := ingest(t, s, "held")
	if in.Size() != 4 || in.Origin().ETag != `"v1"` {
		t.Errorf("size %d, origin %+v", in.Size(), in.Origin())
	}
}

func TestWhatAKilledProcessLeft(t *testing.T) {
	dir := t.TempDir()
	c, _ := start(t, "hold", dir)
	c.kill(t)
	s := open(t, dir)
	in := ingest(t, s, "held")
	if in.Size() != 4 || in.Origin().Total != 10 {
		t.Errorf("size %d, origin %+v", in.Size(), in.Origin())
	}
	check(t, in.Discard())
	wantNoRests(t, s)
	entries, err := os.ReadDir(filepath.Join(dir, "ingest"))
	check(t, err)
	if len(entries) != 1 {
		t.Errorf("the killed process is still listed: %v", entries)
	}
}

// count takes turns with other processes at adding to one file.
func count(s *store.Store) error {
	for i := range 40 {
		in, err := s.Ingest(context.Background(), "counter", nil)
		if err != nil {
			return err
		}
		if _, err := in.Write([]byte("x")); err != nil {
			return err
		}
		if err := in.Close(); err != nil {
			return err
		}
		if _, err := s.Put(fmt.Appendf(nil, "document %d", i)); err != nil {
			return err
		}
	}
	return nil
}

func TestProcessesTakeTurns(t *testing.T) {
	dir := t.TempDir()
	var children []*child
	for range 3 {
		c, line := start(t, "count", dir)
		if line != "counting" {
			t.Fatal(line)
		}
		children = append(children, c)
	}
	s := open(t, dir)
	check(t, count(s))
	for _, c := range children {
		c.finish(t)
	}
	if in := ingest(t, s, "counter"); in.Size() != 160 {
		t.Errorf("%d bytes of 160", in.Size())
	}
	for i := range 40 {
		check(t, open(t, dir).Verify(t.Context(), lock.Sum(fmt.Appendf(nil, "document %d", i))))
	}
}

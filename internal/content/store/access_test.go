//go:build unix

package store_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// storeParts are the directories that decide who may write to a store.
var storeParts = []string{".", "ingest", "blobs", "blobs/sha256", "urls", "derived", "indexes", "roots"}

// TestOpenByAccess opens stores by who may write to each part of them.
func TestOpenByAccess(t *testing.T) {
	for _, part := range storeParts {
		dir := t.TempDir()
		if !open(t, dir).Trusted() {
			t.Fatal("a store of this user's is not trusted")
		}
		at := filepath.Join(dir, part)
		check(t, os.Chmod(at, 0o775))
		if open(t, dir).Trusted() {
			t.Errorf("%s: a store that a group may write to is trusted", part)
		}
		check(t, os.Chmod(at, 0o757))
		_, err := store.Open(dir)
		wantFault(t, err, fault.Usage, "every user can change the content of "+at, "mode 0757")
		s, err := store.OpenShared(dir)
		check(t, err)
		if s.Trusted() {
			t.Errorf("%s: a shared store is trusted", part)
		}
		check(t, s.Close())
		check(t, os.Chmod(at, 0o755))
		if os.Geteuid() != 0 {
			continue
		}
		check(t, os.Chown(at, 4321, -1))
		_, err = store.Open(dir)
		wantFault(t, err, fault.Usage, at+" belongs to user 4321")
		check(t, os.Chown(at, 0, -1))
		if !open(t, dir).Trusted() {
			t.Errorf("%s: a store that was given back is not trusted", part)
		}
	}
}

// TestOpenSharedOfOnesOwn wants a store that nobody else may write to as it is,
// whatever it is called.
func TestOpenSharedOfOnesOwn(t *testing.T) {
	s, err := store.OpenShared(t.TempDir())
	check(t, err)
	defer s.Close()
	if !s.Trusted() {
		t.Error("it is not trusted")
	}
}

// TestOpenOfWhatOthersMayWrite exchanges a blob after it was verified, by another
// file and in place.
func TestOpenOfWhatOthersMayWrite(t *testing.T) {
	dir := t.TempDir()
	d, err := open(t, dir).Put([]byte("good"))
	check(t, err)
	for name, exchange := range map[string]func(path string){
		"another file": func(path string) {
			write(t, path+".new", "evil")
			check(t, os.Rename(path+".new", path))
		},
		"in place": func(path string) { write(t, path, "evil") },
	} {
		check(t, os.Chmod(dir, 0o775))
		s := open(t, dir)
		_, err := s.Put([]byte("good"))
		check(t, err)
		check(t, s.Verify(t.Context(), d))
		exchange(blob(s, d))
		if _, err := s.Open(d); fault.KindOf(err) != fault.Integrity {
			t.Errorf("%s: error %v", name, err)
		}
		if err := s.Verify(t.Context(), d); fault.KindOf(err) != fault.Incomplete {
			t.Errorf("%s: what was exchanged is still there: %v", name, err)
		}
	}
}

// TestOpenCopiesWhatOthersMayWrite changes a blob in place while it is read.
func TestOpenCopiesWhatOthersMayWrite(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	d, err := s.Put([]byte("good"))
	check(t, err)
	check(t, os.Chmod(blob(s, d), 0o666))
	f, err := s.Open(d)
	check(t, err)
	defer f.Close()
	write(t, blob(s, d), "evil")
	if data, err := io.ReadAll(f); err != nil || string(data) != "good" {
		t.Errorf("read %q, %v", data, err)
	}
}

// TestRecordsThatOthersMayWrite wants records to count only where nobody else may
// have written them.
func TestRecordsThatOthersMayWrite(t *testing.T) {
	const url = "https://example.com/x"
	dir := t.TempDir()
	s := open(t, dir)
	d, err := s.Put([]byte("content"))
	check(t, err)
	check(t, s.SetURLRecord(url, store.URLRecord{URL: url, SHA256: d, Size: 7}))
	check(t, s.SetDerived(d, "gz x", lock.Made{Size: 1}))
	counts := func(s *store.Store) bool {
		_, of := s.URLRecord(url)
		_, made := s.Derived(d, "gz x")
		return of || made
	}
	if !counts(s) {
		t.Fatal("records do not count at all")
	}
	records, err := filepath.Glob(filepath.Join(dir, "[ud][re][lr]*", "*.json"))
	if err != nil || len(records) != 2 {
		t.Fatal(records, err)
	}
	for _, r := range records {
		check(t, os.Chmod(r, 0o666))
	}
	if counts(s) {
		t.Error("records count that every user may write")
	}
	for _, r := range records {
		check(t, os.Chmod(r, 0o644))
	}
	check(t, os.Chmod(dir, 0o775))
	if counts(open(t, dir)) {
		t.Error("records count of a store that a group may write to")
	}
}

// TestPartialsThatOthersMayWrite wants nothing to be resumed on the word of
// checkpoints that somebody else may have written.
func TestPartialsThatOthersMayWrite(t *testing.T) {
	dir := t.TempDir()
	begin := func(s *store.Store) *store.Ingest {
		in, err := s.Ingest(context.Background(), "key", nil)
		check(t, err)
		return in
	}
	in := begin(open(t, dir))
	check(t, in.SetOrigin(store.Origin{ETag: `"v1"`, Total: 10}))
	_, err := in.Write([]byte("half"))
	check(t, err)
	check(t, in.SetCheckpoint(lock.Sum([]byte("half"))))
	check(t, in.Close())
	in = begin(open(t, dir))
	if len(in.Checkpoints()) != 1 || in.Origin().Total != 10 {
		t.Fatal("nothing is resumed at all")
	}
	check(t, in.Close())
	check(t, os.Chmod(dir, 0o775))
	in = begin(open(t, dir))
	defer in.Close()
	if len(in.Checkpoints()) != 0 || in.Origin() != (store.Origin{}) {
		t.Error("checkpoints or an origin count that others may have written")
	}
}

// TestStoreOnAVolumeWithoutModes is that of SMB, where all is root's and everybody
// may write.
func TestStoreOnAVolumeWithoutModes(t *testing.T) {
	program := tier.Program(t, "bindfs")
	real, dir := t.TempDir(), t.TempDir()
	out, err := exec.Command(program, "--force-user=root", "--force-group=root", "-p", "0777", "--chmod-ignore", "--chown-ignore", real, dir).CombinedOutput()
	if err != nil {
		tier.Missing(t, fmt.Sprintf("bindfs: %v: %s", err, out))
	}
	t.Cleanup(func() {
		// What was just closed may still be in use.
		for range 50 {
			if err = exec.Command("umount", dir).Run(); err == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Error(err)
	})
	s, err := store.Open(filepath.Join(dir, "store"))
	check(t, err)
	defer s.Close()
	if s.Trusted() {
		t.Error("a store is trusted where everybody may write")
	}
	d, err := s.Put([]byte("content"))
	check(t, err)
	check(t, s.Verify(t.Context(), d))
	f, err := s.Open(d)
	check(t, err)
	defer f.Close()
	write(t, blob(s, d), "altered")
	if data, err := io.ReadAll(f); err != nil || string(data) != "content" {
		t.Errorf("read %q, %v", data, err)
	}
}

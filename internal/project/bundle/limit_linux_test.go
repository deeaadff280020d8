package bundle

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// A bundle of many GiB does not fit on FAT, nor where a limit is set.
func TestFileTooLarge(t *testing.T) {
	l, m := world(t)
	c := plan(t, l, m)
	dir := t.TempDir()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	few := old
	few.Cur = 4096
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &few); err != nil {
		t.Skip(err)
	}
	_, err := WriteFile(t.Context(), filepath.Join(dir, "b.tar"), c, Options{})
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	wantError(t, err, fault.Unexpected, "file too large", "ulimit -f", "oci:DIR")
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
}

func TestPipeInLayout(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, layoutName), []byte(layoutContent))
	if err := syscall.Mkfifo(filepath.Join(dir, indexName), 0o644); err != nil {
		t.Skip(err)
	}
	if Sniff(dir) != LayoutForm {
		t.Error("it is not taken for a layout")
	}
	_, err := Open(dir)
	wantError(t, err, fault.Integrity, "index.json is not a regular file", "copy ")
}

//go:build unix

package disk

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSimilarInPipe: a pipe that stands in a directory's place has no names,
// and makes nobody wait.
func TestSimilarInPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Similar(filepath.Join(pipe, "lock.json")); got != "" {
		t.Error(got)
	}
}

package tier

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestRunsPrograms has a directory that is not there, and one from which nothing can be started.
func TestRunsPrograms(t *testing.T) {
	dir := t.TempDir()
	if !runsPrograms(dir) {
		t.Errorf("no program can be started from %s", dir)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v (%v)", left, err)
	}
	if absent := filepath.Join(dir, "absent"); runsPrograms(absent) {
		t.Errorf("%s is there", absent)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOEXEC, "size=64k"); err != nil {
		Missing(t, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if runsPrograms(dir) {
		t.Error("a program can be started in spite of noexec")
	}
}

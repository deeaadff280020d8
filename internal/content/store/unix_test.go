//go:build unix

package store_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func TestOpenWithoutPermission(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	open(t, dir)
	if os.Getuid() != 0 {
		check(t, os.Chmod(filepath.Join(dir, "ingest"), 0o555))
		_, err := store.Open(dir)
		wantFault(t, err, fault.Unexpected, "permission denied", dir)
		return
	}
	// Root may do anything, so another user tries.
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		check(t, os.Chmod(d, 0o755))
	}
	_, line := start(t, "open", dir, func(cmd *exec.Cmd) {
		binary := filepath.Join(t.TempDir(), "test")
		data, err := os.ReadFile(cmd.Path)
		check(t, err)
		check(t, os.WriteFile(binary, data, 0o755))
		for d := filepath.Dir(binary); len(d) > len(os.TempDir()); d = filepath.Dir(d) {
			check(t, os.Chmod(d, 0o755))
		}
		cmd.Path, cmd.Dir = binary, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	})
	if !strings.Contains(line, "permission denied") || !strings.Contains(line, dir) {
		t.Error(line)
	}
}

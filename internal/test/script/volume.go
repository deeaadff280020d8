package script

import (
	"errors"
	"os"
	"os/exec"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// canBind reports whether this user may mount with bindfs.
func canBind() bool {
	if tier.Thorough() {
		return true
	}
	_, device := os.Stat("/dev/fuse")
	_, program := exec.LookPath("bindfs")
	return os.Geteuid() == 0 && device == nil && program == nil
}

// mountBindfs mounts an empty directory with modes and owners that bindfs makes up, as
// a server of another system would. The end of the script unmounts it.
func mountBindfs(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: volume DIR [OPTION...]")
	}
	at := ts.MkAbs(args[0])
	behind := at + ".behind"
	ts.Check(os.MkdirAll(behind, 0o777))
	ts.Check(os.MkdirAll(at, 0o777))
	ts.Defer(func() { ts.Check(unmount(at)) })
	ts.Check(ts.Exec("bindfs", append(args[1:], behind, at)...))
}

// unmount tries for a while: what a program has just closed may still be in use.
func unmount(dir string) error {
	var out []byte
	var err error
	for range 50 {
		if out, err = exec.Command("umount", dir).CombinedOutput(); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.Join(err, errors.New(string(out)))
}

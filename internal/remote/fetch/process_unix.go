//go:build unix

package fetch

import (
	"os/exec"
	"syscall"
)

// endWithChildren has the end of a command's context end the programs that it
// started, too: git leaves those that talk to servers to themselves.
func endWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

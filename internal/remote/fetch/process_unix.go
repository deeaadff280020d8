//go:build unix

package fetch

import (
	"os/exec"
	"syscall"
)

// endWithChildren makes the end of a command's context also end the command's child processes. Git
// does not end those that talk to servers.
func endWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

//go:build linux

package acceptance

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// agentUser is the user and group as which the Helm chart runs the agent.
const agentUser = 101

// enterVariable carries a [namespace] to this very test binary, run again.
const enterVariable = "ACCEPTANCE_ENTER_NAMESPACE"

// namespace is what a process is shut into before it becomes Command.
type namespace struct {
	// Root is all that it sees of the file system, read-only; empty means everything.
	Root string
	// Source, unless it is empty, is mounted at Target below Root, read-only unless Writable is set.
	Source, Target string
	Writable       bool
	// Loopback leaves it 127.0.0.1 for a network.
	Loopback bool
	// Beside is the process whose network it shares, instead of having one of its own.
	Beside  int
	Command string
	Args    []string
}

// command returns the namespace's process, not yet started: this test binary, in namespaces of its own, which drops
// what it may and turns into n.Command. The mounts are gone with it.
func (n namespace) command() (*exec.Cmd, error) {
	spec, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = []string{enterVariable + "=" + string(spec)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if n.Beside == 0 {
		cmd.SysProcAttr.Unshareflags |= syscall.CLONE_NEWNET
	}
	return cmd, nil
}

// enterNamespace is the other half of [namespace.command]. It reports false in every other process.
func enterNamespace() bool {
	spec, inside := os.LookupEnv(enterVariable)
	if !inside {
		return false
	}
	var n namespace
	err := json.Unmarshal([]byte(spec), &n)
	if err == nil {
		err = n.enter()
	}
	fmt.Fprintln(os.Stderr, "entering namespace:", err)
	os.Exit(1)
	return true
}

// enter returns only if it could not.
func (n namespace) enter() error {
	if err := n.network(); err != nil {
		return err
	}
	if err := n.mount(); err != nil {
		return err
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("dropping groups: %w", err)
	}
	if err := syscall.Setgid(agentUser); err != nil {
		return fmt.Errorf("becoming group %d: %w", agentUser, err)
	}
	if err := syscall.Setuid(agentUser); err != nil {
		return fmt.Errorf("becoming user %d: %w", agentUser, err)
	}
	if err := os.Unsetenv(enterVariable); err != nil {
		return err
	}
	return syscall.Exec(n.Command, append([]string{n.Command}, n.Args...), os.Environ())
}

// network gives the process loopback, or another's network, or nothing. The thread that has it must be the one that
// becomes the command.
func (n namespace) network() error {
	if !n.Loopback && n.Beside == 0 {
		return checkNetwork(0)
	}
	runtime.LockOSThread()
	if n.Beside != 0 {
		if err := join(n.Beside); err != nil {
			return fmt.Errorf("joining the network of process %d: %w", n.Beside, err)
		}
	} else if err := raiseLoopback(); err != nil {
		return fmt.Errorf("raising loopback: %w", err)
	}
	return checkNetwork(net.FlagLoopback)
}

func join(pid int) error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
}

func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// mount makes the file system what the process is to see.
func (n namespace) mount() error {
	if n.Root != "" {
		if err := bind(n.Root, n.Root, false); err != nil {
			return err
		}
	}
	if n.Source != "" {
		if err := bind(n.Source, filepath.Join(n.Root, n.Target), n.Writable); err != nil {
			return err
		}
	}
	if n.Root == "" {
		return nil
	}
	if err := syscall.Chroot(n.Root); err != nil {
		return fmt.Errorf("entering %s: %w", n.Root, err)
	}
	return os.Chdir("/")
}

func bind(source, target string, writable bool) error {
	if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", target, err)
	}
	if writable {
		return nil
	}
	if err := syscall.Mount("", target, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("making %s read-only: %w", target, err)
	}
	if err := os.WriteFile(filepath.Join(target, "written"), nil, 0o644); err == nil {
		return fmt.Errorf("%s can be written to", target)
	}
	return nil
}

// checkNetwork wants no interface to be up but those that have a flag.
func checkNetwork(but net.Flags) error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp != 0 && i.Flags&but == 0 {
			return fmt.Errorf("interface %s is up", i.Name)
		}
	}
	return nil
}

// namespacesWork tries one, once. The error says why there are none.
var namespacesWork = sync.OnceValue(func() error {
	if os.Getuid() != 0 {
		return fmt.Errorf("not root")
	}
	programs, err := buildAgent()
	if err != nil {
		return err
	}
	target := filepath.Join(scratch, "probe")
	if err := os.Mkdir(target, 0o755); err != nil {
		return err
	}
	cmd, err := namespace{Source: target, Target: target, Command: filepath.Join(programs, "agent")}.command()
	if err != nil {
		return err
	}
	cmd.Stdin = strings.NewReader("{}")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("entering a namespace: %w %s", err, out)
	}
	return nil
})

// isolation names the way in which the agent is kept from the network, and logs it.
func isolation(t *testing.T) string {
	t.Helper()
	if err := namespacesWork(); err != nil {
		t.Logf("network taken away by: proxy that refuses (no namespaces: %v)", err)
		return "proxy"
	}
	t.Logf("network taken away by: namespace, as user %d, cache directory read-only", agentUser)
	return "namespace"
}

//go:build linux

package acceptance

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// agentUser is the user and group as which the Helm chart runs the agent.
const agentUser = 101

// enterVariable carries a [namespace] to this very test binary, run again.
const enterVariable = "ACCEPTANCE_ENTER_NAMESPACE"

// namespace is what a process is shut into before it becomes Command.
type namespace struct {
	// Root is all that it sees of the file system, read-only; empty means everything.
	Root string
	// Source is mounted at Target below Root, read-only unless Writable is set.
	Source, Target string
	Writable       bool
	Command        string
	Args           []string
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
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
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
	if err := checkNoNetwork(); err != nil {
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

// mount makes the file system what the process is to see.
func (n namespace) mount() error {
	if n.Root != "" {
		if err := bind(n.Root, n.Root, false); err != nil {
			return err
		}
	}
	if err := bind(n.Source, filepath.Join(n.Root, n.Target), n.Writable); err != nil {
		return err
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

func checkNoNetwork() error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp != 0 {
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

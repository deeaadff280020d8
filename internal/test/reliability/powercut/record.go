//go:build linux

package powercut

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// harmless are system calls that neither change files nor say what a later call
// means: they are not recorded. Whatever else is called must be known to
// [Disk.apply].
var harmless = strings.Fields(`
	accept4 access arch_prctl bind brk clock_gettime clock_nanosleep connect
	epoll_ctl epoll_pwait epoll_pwait2 epoll_wait exit exit_group faccessat
	faccessat2 fadvise64 flock fstat fstatfs futex getcwd getdents64 getegid geteuid
	getgid getpeername getpid getppid getrandom getsockname getsockopt gettid
	gettimeofday getuid listen lstat madvise membarrier mincore mprotect munmap
	nanosleep newfstatat pipe2 poll ppoll prctl pread64 preadv prlimit64 readlinkat
	recvfrom recvmsg restart_syscall rseq rt_sigaction rt_sigprocmask
	rt_sigreturn sched_getaffinity sched_yield sendmmsg sendmsg sendto
	set_robust_list set_tid_address setitimer setrlimit setsockopt shutdown
	sigaltstack stat statfs statx tgkill timer_create timer_delete
	timer_settime uname`)

// Recording is what a program did below a directory.
type Recording struct {
	// Root is the directory, with no link in its path.
	Root string
	// Before is what was there.
	Before Image

	dir   string
	calls []call
}

// Usable says why strace cannot be used here.
func Usable() error {
	out, err := exec.Command("strace", "-f", "-o", os.DevNull, "true").CombinedOutput()
	if err != nil {
		return fmt.Errorf("strace cannot trace programs here (apt-get install strace; a container must allow ptrace): %w\n%s", err, out)
	}
	return nil
}

// Record runs a command to its end, which must be a good one, and records what
// it does below root. Its umask is 022.
func Record(root string, c *exec.Cmd) (*Recording, error) {
	before, err := Read(root)
	if err != nil {
		return nil, err
	}
	trace, err := os.CreateTemp("", "powercut-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(trace.Name())
	defer trace.Close()
	if err := run(c, trace.Name()); err != nil {
		return nil, err
	}
	calls, err := parse(trace)
	if err != nil {
		return nil, err
	}
	return &Recording{Root: root, Before: before, dir: c.Dir, calls: calls}, nil
}

func run(c *exec.Cmd, trace string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		return err
	}
	traced := exec.Command(self)
	// Strings in full, and as hexadecimal digits, so that nothing in them
	// looks like the rest of a line.
	traced.Args = append([]string{reexecName, strace, "-f", "-xx", "-s", "33554432", "-o", trace,
		"-e", "trace=!?" + strings.Join(harmless, ",?"), c.Path}, c.Args[1:]...)
	traced.Dir, traced.Env = c.Dir, c.Env
	if out, err := traced.CombinedOutput(); err != nil {
		return fmt.Errorf("recording %s: %w\n%s", filepath.Base(c.Path), err, out)
	}
	return nil
}

// reexecName is this program's name when it is to run another one.
const reexecName = "powercut-exec"

func init() {
	if os.Args[0] == reexecName {
		fmt.Fprintln(os.Stderr, execTraceable(os.Args[1:]))
		os.Exit(1)
	}
}

// execTraceable becomes another program, for which there is no fchmodat2: strace
// before version 6.6 does not tell its path, and Go does without.
func execTraceable(args []string) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FCHMODAT2, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("giving up privileges: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return fmt.Errorf("filtering system calls: %w", err)
	}
	syscall.Umask(umask)
	return syscall.Exec(args[0], args, os.Environ())
}

const umask = 0o022

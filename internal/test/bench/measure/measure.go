//go:build linux

// Package measure runs commands, and tells how long they took and how much
// memory they needed.
package measure

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Processors is how many processors the commands get.
const Processors = 2

// product is the module's program.
const product = "github.com/botkube-mirror/botkube-mirror"

// Main parses the flags, builds the product and calls run with it and with a
// directory, which is removed in the end, after an interrupt too.
func Main(run func(ctx context.Context, dir, binary string) error) {
	log.SetFlags(0)
	scratch := flag.String("dir", "", "directory to work in (default: a temporary one)")
	built := flag.String("product", "", "botkube-mirror to measure (default: built from this module, as it is released)")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("unexpected argument %q", flag.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := Within(*scratch, func(dir string) error {
		binary, err := program(ctx, dir, *built)
		if err != nil {
			return err
		}
		return run(ctx, dir, binary)
	})
	if err != nil {
		log.Fatal(err)
	}
}

// program returns the path of the product, which is built unless it is there.
func program(ctx context.Context, dir, built string) (string, error) {
	if built != "" {
		return filepath.Abs(built)
	}
	binary := filepath.Join(dir, "botkube-mirror")
	return binary, build(ctx, dir, "build", "-o", binary, product)
}

// Within calls f with a new directory below dir, and removes it. No dir is that
// of temporary files.
func Within(dir string, f func(dir string) error) error {
	dir, err := os.MkdirTemp(dir, "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	return f(dir)
}

// Install builds the program of another module, as pkg@version, and returns its
// path.
func Install(ctx context.Context, dir, module string) (binary string, err error) {
	pkg, _, _ := strings.Cut(module, "@")
	return filepath.Join(dir, path.Base(pkg)), build(ctx, dir, "install", module)
}

func build(ctx context.Context, dir, verb string, args ...string) error {
	c := exec.CommandContext(ctx, "go", append([]string{verb, "-trimpath", "-ldflags=-s -w"}, args...)...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+dir, "GOTMPDIR="+dir)
	endWithChildren(c)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", args[len(args)-1], cmp.Or(context.Cause(ctx), err), out)
	}
	return nil
}

// Result is what a run took.
type Result struct {
	// Wall is the time that went by, CPU that of the processors.
	Wall, CPU time.Duration
	// Memory is the highest resident size in bytes, or 0 if it says nothing.
	Memory int64
	// Output is what was written to standard output.
	Output []byte
}

// Run runs a command in a directory, on [Processors] processors. What earlier
// commands left to write is written before.
func Run(ctx context.Context, dir, name string, args ...string) (Result, error) {
	cpus, err := processors()
	if err != nil {
		return Result{}, err
	}
	unix.Sync()
	// taskset becomes the command, so that the process is the command's.
	c := Command(ctx, dir, "taskset", append([]string{"-c", cpus, name}, args...)...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	start := time.Now()
	if err := c.Start(); err != nil {
		return Result{}, err
	}
	done := make(chan struct{})
	peak := make(chan int64)
	go func() { peak <- watchMemory(c.Process.Pid, done) }()
	err = c.Wait()
	r := Result{Wall: time.Since(start), Output: stdout.Bytes()}
	close(done)
	r.Memory = <-peak
	r.CPU = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return r, err
}

// Script is Run for a shell script.
func Script(ctx context.Context, dir, script string) (Result, error) {
	r, err := Run(ctx, dir, "bash", "-euo", "pipefail", "-c", script)
	r.Memory = 0 // that of the shell alone
	return r, err
}

// Command returns a command that is killed with all its children once ctx is
// done, and knows no home but dir.
func Command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir, "XDG_CACHE_HOME="+dir+"/.cache", "XDG_DATA_HOME="+dir+"/.data",
		"XDG_CONFIG_HOME="+dir+"/.config", "DOCKER_CONFIG="+dir+"/.docker")
	endWithChildren(c)
	return c
}

// endWithChildren has a command killed with all that it started. An interrupt
// from the terminal does not reach it.
func endWithChildren(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}

// processors lists those that commands may use, as taskset takes them.
func processors() (string, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return "", fmt.Errorf("asking for processors: %w", err)
	}
	var list []string
	for i := 0; len(list) < min(Processors, allowed.Count()); i++ {
		if allowed.IsSet(i) {
			list = append(list, strconv.Itoa(i))
		}
	}
	return strings.Join(list, ","), nil
}

// watchMemory returns the highest resident size of a process in bytes. The one
// that wait4 gives would count what this process had when it forked.
func watchMemory(pid int, done <-chan struct{}) (peak int64) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, rest, found := strings.Cut(string(status), "VmHWM:"); found {
			var kib int64
			fmt.Sscan(rest, &kib)
			peak = max(peak, kib<<10)
		}
		select {
		case <-tick.C:
		case <-done:
			return peak
		}
	}
}

// Warm reads all files at a path, so that none comes from the disk later.
func Warm(ctx context.Context, path string) error {
	return filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		// io.Discard alone would have small buffers.
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 1<<20))
		return err
	})
}

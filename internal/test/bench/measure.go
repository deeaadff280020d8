//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// result is the time and the memory that a run took, and its output.
type result struct {
	wall time.Duration
	// memory is the highest resident size in bytes.
	memory int64
	output []byte
}

// side is one of the programs that are compared.
type side struct {
	name string
	// run runs it once, in a new directory.
	run    func(dir string) (result, error)
	walls  []time.Duration
	memory int64
}

func (s *side) median() time.Duration {
	sorted := slices.Sorted(slices.Values(s.walls))
	return sorted[len(sorted)/2]
}

// compare runs sides in turn, botkube-mirror first, and adds rows to the report. The files at the paths
// warm are in memory before each run.
func (b *bench) compare(row string, warm []string, sides ...*side) error {
	for range b.runs {
		for _, s := range sides {
			for _, path := range warm {
				if err := readAll(path); err != nil {
					return err
				}
			}
			r, err := b.once(s)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", row, s.name, err)
			}
			s.walls, s.memory = append(s.walls, r.wall), max(s.memory, r.memory)
		}
	}
	b.report.compared(row, sides)
	return nil
}

func (b *bench) once(s *side) (result, error) {
	dir, err := os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	unix.Sync()
	return s.run(dir)
}

// command is a side that runs a command. DIR in its arguments is the new directory.
func (b *bench) command(name string, args ...string) *side {
	return &side{name: name, run: func(dir string) (result, error) {
		own := make([]string, len(args))
		for i, a := range args {
			own[i] = strings.ReplaceAll(a, "DIR", dir)
		}
		return b.exec(dir, own...)
	}}
}

// script is a side that runs a shell script.
func (b *bench) script(name, script string) *side {
	s := b.command(name, "bash", "-euo", "pipefail", "-c", script)
	run := s.run
	s.run = func(dir string) (result, error) {
		r, err := run(dir)
		r.memory = 0 // that of the shell alone
		return r, err
	}
	return s
}

// cmd returns a command that knows no home but dir, and is killed with its children.
func (b *bench) cmd(dir string, args ...string) *exec.Cmd {
	c := exec.CommandContext(b.ctx, args[0], args[1:]...)
	c.Dir = dir
	c.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir, "XDG_CACHE_HOME="+dir+"/.cache", "DOCKER_CONFIG="+dir+"/.docker")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	return c
}

// exec runs a command on two processors.
func (b *bench) exec(dir string, args ...string) (result, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return result{}, err
	}
	var cpus []string
	for i := 0; len(cpus) < min(processors, allowed.Count()); i++ {
		if allowed.IsSet(i) {
			cpus = append(cpus, strconv.Itoa(i))
		}
	}
	// taskset becomes the command, so that the process is the command's.
	c := b.cmd(dir, append([]string{"taskset", "-c", strings.Join(cpus, ",")}, args...)...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	start := time.Now()
	if err := c.Start(); err != nil {
		return result{}, err
	}
	done, peak := make(chan struct{}), make(chan int64)
	go func() { peak <- watchMemory(c.Process.Pid, done) }()
	err := c.Wait()
	r := result{wall: time.Since(start), output: stdout.Bytes()}
	close(done)
	r.memory = <-peak
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s%s", strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return r, err
}

const processors = 2

// watchMemory returns the highest resident size of a process in bytes. The one that wait4 gives would
// count what this process had when it forked.
func watchMemory(pid int, done <-chan struct{}) (peak int64) {
	tick := time.NewTicker(2 * time.Millisecond)
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

// readAll reads all files at a path, so that none comes from the disk later.
func readAll(path string) error {
	return filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
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

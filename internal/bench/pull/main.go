//go:build linux

// Command pull measures botkube-mirror pull beside the shell script that a user
// would write for the same job, from a server on this machine. Run it with
//
//	go run ./internal/bench/pull [-plugins 12] [-size 45] [-runs 3]
//
// It needs curl, sha256sum and tar, and prints the wall time of each run, the
// ratio of the medians, and the peak memory of the process.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	plugins := flag.Int("plugins", 12, "number of plugins")
	size := flag.Int("size", 45, "size of a plugin's binary, in MB")
	runs := flag.Int("runs", 3, "runs of each")
	scratch := flag.String("dir", "", "directory to work in (default: a temporary one)")
	flag.Parse()
	if err := run(*plugins, *size, *runs, *scratch); err != nil {
		log.Fatal(err)
	}
}

func run(plugins, size, runs int, scratch string) error {
	dir, err := os.MkdirTemp(scratch, "bench-pull-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "botkube-mirror")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("building: %w\n%s", err, out)
	}
	up, err := makeUpstream(filepath.Join(dir, "upstream"), binary, plugins, size)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(listener, http.FileServer(http.Dir(up.dir)))
	url := "http://" + listener.Addr().String()
	fmt.Printf("%d plugins of %d MB, %.1f MB compressed each\n", plugins, size, float64(up.compressed)/1e6/float64(plugins))

	script := filepath.Join(dir, "mirror.sh")
	if err := os.WriteFile(script, []byte(up.script(url)), 0o755); err != nil {
		return err
	}
	var ours, theirs []time.Duration
	var peak int64
	for i := range runs {
		out := filepath.Join(dir, fmt.Sprint("pull-", i))
		took, memory, err := measure(out, binary, "pull", "--repository", "bench="+url+"/plugins-index.yaml", "--store", out+"/store", "-o", out+"/plugins", "-q")
		if err != nil {
			return err
		}
		ours, peak = append(ours, took), max(peak, memory)
		fmt.Printf("pull    %6.2f s, peak memory %.1f MiB\n", took.Seconds(), float64(memory)/(1<<20))

		out = filepath.Join(dir, fmt.Sprint("script-", i))
		if took, _, err = measure(out, script); err != nil {
			return err
		}
		theirs = append(theirs, took)
		fmt.Printf("script  %6.2f s\n", took.Seconds())
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	fmt.Printf("median ratio pull/script: %.2f, peak memory %.1f MiB\n",
		ours[len(ours)/2].Seconds()/theirs[len(theirs)/2].Seconds(), float64(peak)/(1<<20))
	return nil
}

// measure runs a command in a fresh directory, which it removes, and returns the
// wall time and the peak memory in bytes. What earlier runs left to write is
// written before.
func measure(dir, name string, args ...string) (time.Duration, int64, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	syscall.Sync()
	c := exec.Command(name, args...)
	c.Dir = dir
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	start := time.Now()
	if err := c.Start(); err != nil {
		return 0, 0, err
	}
	done := make(chan struct{})
	peak := make(chan int64)
	go func() { peak <- watchMemory(c.Process.Pid, done) }()
	err := c.Wait()
	took := time.Since(start)
	close(done)
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", name, err, out.Bytes())
	}
	return took, <-peak, err
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

type upstream struct {
	dir        string
	names      []string
	sums       []string
	compressed int64
}

// makeUpstream packs pieces of a real binary, for what is unpacked must be as
// compressible as plugins are.
func makeUpstream(dir, binary string, plugins, size int) (*upstream, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	code, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	up := &upstream{dir: dir}
	var index bytes.Buffer
	index.WriteString("entries:\n")
	for i := range plugins {
		name := fmt.Sprintf("executor_p%02d_linux_amd64", i)
		content := piece(code, i, size*1e6)
		var archive bytes.Buffer
		if err := pack(&archive, name, content); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".tar.gz"), archive.Bytes(), 0o644); err != nil {
			return nil, err
		}
		sum := fmt.Sprintf("%x", sha256.Sum256(archive.Bytes()))
		up.names, up.sums, up.compressed = append(up.names, name), append(up.sums, sum), up.compressed+int64(archive.Len())
		fmt.Fprintf(&index, "    - {name: p%02d, type: executor, version: v1.0.0, urls: [{url: %s.tar.gz, checksum: %s, platform: {os: linux, architecture: amd64}}]}\n", i, name, sum)
	}
	return up, os.WriteFile(filepath.Join(dir, "plugins-index.yaml"), index.Bytes(), 0o644)
}

func piece(code []byte, i, size int) []byte {
	content := fmt.Appendf(nil, "plugin %d", i)
	at := i * 1 << 20 % len(code)
	for len(content) < size {
		n := min(size-len(content), len(code)-at)
		content = append(content, code[at:at+n]...)
		at = 0
	}
	return content
}

func pack(w io.Writer, name string, content []byte) error {
	gz := gzip.NewWriter(w)
	tw := tar.NewWriter(gz)
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
		return err
	}
	if _, err := tw.Write(content); err != nil {
		return err
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return gz.Close()
}

// script is what a user would write: parallel downloads, a check, and
// unpacking on all processors.
func (up *upstream) script(url string) string {
	var s strings.Builder
	s.WriteString("#!/bin/bash\nset -euo pipefail\nmkdir -p archives plugins\ncd archives\ncurl -fsS --parallel --parallel-max 4 \\\n")
	for _, name := range up.names {
		fmt.Fprintf(&s, "  -O %s/%s.tar.gz \\\n", url, name)
	}
	s.WriteString("\nsha256sum -c --quiet <<EOF\n")
	for i, name := range up.names {
		fmt.Fprintf(&s, "%s  %s.tar.gz\n", up.sums[i], name)
	}
	s.WriteString("EOF\nls *.tar.gz | xargs -P \"$(nproc)\" -I{} tar -xzf {} -C ../plugins\n")
	return s.String()
}

//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// upstream is a plugin repository in a directory, and its server.
type upstream struct {
	dir string
	// names are the file names of the archives, sums their SHA-256 in hexadecimal.
	names, sums []string
	size        int64 // of all archives, in bytes
	url         string
	// delay is how long every answer waits, in nanoseconds; requests counts the answers.
	delay    atomic.Int64
	requests atomic.Int64
	// bundle is the path of its bundle, or empty as long as none was made.
	bundle string
}

// repository makes a repository of plugins, once. With programs, the plugins are pieces of a real
// program, so that they can be compressed as plugins can. Without, they cannot be compressed.
func (b *bench) repository(plugins, size int, programs bool, platforms ...string) (*upstream, error) {
	if len(platforms) == 0 {
		platforms = []string{"linux/amd64"}
	}
	count := plugins * len(platforms)
	key := fmt.Sprintf("%d plugins of %d bytes, programs %t, for %s", plugins, size, programs, platforms)
	if up := b.made[key]; up != nil {
		return up, nil
	}
	code, err := os.ReadFile(b.binary)
	if err != nil {
		return nil, err
	}
	up := &upstream{dir: filepath.Join(b.dir, fmt.Sprintf("upstream-%d", len(b.made))), names: make([]string, count), sums: make([]string, count)}
	if err := os.Mkdir(up.dir, 0o755); err != nil {
		return nil, err
	}
	var total atomic.Int64
	group, ctx := errgroup.WithContext(b.ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range count {
		group.Go(func() error {
			content := io.MultiReader(strings.NewReader("#!/bin/sh\n"), rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "plugin %d", i))))
			level := gzip.NoCompression
			if programs {
				level = gzip.DefaultCompression
				at := i << 20 % len(code)
				content = io.MultiReader(bytes.NewReader(code[:4096]), strings.NewReader(fmt.Sprint("plugin ", i)), bytes.NewReader(code[at:]), &repeated{data: code})
			}
			name := fmt.Sprintf("executor_p%04d_%s", i/len(platforms), strings.ReplaceAll(platforms[i%len(platforms)], "/", "_"))
			packed, sum, err := pack(name, io.LimitReader(content, int64(size)), int64(size), level)
			if err != nil || ctx.Err() != nil {
				return err
			}
			total.Add(int64(len(packed)))
			up.names[i], up.sums[i] = name+".tar.gz", sum
			return os.WriteFile(filepath.Join(up.dir, up.names[i]), packed, 0o644)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	up.size = total.Load()
	var index bytes.Buffer
	index.WriteString("entries:\n")
	for i, name := range up.names {
		if i%len(platforms) == 0 {
			fmt.Fprintf(&index, "    - name: p%04d\n      type: executor\n      version: v1.0.0\n      urls:\n", i/len(platforms))
		}
		system, arch, _ := strings.Cut(platforms[i%len(platforms)], "/")
		fmt.Fprintf(&index, "        - {url: %s, checksum: %s, platform: {os: %s, architecture: %s}}\n", name, up.sums[i], system, arch)
	}
	if err := os.WriteFile(filepath.Join(up.dir, "plugins-index.yaml"), index.Bytes(), 0o644); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	files := http.FileServer(http.Dir(up.dir))
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up.requests.Add(1)
		time.Sleep(time.Duration(up.delay.Load()))
		files.ServeHTTP(w, r)
	}))
	up.url = "http://" + listener.Addr().String()
	b.made[key] = up
	return up, nil
}

// repeated reads data again and again.
type repeated struct {
	data []byte
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.data[r.at:])
	r.at = (r.at + n) % len(r.data)
	return n, nil
}

// pack returns an archive with one file.
func pack(name string, content io.Reader, size int64, level int) (packed []byte, sum string, err error) {
	var out bytes.Buffer
	gz, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		return nil, "", err
	}
	tw := tar.NewWriter(gz)
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: size}); err != nil {
		return nil, "", err
	}
	if _, err := io.Copy(tw, content); err != nil {
		return nil, "", err
	}
	if err := tw.Close(); err != nil {
		return nil, "", err
	}
	err = gz.Close()
	return out.Bytes(), fmt.Sprintf("%x", sha256.Sum256(out.Bytes())), err
}

// pull returns the command with which the product pulls all of a repository.
func (b *bench) pull(up *upstream, store, output string, more ...string) []string {
	args := []string{b.binary, "pull", "--store", store, "-o", output, "-q"}
	if len(more) == 0 || more[0] != "--lock" {
		args = append(args, "--repository", "bench="+up.url+"/plugins-index.yaml")
	}
	return append(args, more...)
}

// bundled makes the [bench.repository] of 12 plugins of 20 MB each and its bundle, once.
func (b *bench) bundled(programs bool) (*upstream, error) {
	up, err := b.repository(12, 20e6, programs)
	if err != nil || up.bundle != "" {
		return up, err
	}
	store := up.dir + "-store"
	defer os.RemoveAll(store)
	bundle := up.dir + "-bundle.tar"
	if _, err := b.exec(b.dir, b.pull(up, store, bundle)...); err != nil {
		return nil, err
	}
	up.bundle = bundle
	return up, nil
}

// curl is the script that downloads all archives to the current directory.
func (up *upstream) curl() string {
	var s strings.Builder
	s.WriteString("curl -fsS --parallel --parallel-max 4")
	for _, name := range up.names {
		fmt.Fprintf(&s, " \\\n  -O %s/%s", up.url, name)
	}
	return s.String() + "\n"
}

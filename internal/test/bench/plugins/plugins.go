//go:build linux

// Package plugins makes plugin repositories to measure with.
package plugins

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/measure"
)

// Shape says what is in a repository.
type Shape struct {
	// Count is the number of plugins, Size that of bytes in each.
	Count, Size int
	// Platforms are linux/amd64 if empty.
	Platforms []string
}

// Flags registers the flags -plugins, and -size in MB. The shape is that of
// the flags once parse is called.
func Flags(count int) (parse func() Shape) {
	plugins := flag.Int("plugins", count, "number of plugins")
	size := flag.Int("size", 45, "size of a plugin's binary, in MB")
	return func() Shape { return Shape{Count: *plugins, Size: *size * 1e6} }
}

// Repository is a plugin repository in a directory.
type Repository struct {
	Dir string
	// Archives are the names of the archives, SHA256 their sums.
	Archives, SHA256 []string
	// Size is that of all archives.
	Size      int64
	platforms []string
	// URL is that of a server, once [Repository.Serve] was called.
	URL string
}

// Random makes a repository of plugins that no compression makes smaller, in
// archives that do not try.
func Random(ctx context.Context, dir string, shape Shape) (*Repository, error) {
	return write(ctx, dir, shape, gzip.NoCompression, func(i int) io.Reader {
		return rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "plugin %d", i)))
	})
}

// Programs makes a repository of pieces of a real program, for what is unpacked
// must be as compressible as plugins are.
func Programs(ctx context.Context, dir, program string, shape Shape) (*Repository, error) {
	code, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	return write(ctx, dir, shape, gzip.DefaultCompression, func(i int) io.Reader {
		salt := strings.NewReader(fmt.Sprintf("plugin %d", i))
		return io.MultiReader(salt, &repeated{data: code, at: i << 20 % len(code)})
	})
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

// until reads until ctx is done.
type until struct {
	ctx context.Context
	r   io.Reader
}

func (u until) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}

// Files makes a repository of plugins that are no archives, of these sizes in bytes.
func Files(dir string, sizes []int) (*Repository, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	r := &Repository{Dir: dir, platforms: []string{"linux/amd64"}}
	for i, size := range sizes {
		data := make([]byte, size)
		_, _ = rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "file %d", i))).Read(data) // never fails
		name := fmt.Sprintf("executor_p%02d_linux_amd64", i)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return nil, err
		}
		r.Archives, r.SHA256 = append(r.Archives, name), append(r.SHA256, fmt.Sprintf("%x", sha256.Sum256(data)))
		r.Size += int64(size)
	}
	return r, os.WriteFile(filepath.Join(dir, "plugins-index.yaml"), r.index(), 0o644)
}

func write(ctx context.Context, dir string, shape Shape, level int, content func(i int) io.Reader) (*Repository, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if len(shape.Platforms) == 0 {
		shape.Platforms = []string{"linux/amd64"}
	}
	count := shape.Count * len(shape.Platforms)
	r := &Repository{Dir: dir, Archives: make([]string, count), SHA256: make([]string, count), platforms: shape.Platforms}
	sizes := make([]int64, count)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range count {
		group.Go(func() (err error) {
			platform := shape.Platforms[i%len(shape.Platforms)]
			name := fmt.Sprintf("executor_p%02d_%s", i/len(shape.Platforms), strings.ReplaceAll(platform, "/", "_"))
			r.Archives[i] = name + ".tar.gz"
			r.SHA256[i], sizes[i], err = pack(filepath.Join(dir, r.Archives[i]), name, until{ctx, content(i)}, int64(shape.Size), level)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, size := range sizes {
		r.Size += size
	}
	fmt.Printf("%d plugins of %g MB, %.1f MB in archives each\n", shape.Count, float64(shape.Size)/1e6, float64(r.Size)/1e6/float64(shape.Count))
	return r, os.WriteFile(filepath.Join(dir, "plugins-index.yaml"), r.index(), 0o644)
}

func (r *Repository) index() []byte {
	var index bytes.Buffer
	index.WriteString("entries:\n")
	for i, archive := range r.Archives {
		if i%len(r.platforms) == 0 {
			fmt.Fprintf(&index, "    - name: p%02d\n      type: executor\n      version: v1.0.0\n      urls:\n", i/len(r.platforms))
		}
		os, arch, _ := strings.Cut(r.platforms[i%len(r.platforms)], "/")
		fmt.Fprintf(&index, "        - {url: %s, checksum: %s, platform: {os: %s, architecture: %s}}\n", archive, r.SHA256[i], os, arch)
	}
	return index.Bytes()
}

// pack writes an archive with one file.
func pack(path, name string, content io.Reader, size int64, level int) (sum string, packed int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	hash := sha256.New()
	gz, err := gzip.NewWriterLevel(io.MultiWriter(f, hash), level)
	if err != nil {
		return "", 0, err
	}
	tw := tar.NewWriter(gz)
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: size}); err != nil {
		return "", 0, err
	}
	if _, err := io.CopyN(tw, content, size); err != nil {
		return "", 0, err
	}
	if err := tw.Close(); err != nil {
		return "", 0, err
	}
	if err := gz.Close(); err != nil {
		return "", 0, err
	}
	packed, err = f.Seek(0, io.SeekCurrent)
	if err != nil {
		return "", 0, err
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), packed, f.Close()
}

// Serve serves the repository on loopback until the program ends.
func (r *Repository) Serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(listener, http.FileServer(http.Dir(r.Dir)))
	r.URL = "http://" + listener.Addr().String()
	return nil
}

// Pull returns the arguments with which the product pulls everything through a
// store.
func (r *Repository) Pull(store, output string) []string {
	return []string{"pull", "--repository", "bench=" + r.URL + "/plugins-index.yaml", "--store", store, "-o", output, "--format", "json", "-q"}
}

// Bundle makes a bundle of the repository in a directory, and nothing else.
func (r *Repository) Bundle(ctx context.Context, dir, product string) (path string, err error) {
	if err := r.Serve(); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "bundle.tar")
	return path, measure.Within(dir, func(work string) error {
		_, err := measure.Run(ctx, work, product, r.Pull(filepath.Join(work, "store"), path)...)
		return err
	})
}

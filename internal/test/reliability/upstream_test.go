//go:build unix

package reliability

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// writeUpstream makes a plugin repository in a directory: so many plugins for
// linux/amd64, each an archive of a random program of size bytes with a
// checksum in the index, and an unverified dependency of the same size
// The content is the same every time.
func writeUpstream(t testing.TB, dir string, plugins, size int) {
	t.Helper()
	index := bytes.NewBufferString("entries:\n")
	for i := range plugins {
		name := fmt.Sprintf("executor_p%02d_linux_amd64", i)
		archive := pack(t, name, randomBytes(name, size))
		writeFile(t, filepath.Join(dir, name+".tar.gz"), archive)
		dependency := fmt.Sprintf("tool%02d", i)
		writeFile(t, filepath.Join(dir, dependency), randomBytes(dependency, size))
		fmt.Fprintf(index, "  - {name: p%02d, type: executor, version: v1.0.0, urls: [{url: %s.tar.gz, checksum: %x, platform: {os: linux, architecture: amd64}, dependencies: {%s: {url: %s}}}]}\n",
			i, name, sha256.Sum256(archive), dependency, dependency)
	}
	writeFile(t, filepath.Join(dir, "plugins-index.yaml"), index.Bytes())
}

// randomBytes returns bytes that depend on the seed alone and cannot be compressed.
func randomBytes(seed string, size int) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(data) // it never fails
	return data
}

// pack returns an archive with one file.
func pack(t testing.TB, name string, data []byte) []byte {
	t.Helper()
	var archive bytes.Buffer
	gz := gzip.NewWriter(&archive)
	tw := tar.NewWriter(gz)
	check(t, tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}))
	_, err := tw.Write(data)
	check(t, err)
	check(t, tw.Close())
	check(t, gz.Close())
	return archive.Bytes()
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(t, os.WriteFile(path, data, 0o644))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

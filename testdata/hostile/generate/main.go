// Command generate writes files that mean no good: archives, indexes, locks,
// bundles and images, for package reliability to feed to the program. From the
// root of the repository:
//
//	go run ./testdata/hostile/generate [DIR]
//
// It always writes the same bytes. What is large and dull is written through
// gzip, with .gz at the end of its name, which tests take away again. Nothing in
// it does harm: what would be written elsewhere is empty or a greeting.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/gzip"
)

func main() {
	dir := filepath.Join("testdata", "hostile")
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	t := tree{}
	t.archives()
	t.indexes()
	t.locks()
	t.bundles()
	t.images()
	t.write(dir)
}

// tree is the corpus: content by slash-separated path.
type tree map[string][]byte

// add puts a file in, compressed if it has more than 2 KiB.
func (t tree) add(name string, content []byte) {
	if len(content) > 2<<10 {
		name, content = name+".gz", gzipped(content)
	}
	t.keep(name, content)
}

// keep puts a file in as it is.
func (t tree) keep(name string, content []byte) {
	if _, twice := t[name]; twice || len(content) > 64<<10 {
		panic(fmt.Sprintf("%s stands twice, or has %d bytes, which is too much", name, len(content)))
	}
	t[name] = content
}

// write replaces what an earlier run wrote, so that no stale file stays.
func (t tree) write(dir string) {
	for _, own := range []string{"archives", "bundles", "images", "indexes", "locks"} {
		check(os.RemoveAll(filepath.Join(dir, own)))
	}
	for name, content := range t {
		file := filepath.Join(dir, filepath.FromSlash(name))
		check(os.MkdirAll(filepath.Dir(file), 0o755))
		check(os.WriteFile(file, content, 0o644))
	}
}

// gzipped compresses with a library of a fixed version: Go's own may write other
// bytes tomorrow.
func gzipped(content []byte) []byte {
	var out bytes.Buffer
	w := must(gzip.NewWriterLevel(&out, gzip.BestCompression))
	_ = must(w.Write(content))
	check(w.Close())
	return out.Bytes()
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// Command generate writes two upstreams of plugins: testdata/upstream, which the tests use, and
// testdata/demo, which the README uses. From the root of the repository:
//
//	go run ./testdata/upstream/generate [-size BYTES] [TESTDATA]
//
// It always writes the same bytes. With -size, the demo's programs are about that large.
package main

import (
	"flag"
	"os"
	"path/filepath"
)

func main() {
	size := flag.Int("size", 0, "size of the demo's programs")
	flag.Parse()
	dir := "testdata"
	if flag.NArg() > 0 {
		dir = flag.Arg(0)
	}
	t := tree{}
	buildMain(t)
	buildExtra(t)
	t.write(filepath.Join(dir, "upstream"))
	t = tree{}
	demo{size: *size}.build(t)
	t.write(filepath.Join(dir, "demo"))
}

// tree is an upstream: content by slash-separated path.
type tree map[string][]byte

// write replaces what an earlier run wrote, so that no stale file stays.
func (t tree) write(dir string) {
	check(os.MkdirAll(dir, 0o755))
	for _, e := range must(os.ReadDir(dir)) {
		if e.Name() != "generate" && e.Name() != ".gitattributes" {
			check(os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	for name, content := range t {
		file := filepath.Join(dir, filepath.FromSlash(name))
		check(os.MkdirAll(filepath.Dir(file), 0o755))
		check(os.WriteFile(file, content, 0o644))
	}
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

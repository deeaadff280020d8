// Command generate writes the plugin upstream that the tests and the first
// command of the README use. From the root of the repository:
//
//	go run ./testdata/upstream/generate [DIR]
//
// It always writes the same bytes.
package main

import (
	"os"
	"path/filepath"
)

func main() {
	dir := filepath.Join("testdata", "upstream")
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	t := tree{}
	buildMain(t)
	buildExtra(t)
	t.write(dir)
}

// tree is the upstream: content by slash-separated path.
type tree map[string][]byte

// write replaces what an earlier run wrote, so that no stale file stays.
func (t tree) write(dir string) {
	for _, own := range []string{"archives", "dependencies", "extra", "schemas"} {
		check(os.RemoveAll(filepath.Join(dir, own)))
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

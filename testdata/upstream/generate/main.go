// Command generate writes the plugin upstream that the tests and the first
// command of the README use. From the root of the repository:
//
//	go run ./testdata/upstream/generate [DIR]
//
// It always writes the same bytes.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := filepath.Join("testdata", "upstream")
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := run(dir); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	t := tree{}
	if err := buildMain(t); err != nil {
		return err
	}
	if err := buildExtra(t); err != nil {
		return err
	}
	return t.write(dir)
}

// tree is the upstream: content by slash-separated path.
type tree map[string][]byte

// write replaces what an earlier run wrote, so that no stale file stays.
func (t tree) write(dir string) error {
	for _, own := range []string{"archives", "dependencies", "extra", "schemas"} {
		if err := os.RemoveAll(filepath.Join(dir, own)); err != nil {
			return err
		}
	}
	for name, content := range t {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

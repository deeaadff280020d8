// Package program builds the program for tests that start it.
package program

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Main runs the tests of a package of internal/test, which find the program at a
// path, and ends the process.
func Main(m *testing.M, program *string) {
	code, err := buildAndRun(m, program)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M, program *string) (int, error) {
	dir, err := os.MkdirTemp("", "programtest-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	*program = filepath.Join(dir, "botkube-mirror")
	if err := Build(*program); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// Build writes the program to a file, for a test of a package of internal/test.
func Build(file string) error {
	// To link takes seconds. What go run has linked, unlike go build, it keeps; here
	// it is copied rather than run.
	build := exec.Command("go", "run", "-exec", "cp", "github.com/botkube-mirror/botkube-mirror", file)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return noteSources()
}

// noteSources reads the directories of the program's sources. go test notes which
// directories a test reads, and takes its result from the cache only while their files
// are the same. To import the program does so too, but then each test links it again.
func noteSources() error {
	root := filepath.Join("..", "..", "..")
	for _, sources := range []string{"go.mod", "main.go", "cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, sources), func(_ string, _ fs.DirEntry, err error) error { return err })
		if err != nil {
			return err
		}
	}
	return nil
}

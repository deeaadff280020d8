// Package program builds the program for tests that start it.
package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	// So that a result that go test has in its cache is that of the same program.
	_ "github.com/botkube-mirror/botkube-mirror/cmd"
)

// Main runs the tests of a package, which find the program at a path, and ends
// the process.
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
	// To link takes seconds. What go run has linked, unlike go build, it keeps; here
	// it is copied rather than run.
	build := exec.Command("go", "run", "-exec", "cp", "github.com/botkube-mirror/botkube-mirror", *program)
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return m.Run(), nil
}

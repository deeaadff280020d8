//go:build linux

package secrecy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	// So that a result that go test has in its cache is that of the same program.
	_ "github.com/botkube-mirror/botkube-mirror/cmd"
)

// product is the path of the program under test.
var product string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "secrecy-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	product = filepath.Join(dir, "botkube-mirror")
	build := exec.Command("go", "build", "-o", product, "github.com/botkube-mirror/botkube-mirror")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return m.Run(), nil
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

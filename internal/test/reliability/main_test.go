//go:build unix

package reliability

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/test/program"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// product is the path of the program under test.
var product string

// thorough has everything tried, as in CI. Otherwise the tests that start the
// program hundreds of times try a part of it.
var thorough = tier.Thorough() || os.Getenv(updateEnv) != ""

// left reports whether the nth of many cases is left out, where one of so many
// is enough.
func left(n, of int) bool { return !thorough && n%of != 0 }

func TestMain(m *testing.M) {
	if raceEnabled {
		// The detector would see only the tests, and not the program, for minutes.
		fmt.Println("left out: the program under test is another process")
		return
	}
	tier.LetWait()
	program.Main(m, &product)
}

// outcome is how a run of the program ended.
type outcome struct {
	// code is the exit code, or -1 after a signal.
	code           int
	stdout, stderr string
}

// command returns the program with arguments, as a user without any settings
// of his own would start it.
func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(product, args...)
	c.Dir = t.TempDir()
	c.Env = []string{"HOME=" + c.Dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + c.Dir}
	return c
}

// run runs the program to its end.
func run(t testing.TB, args ...string) outcome {
	t.Helper()
	return finish(t, command(t, args...))
}

// finish runs a command to its end.
func finish(t testing.TB, c *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return outcome{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

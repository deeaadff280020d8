// Package tier says how much the tests try. There are two tiers.
//
// The default one is what go test ./... runs: every command, and every rule by
// an example or two, within a minute. What it needs and does not find on this
// machine, such as a registry, it skips.
//
// The thorough one also tries what takes long: every flipped bit, hundreds of
// kills and power cuts, all hostile files, registries of every kind. CI runs it,
// and so it skips nothing: what is missing on the machine fails the test.
package tier

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

// Env is the environment variable that turns the thorough tier on when it is 1.
const Env = "MIRROR_TEST_REQUIRE"

// Thorough reports whether the thorough tier runs.
func Thorough() bool { return os.Getenv(Env) == "1" }

// SkipUnlessThorough skips a test that belongs to the thorough tier only.
func SkipUnlessThorough(t testing.TB) {
	t.Helper()
	if !Thorough() {
		t.Skip("for the thorough tier: " + Env + "=1")
	}
}

// memory is a directory whose files Linux keeps in memory, roomEnough what the tests
// of all packages may take of it.
const (
	memory     = "/dev/shm"
	roomEnough = 4 << 30
)

// In the default tier the files of tests are in memory, where there is room: they
// are small and many, and nobody's. The thorough tier has them on a disk.
func init() {
	if Thorough() || os.Getenv("GOTMPDIR") != "" || os.Getenv("TMPDIR") != "" {
		return
	}
	if room, ok := disk.SpaceAt(memory); ok && room.Free >= roomEnough && runsPrograms(memory) {
		_ = os.Setenv("GOTMPDIR", memory) // where T.TempDir is
	}
}

// runsPrograms reports whether a program that is written to a directory can be started from there:
// containers and hardened machines often mount memory with noexec.
func runsPrograms(dir string) bool {
	f, err := os.CreateTemp(dir, "tier-")
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	if errors.Join(f.Chmod(0o700), f.Close()) != nil {
		return false
	}
	_, err = exec.LookPath(f.Name()) // which asks the system
	return err == nil
}

// Pick returns one of two numbers, the first in the default tier.
func Pick(byDefault, thorough int) int {
	if Thorough() {
		return thorough
	}
	return byDefault
}

// LetWait has at least eight tests run at a time, unless the command line says how
// many. It is for packages whose tests often wait, for a server that stalls or for
// the next try, and is called before the command line is read.
func LetWait() {
	if runtime.GOMAXPROCS(0) < 8 {
		_ = flag.Set("test.parallel", "8")
	}
}

// RunWaiting runs the tests of a package with [LetWait]. It returns the exit code,
// which is 1 too if goroutines are left at the end.
func RunWaiting(m *testing.M) int {
	LetWait()
	before := runtime.NumGoroutine()
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	for range 1200 {
		if code != 0 || runtime.NumGoroutine() <= before {
			return code
		}
		time.Sleep(50 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	fmt.Fprintf(os.Stderr, "goroutines are left:\n%s\n", buf[:runtime.Stack(buf, true)])
	return 1
}

// Missing ends a test that lacks something on this machine: the default tier
// skips it, the thorough one fails.
func Missing(t testing.TB, what any) {
	t.Helper()
	if Thorough() {
		t.Fatal(what)
	}
	t.Skip(what)
}

// Program returns the path of a program, and ends the test where it is [Missing].
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, err)
	}
	return path
}

// Expected reports whether a test may count on a program. In the thorough tier
// it must, even where the program is missing, and so fails for want of it.
func Expected(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil || Thorough()
}

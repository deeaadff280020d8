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
	"os"
	"os/exec"
	"testing"
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

// Pick returns one of two numbers, the first in the default tier.
func Pick(byDefault, thorough int) int {
	if Thorough() {
		return thorough
	}
	return byDefault
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

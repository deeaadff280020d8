//go:build linux

package secrecy

import (
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/test/program"
)

// product is the path of the program under test.
var product string

func TestMain(m *testing.M) { program.Main(m, &product) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

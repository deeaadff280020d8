package entry

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

func TestParseSums(t *testing.T) {
	a, b := lock.Sum([]byte("a")), lock.Sum([]byte("b"))
	whole := Sums{"a": a, "b/c  d": b}
	got, err := ParseSums(whole.Marshal())
	if err != nil || len(got) != 2 || got["a"] != a || got["b/c  d"] != b {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"\n", a.String(), a.String() + " a\n", strings.ToUpper(a.String()) + "x  a\n", a.String() + "  a\n" + b.String() + "  a\n"} {
		if got, err := ParseSums([]byte(text)); err == nil {
			t.Errorf("%q gives %v", text, got)
		}
	}
}

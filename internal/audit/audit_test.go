package audit

import (
	"slices"
	"testing"
)

func TestProblemsTwice(t *testing.T) {
	var r Report
	p := Problem{Kind: KindMissing, Path: "a", Detail: "it is missing"}
	r.Fail(p)
	r.Fail(p)
	for range 2 {
		if got := r.Problems(); !slices.Equal(got, []Problem{p}) {
			t.Errorf("problems %v", got)
		}
	}
}

package audit

import (
	"fmt"
	"testing"
)

// A file that is intact is no problem; any other is one.
func TestAdd(t *testing.T) {
	t.Parallel()
	r := new(Report)
	r.Add(File{Path: "good", State: Intact}, "")
	r.Add(File{Path: "bad", State: "damaged"}, "other bytes")
	r.Add(File{Path: "none"}, "")
	var got []string
	for _, p := range r.Problems() {
		got = append(got, fmt.Sprintf("%s %s %s", p.Kind, p.Path, p.Detail))
	}
	if want := "[ none  damaged bad other bytes]"; fmt.Sprint(got) != want {
		t.Errorf("%q", got)
	}
	if n := len(r.Files()); n != 3 {
		t.Errorf("%d files", n)
	}
}

package cmd

import (
	"strings"
	"testing"
	"unicode"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

// TestSummariesAreText checks that names in a mirror can neither control a terminal nor look like a
// line that botkube-mirror wrote.
func TestSummariesAreText(t *testing.T) {
	const bad = "a\x1b[2J\r\u202e\u0085b\nmirror: complete"
	v := &mirror.Verification{
		Target: "mirror", Kind: "image", Mount: bad, BaseURL: bad,
		Files:    []audit.File{{Path: bad, Content: bad, State: audit.Intact}},
		Problems: []audit.Problem{{Kind: audit.KindUnexpected, Path: bad, Detail: bad}},
		Agents:   []audit.Prediction{{External: []audit.Call{{Plugin: bad, Dependency: bad, URL: bad, Because: bad}}, Failures: []string{bad}}},
		Notes:    []string{bad},
	}
	out := &layout{width: 80}
	writeVerification(out, v, true)
	text := out.String() + listSummaryOf(bad)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "mirror: complete") || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", line)
		}
	}
	if n := strings.Count(text, `a\x1b[2J\x0d\u202e\u0085b`); n != 14 {
		t.Errorf("%d of 14 are shown:\n%s", n, text)
	}
}

// listSummaryOf returns the text of list for an image with a tag and a mount.
func listSummaryOf(said string) string {
	out := &layout{width: 80}
	listSummary(out, &mirror.Listing{Identity: mirror.Identity{Kind: "image", Tag: said}, Mount: said})
	return out.String()
}

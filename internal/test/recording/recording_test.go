//go:build linux

package main

import (
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/test/program"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

const root = "../../.."

// TestRecordingIsCurrent fails when the commands of docs/recording.svg print something else now.
func TestRecordingIsCurrent(t *testing.T) {
	tier.SkipUnlessThorough(t)
	scratch := t.TempDir()
	check(t, os.Mkdir(filepath.Join(scratch, "bin"), 0o755))
	check(t, program.Build(filepath.Join(scratch, "bin", "botkube-mirror")))
	generate := exec.Command("go", "run", root+"/testdata/upstream/generate", "-size", sizeOfPrograms, scratch)
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w, err := newWorld(filepath.Join(scratch, "demo"), t.TempDir(), filepath.Join(scratch, "bin"), 0)
	check(t, err)
	t.Cleanup(w.close)
	s, err := w.record(story)
	check(t, err)
	svg, err := os.ReadFile(root + "/docs/recording.svg")
	check(t, err)
	got, want := lines(s.transcript()), lines(recorded(string(svg)))
	if !slices.Equal(got, want) {
		t.Errorf("docs/recording.svg is stale: go run ./internal/test/recording\nit shows\n%s\nthe program prints\n%s",
			strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

var (
	texts = regexp.MustCompile(`<text[^>]*>(.*)</text>`)
	tags  = regexp.MustCompile(`<[^>]*>`)
	times = regexp.MustCompile(`[0-9.]+s(, [0-9.]+ [KM]iB/s)?`)
)

// recorded returns the lines that a recording ends with.
func recorded(svg string) string {
	var out strings.Builder
	end, _, _ := strings.Cut(svg, motion)
	for _, m := range texts.FindAllStringSubmatch(end, -1) {
		out.WriteString(html.UnescapeString(tags.ReplaceAllString(m[1], "")) + "\n")
	}
	return out.String()
}

// lines returns what lines say, without times and indentation.
func lines(text string) (all []string) {
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(times.ReplaceAllString(line, "TIME")); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

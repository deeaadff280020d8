package cmd

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCompatibility wants every row of docs/reference/compatibility.md to name a test that
// there is.
func TestCompatibility(t *testing.T) {
	data, err := os.ReadFile(filepath.FromSlash("../docs/reference/compatibility.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows, _, found := strings.Cut(string(data), "\n## Known not to work\n")
	if !found {
		t.Fatal("the last section is missing")
	}
	tests := testNames(t)
	for row := range strings.Lines(rows) {
		row = strings.TrimSpace(row)
		if !strings.HasPrefix(row, "| ") || strings.HasSuffix(row, "| test |") {
			continue
		}
		cells := strings.Split(strings.Trim(row, "|"), " | ")
		named := regexp.MustCompile("`(?:[a-z]+: )?(?:testdata/script/)?([A-Za-z0-9]+)(?:\\.txtar)?`").FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(named) == 0 {
			t.Errorf("it names no test: %s", row)
		}
		for _, m := range named {
			if !tests[m[1]] {
				t.Errorf("there is no test %s: %s", m[1], row)
			}
		}
	}
}

// testNames returns the names of all tests and scripts.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case strings.HasSuffix(path, ".txtar"):
			names[strings.TrimSuffix(d.Name(), ".txtar")] = true
		case strings.HasSuffix(path, "_test.go"):
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range function.FindAllStringSubmatch(string(data), -1) {
				names[m[1]] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

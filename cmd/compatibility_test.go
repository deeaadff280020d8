package cmd

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCompatibility checks that every row of the tables in docs/reference/compatibility that
// have a column of tests names one that exists.
func TestCompatibility(t *testing.T) {
	pages, err := filepath.Glob(filepath.FromSlash("../docs/reference/compatibility/*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("there are no pages: %v", err)
	}
	tests := testNames(t)
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		tested := false
		for row := range strings.Lines(string(data)) {
			row = strings.TrimSpace(row)
			switch {
			case !strings.HasPrefix(row, "|"):
				tested = false
				continue
			case strings.HasSuffix(row, "| test |"):
				tested = true
				continue
			case !tested || strings.HasPrefix(row, "|---"):
				continue
			}
			cells := strings.Split(strings.Trim(row, "|"), " | ")
			named := testName.FindAllStringSubmatch(cells[len(cells)-1], -1)
			if len(named) == 0 {
				t.Errorf("%s: this row names no test: %s", page, row)
			}
			for _, m := range named {
				if !tests[m[1]] {
					t.Errorf("%s: there is no test %s: %s", page, m[1], row)
				}
			}
		}
	}
}

// testName finds a test in the last column of a table.
var testName = regexp.MustCompile("`(?:[a-z]+: )?(?:testdata/script/)?([A-Za-z0-9]+)(?:\\.txtar)?`")

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

package cmd

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestArchitecturePages checks that files which the pages name are there, and that
// each decision that the one page lists stands in the other.
func TestArchitecturePages(t *testing.T) {
	t.Parallel()
	var files []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			files = append(files, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(files, "\n") + "\n"
	pages := map[string]string{}
	for _, page := range []string{"architecture.md", "decisions.md"} {
		data, err := os.ReadFile(filepath.Join("..", "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		pages[page] = string(data)
		for _, m := range regexp.MustCompile("`((?:[a-z]+/)+[a-z_]+\\.go)`").FindAllStringSubmatch(string(data), -1) {
			// manager.go is the agent's.
			if !strings.Contains(all, "/"+m[1]+"\n") && !strings.HasPrefix(m[1], "pkg/") {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
	decisions := regexp.MustCompile(`<a id="(d\d+)">`).FindAllStringSubmatch(pages["decisions.md"], -1)
	for _, d := range decisions {
		if !strings.Contains(pages["architecture.md"], "(decisions.md#"+d[1]+")") {
			t.Errorf("architecture.md does not list the decision %s", d[1])
		}
	}
	if linked := strings.Count(pages["architecture.md"], "(decisions.md#"); linked != len(decisions) {
		t.Errorf("%d decisions are linked, and there are %d", linked, len(decisions))
	}
}

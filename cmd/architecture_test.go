package cmd

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestArchitecturePages checks that the files that these pages name exist, and that the
// index of the decisions lists each of them once, on its page.
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
	pages, err := filepath.Glob(filepath.FromSlash("../docs/decisions/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	decision := regexp.MustCompile(`<a id="(d\d+)">`)
	var index string
	var links []string
	for _, page := range append(pages, filepath.FromSlash("../docs/architecture.md")) {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`((?:[a-z]+/)+[a-z_]+\\.go)`").FindAllStringSubmatch(string(data), -1) {
			// manager.go is the agent's.
			if !strings.Contains(all, "/"+m[1]+"\n") && !strings.HasPrefix(m[1], "pkg/") {
				t.Errorf("%s names %s, which does not exist", page, m[1])
			}
		}
		name := filepath.Base(page)
		if name == "README.md" {
			index = string(data)
		}
		for _, m := range decision.FindAllStringSubmatch(string(data), -1) {
			links = append(links, "("+name+"#"+m[1]+")")
		}
	}
	for _, link := range links {
		if strings.Count(index, link) != 1 {
			t.Errorf("docs/decisions/README.md does not list %s once", link)
		}
	}
	if linked := strings.Count(index, ".md#d"); linked != len(links) {
		t.Errorf("docs/decisions/README.md lists %d decisions, and there are %d", linked, len(links))
	}
}

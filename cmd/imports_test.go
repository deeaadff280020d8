package cmd

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/botkube-mirror/botkube-mirror/"

// base has the packages that all others may import.
var base = []string{"disk", "fault", "filelock", "lazyregexp", "textfile", "spelling"}

// below says which parts of internal a part may import beside [base] and itself: the
// arrows of the picture in docs/architecture.md.
var below = map[string][]string{
	"mirror":     {"values", "push", "serve", "form", "remote", "content", "audit", "botkube"},
	"values":     {"push", "form", "remote", "content", "audit", "botkube"},
	"push":       {"form", "remote", "content", "botkube"},
	"serve":      {"form", "remote", "content", "botkube"},
	"form":       {"content", "audit", "botkube"},
	"remote":     {"content", "botkube"},
	"audit":      {"content", "botkube"},
	"content":    {"botkube"},
	"configfile": {},
	"botkube":    {},
	"disk":       {}, "fault": {}, "filelock": {}, "lazyregexp": {}, "textfile": {}, "spelling": {},
}

// importers says which packages alone may import something, so that its use is in one place.
var importers = map[string][]string{
	"github.com/minio/minio-go":              {"internal/remote/fetch"},
	"golang.org/x/crypto/bcrypt":             {"internal/serve"},
	"golang.org/x/oauth2":                    {"internal/remote/fetch"},
	"github.com/mholt/archiver":              {"internal/content/archive"},
	"github.com/google/go-containerregistry": {"internal/form/bundle", "internal/form/image", "internal/form/oci", "internal/test/script"},
	"golang.org/x/crypto/x509roots":          {"internal/remote/transfer"},
	"github.com/spf13/cobra":                 {"cmd"},
	// No expression is compiled at start-up. The configuration file has patterns in a table.
	"regexp":                         {"internal/lazyregexp", "internal/configfile", "internal/test/registrytest", "internal/test/script", "internal/test/reliability/powercut"},
	"github.com/schollz/progressbar": {"cmd"},
	module + "cmd":                   {"."},
	module + "internal/mirror":       {"cmd"},
	module + "internal/configfile":   {"cmd"},
	// The commands know no form: they ask the list of all.
	module + "internal/form/forms":    {"cmd", "internal/mirror"},
	module + "internal/form/dir":      {"internal/form/forms"},
	module + "internal/form/lockfile": {"internal/form/forms"},
	module + "internal/form/site":     {"internal/form/forms", "internal/form/dir", "internal/serve", "internal/values", "cmd"},
	module + "internal/form/bundle":   {"internal/form/forms", "internal/form/image", "internal/push"},
	module + "internal/form/image":    {"internal/form/forms", "internal/push", "cmd"},
}

// TestImports checks the structure that docs/architecture.md describes.
func TestImports(t *testing.T) {
	unused := maps.Clone(importers)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, err = filepath.Rel("..", path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{"testdata", "internal/test/acceptance", "internal/test/bench", "internal/tools", ".git"}, filepath.ToSlash(path)):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", path), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			checkImport(t, filepath.ToSlash(path), imported)
			maps.DeleteFunc(unused, func(library string, _ []string) bool { return isWithin(imported, library) })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for library := range unused {
		t.Errorf("nothing imports %s", library)
	}
}

// isWithin reports whether a package belongs to a library.
func isWithin(imported, library string) bool {
	return imported == library || strings.HasPrefix(imported, library+"/")
}

func checkImport(t *testing.T, file, imported string) {
	t.Helper()
	part := func(p string) string {
		rest, ok := strings.CutPrefix(p, "internal/")
		part, _, _ := strings.Cut(rest, "/")
		if !ok || part == "test" {
			return ""
		}
		return part
	}
	if from, to := part(file), part(strings.TrimPrefix(imported, module)); from != "" && to != "" && from != to && !slices.Contains(base, to) && !slices.Contains(below[from], to) {
		t.Errorf("%s imports %s: %s may not import %s", file, imported, from, to)
	}
	for library, allowed := range importers {
		if !isWithin(imported, library) {
			continue
		}
		if !slices.Contains(allowed, filepath.ToSlash(filepath.Dir(file))) {
			t.Errorf("%s imports %s, which only %s may", file, imported, strings.Join(allowed, " and "))
		}
	}
}

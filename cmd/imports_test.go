package cmd

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// importers says who alone may import a library: what it gives us is in one place.
var importers = map[string][]string{
	"github.com/hashicorp/go-getter":                                    {"internal/remote/fetch"},
	"github.com/aws":                                                    {"internal/remote/fetch"},
	"cloud.google.com/go":                                               {"internal/remote/fetch"},
	"github.com/mholt/archiver":                                         {"internal/content/archive"},
	"github.com/google/go-containerregistry":                            {"internal/form/bundle", "internal/form/image", "internal/form/oci", "internal/remote/registry", "internal/test/script"},
	"github.com/spf13/cobra":                                            {"cmd"},
	"github.com/schollz/progressbar":                                    {"cmd"},
	"github.com/botkube-mirror/botkube-mirror/cmd":                      {".", "internal/test/program"},
	"github.com/botkube-mirror/botkube-mirror/internal/mirror":          {"cmd"},
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve":  {"cmd", "internal/mirror"},
	"github.com/botkube-mirror/botkube-mirror/internal/configfile":      {"cmd"},
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer": {"cmd", "internal/remote/fetch", "internal/remote/registry", "internal/test/registrytest", "internal/test/script", "internal/serve"},
	"github.com/botkube-mirror/botkube-mirror/internal/serve":           {"cmd", "internal/mirror"},
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/deploy":  {"cmd", "internal/mirror", "internal/values"},
	"github.com/botkube-mirror/botkube-mirror/internal/values":          {"cmd", "internal/mirror"},
	"github.com/botkube-mirror/botkube-mirror/internal/push":            {"cmd", "internal/mirror", "internal/values"},
}

// TestImports keeps the structure that docs/architecture.md describes.
func TestImports(t *testing.T) {
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
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkImport(t *testing.T, file, imported string) {
	t.Helper()
	for library, allowed := range importers {
		if imported != library && !strings.HasPrefix(imported, library+"/") {
			continue
		}
		if !slices.Contains(allowed, filepath.ToSlash(filepath.Dir(file))) {
			t.Errorf("%s imports %s, which only %s may", file, imported, strings.Join(allowed, " and "))
		}
	}
}

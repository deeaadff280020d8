//go:build unix

package docs

import (
	"flag"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/test/program"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// updateEnv has the outputs in the pages written anew.
const updateEnv = "UPDATE_DOCS"

// index is the page from which every page below docs is reached.
const index = "docs/README.md"

// binaryPath is where the program is, scratch a directory for what all pages share.
var binaryPath, scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "docs-")
	check(err)
	scratch = dir
	defer os.RemoveAll(dir)
	program.Main(m, &binaryPath)
}

// TestPages checks each page, and runs its commands: in the default tier those of the README and of the
// tutorials, and of a page that -run names.
func TestPages(t *testing.T) {
	t.Parallel()
	root := must(filepath.Abs(filepath.FromSlash("../../..")))
	l, err := readLibrary(root)
	check(err)
	flags := l.flags()
	if len(flags) == 0 {
		t.Errorf("%s has no flags", flagsPage)
	}
	for _, name := range slices.Sorted(maps.Keys(l.pages)) {
		p := l.pages[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if runsByDefault(name) || tier.Thorough() || isNamed(t) {
				p.run(t, root, os.Getenv(updateEnv) != "")
			}
			p.checkForm()
			l.checkLinks(p)
			l.checkFlags(p, flags)
			for _, problem := range p.problems {
				t.Error(problem)
			}
		})
	}
	for _, name := range l.unreached(index) {
		t.Errorf("no way leads from %s to %s: link to it there, or from a page that it links to", index, name)
	}
}

var mention = regexp.MustCompile(`(?:^|[^/\w.-])(docs/[\w/.-]+\.(?:md|json|ya?ml|svg))`)

// TestMentions wants the pages that comments, messages and workflows name to exist.
func TestMentions(t *testing.T) {
	t.Parallel()
	root := filepath.FromSlash("../../..")
	for _, below := range []string{"main.go", "cmd", "internal", ".github", ".goreleaser.yaml", "docs/ci"} {
		check(filepath.WalkDir(filepath.Join(root, filepath.FromSlash(below)), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(file, "_test.go") || !slices.Contains([]string{".go", ".yml", ".yaml", ".sh"}, filepath.Ext(file)) {
				return err
			}
			for _, m := range mention.FindAllStringSubmatch(string(must(os.ReadFile(file))), -1) {
				_, err := os.Stat(filepath.Join(root, filepath.FromSlash(m[1])))
				if err != nil && m[1] != "docs/spec.md" { // git-lfs has that page
					t.Errorf("%s names %s, and there is no such page", file, m[1])
				}
			}
			return nil
		}))
	}
}

func runsByDefault(name string) bool {
	return name == "README.md" || path.Dir(name) == "docs/tutorials"
}

// isNamed reports whether the command line asks for this page.
func isNamed(t *testing.T) bool {
	f := flag.Lookup("test.run")
	return f != nil && strings.Contains(f.Value.String(), "/") && strings.Contains(t.Name(), "/")
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

//go:build unix

package docs

import (
	"flag"
	"maps"
	"os"
	"path"
	"path/filepath"
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
	old := unconverted()
	for _, name := range slices.Sorted(maps.Keys(l.pages)) {
		p := l.pages[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if old[name] {
				p.problems = nil
			} else {
				if runsByDefault(name) || tier.Thorough() || isNamed(t) {
					p.run(t, root, os.Getenv(updateEnv) != "")
				}
				p.checkForm()
			}
			l.checkLinks(p)
			for _, problem := range p.problems {
				t.Error(problem)
			}
		})
	}
	if len(old) == 0 {
		for _, name := range l.unreached(index) {
			t.Errorf("no way leads from %s to %s: link to it from a page that is in the index", index, name)
		}
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

// unconverted returns the pages that are still to be written in this format.
func unconverted() map[string]bool {
	old := map[string]bool{}
	for _, line := range strings.Fields(string(must(os.ReadFile("unconverted.txt")))) {
		old[line] = true
	}
	return old
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

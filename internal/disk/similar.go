package disk

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// mostNames bounds the names of a directory that are compared.
const mostNames = 2000

// Similar returns the existing path in the same directory whose name is most similar to a path that
// does not exist, or "".
func Similar(path string) string {
	dir, base := filepath.Split(path)
	if info, err := os.Stat(filepath.Clean(dir)); err != nil || !info.IsDir() {
		return "" // opening a pipe would wait for who writes to it
	}
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return ""
	}
	defer d.Close()
	names, _ := d.Readdirnames(mostNames) // those that could be read
	var visible []string
	for _, name := range names {
		if !strings.HasPrefix(name, ".") {
			visible = append(visible, name)
		}
	}
	near := spelling.Nearest(base, visible)
	if near == "" || near == base {
		return ""
	}
	return dir + near
}

//go:build linux

package acceptance

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree is a directory's content: a line on mode and bytes for each path.
type tree map[string]string

// readTree reads every file and directory below dir.
func readTree(t *testing.T, dir string) tree {
	t.Helper()
	out := tree{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		line := info.Mode().String()
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(content))
		}
		out[filepath.ToSlash(rel)] = line
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// binaries leaves what the agent runs: no directories, no indexes, nothing of the product's own.
func (tr tree) binaries() tree {
	out := maps.Clone(tr)
	maps.DeleteFunc(out, func(path, line string) bool {
		return line[0] != '-' || strings.HasPrefix(path, ".botkube-mirror/") ||
			!strings.Contains(path, "/") && strings.HasSuffix(path, ".yaml")
	})
	return out
}

func equalTrees(a, b tree) bool { return maps.Equal(a, b) }

// diffTrees shows what differs, a line a path and side.
func diffTrees(a, b tree) string {
	paths := slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)))
	slices.Sort(paths)
	var out strings.Builder
	for _, path := range slices.Compact(paths) {
		if a[path] != b[path] {
			fmt.Fprintf(&out, "- %s %s\n+ %s %s\n", path, a[path], path, b[path])
		}
	}
	return out.String()
}

// copyTree copies dir by hard links: what is removed from the copy stays in the original.
func copyTree(t *testing.T, dir string) string {
	t.Helper()
	target := filepath.Join(tempDir(t), "copy")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(target, rel), 0o755)
		}
		return os.Link(path, filepath.Join(target, rel))
	})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

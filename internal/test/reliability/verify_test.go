//go:build unix

package reliability

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// flips is about how many places of each form have a bit flipped.
const flips = 60

// TestVerifyFindsEveryFlippedBit flips single bits all over a mirror of each
// form, one at a time, and wants each to be found.
func TestVerifyFindsEveryFlippedBit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeUpstream(t, filepath.Join(dir, "up"), 2, 8<<10)
	forms := []struct{ target, output string }{
		{"bundle.tar", "bundle.tar"}, {"plugins", "plugins"}, {"layout", "oci:layout"}, {"site", "site:site"}, {"image.tar", "image:image.tar"},
	}
	pull := command(t, "pull", "-q", "--repository", "r="+filepath.Join(dir, "up/plugins-index.yaml"), "--base-url", "http://mirror.example.com")
	pull.Dir = dir
	for _, f := range forms {
		pull.Args = append(pull.Args, "-o", f.output)
	}
	if got := finish(t, pull); got.code != 0 {
		t.Fatal(got.stderr)
	}
	for _, f := range forms {
		t.Run(f.target, func(t *testing.T) {
			t.Parallel()
			target := filepath.Join(dir, f.target)
			if got := run(t, "verify", target); got.code != 0 {
				t.Fatalf("exit code %d before anything was flipped\n%s%s", got.code, got.stdout, got.stderr)
			}
			for i, at := range bitPlaces(t, target) {
				if left(i, 120) {
					continue
				}
				at.flip(t)
				got := run(t, "verify", target)
				// No agent asks for a page for people: a note is enough.
				noted := filepath.Base(at.path) == "index.html" && f.target == "site" && got.code == 0 && strings.Contains(got.stdout, "index.html")
				if got.code != 4 && got.code != 5 && !noted {
					t.Errorf("%s: exit code %d\n%s%s", at, got.code, got.stdout, got.stderr)
				}
				at.flip(t)
			}
		})
	}
}

// place is a bit of a file.
type bitPlace struct {
	path   string
	offset int64
	bit    byte
}

func (p bitPlace) String() string {
	return fmt.Sprintf("bit %d of byte %d of %s", p.bit, p.offset, filepath.Base(p.path))
}

// bitPlaces spreads places over the files of a target: the first and the last byte
// of each, and others at even distances.
func bitPlaces(t *testing.T, target string) []bitPlace {
	t.Helper()
	var all []bitPlace
	var total int64
	var files []string
	check(t, filepath.WalkDir(target, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		fi, err := d.Info()
		if err != nil || fi.Size() == 0 {
			return err
		}
		files = append(files, path)
		total += fi.Size()
		return nil
	}))
	step := max(total/flips, 1)
	for _, path := range files {
		fi, err := os.Stat(path)
		check(t, err)
		offsets := []int64{0, fi.Size() - 1}
		for at := step / 2; at < fi.Size(); at += step {
			offsets = append(offsets, at)
		}
		slices.Sort(offsets)
		for _, at := range slices.Compact(offsets) {
			all = append(all, bitPlace{path, at, byte(at % 8)})
		}
	}
	return all
}

// flip flips the bit, or flips it back.
func (p bitPlace) flip(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(p.path, os.O_RDWR, 0)
	check(t, err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, p.offset)
	check(t, err)
	b[0] ^= 1 << p.bit
	_, err = f.WriteAt(b, p.offset)
	check(t, err)
	check(t, f.Close())
}

//go:build unix

package reliability

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// oddKinds put something else in the place of a file or directory.
var oddKinds = []damage{
	{name: "pipe", do: pipe},
	{name: "directory", do: func(t *testing.T, path string) string {
		remove(t, path)
		writeFile(t, filepath.Join(path, "precious"), []byte("x"))
		return ""
	}},
	{name: "device", do: func(t *testing.T, path string) string {
		remove(t, path)
		const null, char = 1<<8 | 3, syscall.S_IFCHR | 0o666
		if syscall.Mknod(path, char, null) != nil {
			pipe(t, path) // only root may make one
		}
		return ""
	}},
	{name: "link to the right content", do: func(t *testing.T, path string) string {
		outside := filepath.Join(t.TempDir(), "outside")
		check(t, os.Rename(path, outside))
		link(t, outside, path)
		return outside
	}},
}

// oddPlaces are those of documents, and of what they lie in, by the name of a form.
var oddPlaces = map[string][]string{
	"plugins":      {".botkube-mirror/lock.json", ".botkube-mirror/SHA256SUMS", ".botkube-mirror/superseded", "demo.yaml"},
	platforms.name: {".botkube-mirror/lock.json", ".botkube-mirror/superseded", "linux-arm64/.botkube-mirror/lock.json", "linux-arm64/.botkube-mirror/SHA256SUMS", "linux-arm64/demo.yaml"},
	"site":         {"v1.0.0/lock.json", "v1.0.0/SHA256SUMS", "v1.0.0/demo/plugins-index.yaml"},
	"layout":       {"oci-layout", "index.json"},
}

// oddCommands are those that read a mirror; {} is the mirror, and GOOD a good one.
func oddCommands(form, place string) [][]string {
	all := [][]string{{"list", "{}"}, {"verify", "{}"}, {"diff", "{}", "GOOD"}, {"diff", "GOOD", "{}"}, {"values", "{}", "--pvc", "x", "--platform", "linux/arm64"}}
	if form == "plugins" || form == "layout" {
		all[4][5] = "linux/amd64"
	}
	if form == "site" || form == "layout" {
		all[4] = []string{"serve", "{}", "--listen", "127.0.0.1:0"}
	}
	if form != "layout" {
		all = append(all, []string{"prune", "{}"})
	}
	// What is superseded does not matter to a copy, and of a site none is made.
	if form != "site" && !strings.HasSuffix(place, "superseded") {
		all = append(all, []string{"unpack", "{}", "-o", "{}.out"})
	}
	return all
}

// TestOddFiles wants a pipe, a directory, a device or a link in the place of a
// document to be damage, for every command that reads a mirror, and none to hang.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	w := newReference(t)
	n := 0
	for _, form := range []string{"plugins", platforms.name, "site", "layout"} {
		for _, place := range oddPlaces[form] {
			for _, kind := range oddKinds {
				if strings.HasSuffix(place, "superseded") && strings.HasPrefix(kind.name, "link") {
					continue // there is none to link to
				}
				if n++; left(n, 120) {
					continue
				}
				t.Run(form+"/"+place+"/"+kind.name, func(t *testing.T) {
					t.Parallel()
					tryOdd(t, filepath.Join(w.good, form), place, kind)
				})
			}
		}
	}
}

func tryOdd(t *testing.T, good, place string, kind damage) {
	odd := filepath.Join(t.TempDir(), filepath.Base(good))
	copyTree(t, good, odd)
	kind.do(t, filepath.Join(odd, place))
	before := snapshot(t, odd)
	for _, args := range oddCommands(filepath.Base(good), place) {
		args = slices.Clone(args)
		for i := range args {
			args[i] = strings.ReplaceAll(strings.ReplaceAll(args[i], "{}", odd), "GOOD", good)
		}
		if o := runBounded(t, args); o.code != 4 || !strings.Contains(o.stdout+o.stderr, filepath.Base(place)) {
			t.Errorf("%q ended with %d\n%s%s", args, o.code, o.stdout, o.stderr)
		}
	}
	sameTree(t, snapshot(t, odd), before)
}

// runBounded runs the program, and ends it if it hangs.
func runBounded(t *testing.T, args []string) outcome {
	t.Helper()
	c := command(t, args...)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if c.Process != nil {
			_ = c.Process.Kill()
		}
	})()
	return finish(t, c)
}

// TestOddLock names what is no file. A lock is then named by mistake, and an index is damaged.
func TestOddLock(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "lock.json")
	for _, kind := range oddKinds[:3] {
		kind.do(t, name)
		for _, args := range [][]string{
			{"pull", "--lock", name, "-o", name + ".out"},
			{"pull", "--repository", "demo=" + name, "-o", name + ".out"},
			{"lock", "--repository", "demo=" + name, name + ".lock"},
			{"diff", name, name},
		} {
			want := 4
			if args[1] == "--lock" {
				want = 2
			}
			if o := runBounded(t, args); o.code == 0 || args[0] != "diff" && o.code != want {
				t.Errorf("%s: %q ended with %d\n%s", kind.name, args, o.code, o.stderr)
			}
		}
	}
}

// TestPipeForAMirror wants no command to wait for a pipe that is named in the place
// of a mirror, an output or a store.
func TestPipeForAMirror(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "pipe")
	pipe(t, name)
	for _, args := range [][]string{
		{"prune", name}, {"prune", "--store", name}, {"list", name}, {"verify", name}, {"values", name, "--pvc", "x"}, {"diff", name, name},
		{"serve", name}, {"push", name, "127.0.0.1:1/x"}, {"unpack", name, "-o", name + ".out"},
	} {
		if o := runBounded(t, args); o.code != 2 {
			t.Errorf("%q ended with %d\n%s", args, o.code, o.stderr)
		}
	}
}

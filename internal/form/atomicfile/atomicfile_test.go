package atomicfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// write writes a file and reports whether that changed it.
func write(t *testing.T, name, content string) bool {
	t.Helper()
	f, err := Open(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	temp, err := f.Create()
	if err == nil {
		_, err = temp.WriteString(content)
	}
	if err != nil {
		t.Fatal(err)
	}
	same, err := f.Same(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !same {
		err = f.Publish()
	}
	if err != nil {
		t.Fatal(err)
	}
	return !same
}

func wantOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("the directory has %q, want %q", got, want)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a", "file")
	for _, step := range []struct {
		content string
		changed bool
	}{{"one", true}, {"one", false}, {"two", true}, {"", true}, {strings.Repeat("x", compareAtOnce+1), true}, {strings.Repeat("x", compareAtOnce) + "y", true}} {
		if got := write(t, name, step.content); got != step.changed {
			t.Errorf("writing %.10q: changed %t", step.content, got)
		}
		if data, err := os.ReadFile(name); err != nil || string(data) != step.content {
			t.Errorf("%.10q is there (%v)", data, err)
		}
	}
	wantOnly(t, filepath.Dir(name), "file")
}

// What is not published leaves what was there, and nothing else.
func TestClose(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{filepath.Join(dir, "file"), filepath.Join(dir, "new", "file")} {
		f, err := Open(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Create(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	wantOnly(t, dir)
}

// The next run removes what a killed one left, of this file only.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".file.tmp-ABC", ".file.lock", ".other.tmp-ABC"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "file"), "x")
	wantOnly(t, dir, ".other.tmp-ABC", "file")
}

func TestWaiting(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	first, err := Open(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Open(ctx, name, func(string) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("the second run: %v", err)
	}
	third, err := Open(t.Context(), name, func(string) { first.Close() })
	if err != nil {
		t.Fatal(err)
	}
	third.Close()
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, filepath.Join(dir, "new"), filepath.Join(dir, "a", "b", "new"), filepath.Join(dir, strings.Repeat("n", 250))} {
		if err := Check(name); err != nil {
			t.Errorf("Check(%q): %v", name, err)
		}
	}
	refused := []string{"", dir, filepath.Join(dir, "new") + "/", filepath.Join(file, "new")}
	if runtime.GOOS != "windows" {
		link := filepath.Join(dir, "link")
		if err := os.Symlink(filepath.Join(dir, "nowhere"), link); err != nil {
			t.Fatal(err)
		}
		refused = append(refused, link, os.DevNull)
	}
	for _, name := range refused {
		if err := Check(name); fault.KindOf(err) != fault.Usage {
			t.Errorf("Check(%q): %v", name, err)
		}
		if _, err := Open(t.Context(), name, nil); fault.KindOf(err) != fault.Usage {
			t.Errorf("Open(%q): %v", name, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a check left a directory: %v", err)
	}
}

// TestUsable wants a file that its owner cannot read and write to be written
// anew, and its other bits to be left to the user.
func TestUsable(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are not those of Unix")
	}
	name := filepath.Join(t.TempDir(), "file")
	write(t, name, "x")
	for mode, want := range map[fs.FileMode]bool{0o644: true, 0o600: true, 0o755: true, 0: false, 0o400: false, 0o044: false} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		f, err := Open(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		there, err := f.OpenUsable()
		if err != nil || (there != nil) != want {
			t.Errorf("a file of mode %04o: usable %v, %v", mode, !want, err)
		}
		if there != nil {
			there.Close()
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLinkForALock wants what is no lock not to be waited for, nor followed.
func TestLinkForALock(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	if err := os.Symlink(outside, filepath.Join(dir, ".file.lock")); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(outside, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), filepath.Join(dir, "file"), nil)
	if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), ".file.lock") {
		t.Errorf("%v, want a refusal", err)
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "x" {
		t.Errorf("outside is %q, %v", data, err)
	}
}

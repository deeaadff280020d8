package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestLacking(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has no modes")
	}
	agent := Reader{101, 101}
	for _, c := range []struct {
		name   string
		access Access
		reader Reader
		mode   fs.FileMode
		want   string
	}{
		{"all users may", Access{0o755, 0, 0}, agent, 0o755, ""},
		{"nobody has to write", Access{0o555, 0, 0}, agent, 0o755, ""},
		{"the owner may", Access{0o500, 101, 0}, agent, 0o755, ""},
		{"the group may", Access{0o050, 0, 101}, agent, 0o755, ""},
		{"root may", Access{0o000, 101, 101}, Reader{0, 0}, 0o755, ""},
		{"another owner", Access{0o700, 4321, 4321}, agent, 0o755, "its mode is 0700 and its owner 4321:4321, but user 101 of group 101 needs 0555"},
		{"another group", Access{0o770, 4321, 4321}, agent, 0o644, "its mode is 0770 and its owner 4321:4321, but user 101 of group 101 needs 0444"},
		{"readable, but not to run", Access{0o644, 101, 101}, agent, 0o755, "its mode is 0644 and its owner 101:101, but user 101 of group 101 needs 0555"},
		{"anyone is no owner", Access{0o750, -1, -1}, Anyone, 0o755, "its mode is 0750, but other users need 0555"},
		{"nothing is needed", Access{0o000, 0, 0}, agent, 0, ""},
	} {
		if got := c.access.Lacking(c.reader, c.mode); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestMended(t *testing.T) {
	for _, c := range []struct{ mode, want, mended fs.FileMode }{
		{0o755, 0o755, 0o755},
		{0o600, 0o644, 0o644},
		{0o777, 0o755, 0o775},
		{0o660, 0o644, 0o664},
		{0o755 | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky, 0o755, 0o755},
	} {
		if got := repairedMode(c.mode, c.want); got != c.mended {
			t.Errorf("repairedMode(%v, %v) = %v, not %v", c.mode, c.want, got, c.mended)
		}
	}
}

// TestSettle plays what file systems do with a new mode.
func TestSettle(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has no modes")
	}
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	look := func(mode fs.FileMode) func() (fs.FileInfo, error) {
		return func() (fs.FileInfo, error) {
			if err := os.Chmod(name, mode); err != nil {
				return nil, err
			}
			return os.Lstat(name)
		}
	}
	broken := errors.New("input/output error")
	for _, c := range []struct {
		name    string
		changed error
		has     fs.FileMode
		want    string
	}{
		{"done", nil, 0o755, ""},
		{"ignored, and it suffices", nil, 0o777, ""},
		{"refused, and it suffices", fs.ErrPermission, 0o777, ""},
		{"unsupported, and it suffices", errors.ErrUnsupported, 0o755, ""},
		{"ignored", nil, 0o644, "x: its mode is 0644, but other users need 0555, and the file system ignores chmod"},
		{"refused", &fs.PathError{Op: "chmod", Path: "x", Err: fs.ErrPermission}, 0o644, "x: its mode is 0644, but other users need 0555, and chmod fails: permission denied"},
		{"another failure", broken, 0o755, "input/output error"},
	} {
		err := checkAccess(c.changed, look(c.has), "x", 0o755, Anyone)
		if got := errorText(err); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

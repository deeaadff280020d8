//go:build !windows

package disk

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestUnfit(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"a file of more than 4 GiB on FAT", &fs.PathError{Op: "write", Path: "bundle.tar", Err: syscall.EFBIG}, "FAT32"},
		{"a mounted object store that renames nothing", &os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EPERM}, "cannot rename"},
		{"the same, by another word", &os.LinkError{Op: "renameat", Old: "a", New: "b", Err: syscall.ENOSYS}, "cannot rename"},
		{"a full disk", &fs.PathError{Op: "write", Path: "bundle.tar", Err: syscall.ENOSPC}, ""},
		{"no permission", &fs.PathError{Op: "open", Path: "bundle.tar", Err: syscall.EACCES}, ""},
		{"a path that is not there", &os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.ENOENT}, ""},
	} {
		if got := Hint(c.err, "write to a local disk"); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

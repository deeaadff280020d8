//go:build !windows

package disk

import (
	"errors"
	"io/fs"
	"syscall"
)

// ownerOf returns the numbers of a file's user and group.
func ownerOf(fi fs.FileInfo) (user, group int) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, -1
	}
	return int(st.Uid), int(st.Gid)
}

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

// isTooLarge reports whether a file system, or a limit on this process, takes no
// files of a size.
func isTooLarge(err error) bool { return errors.Is(err, syscall.EFBIG) }

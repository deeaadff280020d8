//go:build !windows

package disk

import (
	"errors"
	"io/fs"
	"math"
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

// AllocatedSize returns how many bytes a file takes of its file system, which is less than
// its size where it has holes or is compressed; 0 if that is not known.
func AllocatedSize(fi fs.FileInfo) int64 {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return int64(st.Blocks) * 512 // the unit of st_blocks, whatever the file system's
}

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

// isTooLarge reports whether a file system, or a limit on this process, takes no
// files of a size.
func isTooLarge(err error) bool { return errors.Is(err, syscall.EFBIG) }

// MaxOpenFiles returns how many files this process may have open.
func MaxOpenFiles() (n int64, known bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return int64(min(limit.Cur, math.MaxInt64)), true
}

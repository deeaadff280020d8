package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// StartWriteback has the kernel begin to write a part of a file to disk, so
// that syncing it in the end does not wait for everything at once. It is a
// hint: errors do not matter.
func StartWriteback(f *os.File, from, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), from, n, unix.SYNC_FILE_RANGE_WRITE)
}

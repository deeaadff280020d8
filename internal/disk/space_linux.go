package disk

import (
	"strconv"

	"golang.org/x/sys/unix"
)

func spaceOf(path string) (Space, bool) {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if unix.Stat(path, &st) != nil || unix.Statfs(path, &fs) != nil || fs.Blocks == 0 {
		return Space{}, false
	}
	size := fs.Frsize // what blocks are counted in; the kernel fills it in since 2.6
	if size <= 0 {
		size = fs.Bsize
	}
	return Space{strconv.FormatUint(st.Dev, 10), bytesOf(fs.Bavail, uint64(size))}, true
}

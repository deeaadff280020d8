//go:build linux || darwin

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
	return Space{strconv.FormatUint(uint64(st.Dev), 10), bytesOf(fs.Bavail, blockSize(&fs))}, true
}

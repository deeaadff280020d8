package disk

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

func spaceOf(path string) (Space, bool) {
	// Windows asks a directory for it.
	if fi, err := os.Stat(path); err == nil && !fi.IsDir() {
		path = filepath.Dir(path)
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return Space{}, false
	}
	var free, total uint64
	if windows.GetDiskFreeSpaceEx(name, &free, &total, nil) != nil || total == 0 {
		return Space{}, false
	}
	var volume [windows.MAX_LONG_PATH]uint16
	if windows.GetVolumePathName(name, &volume[0], uint32(len(volume))) != nil {
		return Space{}, false
	}
	return Space{windows.UTF16ToString(volume[:]), bytesOf(free, 1)}, true
}

package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
)

// NoWait has no effect on Windows, where named pipes are not in directories.
const NoWait = 0

// OpenRoot opens a directory by a path that may lead through links.
func OpenRoot(dir string) (*os.Root, error) { return os.OpenRoot(dir) }

// SyncDir does nothing: Windows has no way to, and NTFS journals its names.
func SyncDir(string) error { return nil }

// SyncDirIn does nothing, as [SyncDir].
func SyncDirIn(*os.Root, string) error { return nil }

// IsFull reports whether an error says that a disk is full.
func IsFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// ownerOf knows no numbers.
func ownerOf(fs.FileInfo) (user, group int) { return -1, -1 }

// AllocatedSize is not known.
func AllocatedSize(fs.FileInfo) int64 { return 0 }

// isReadOnly is for systems with modes.
func isReadOnly(error) bool { return false }

// isTooLarge reports whether a file system takes no files of a size.
func isTooLarge(err error) bool { return errors.Is(err, windows.ERROR_FILE_TOO_LARGE) }

// MaxOpenFiles is not known.
func MaxOpenFiles() (n int64, known bool) { return 0, false }

// ChangedAt returns the zero time: this system does not tell.
func ChangedAt(fs.FileInfo) time.Time { return time.Time{} }

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

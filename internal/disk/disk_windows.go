package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// NoWait is no flag: pipes of Windows do not lie in directories.
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

package disk

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

// ownerOf knows no numbers.
func ownerOf(fs.FileInfo) (user, group int) { return -1, -1 }

// AllocatedSize is not known.
func AllocatedSize(fs.FileInfo) int64 { return 0 }

// isReadOnly is for systems with modes.
func isReadOnly(error) bool { return false }

// isTooLarge reports whether a file system takes no files of a size.
func isTooLarge(err error) bool { return errors.Is(err, windows.ERROR_FILE_TOO_LARGE) }

// MaxOpenFiles returns that nobody knows.
func MaxOpenFiles() (n int64, known bool) { return 0, false }

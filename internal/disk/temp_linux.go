package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// nameless creates a file in a directory that never has a name there, so that
// no kill comes between its creation and its removal.
func nameless(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "create a file in", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

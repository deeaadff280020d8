//go:build !windows

package disk

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// NoWait is the flag with which opening a pipe does not wait for its other end.
const NoWait = unix.O_NONBLOCK

// OpenRoot opens a directory by a path that may lead through links. Unlike
// [os.OpenRoot] it never waits for a pipe.
func OpenRoot(dir string) (*os.Root, error) {
	if dir == "" {
		return os.OpenRoot(dir) // for its error
	}
	root, err := os.OpenRoot(dir + "/.")
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		pathErr.Path = dir
	}
	return root, err
}

// SyncDir makes the names in a directory survive a power cut.
func SyncDir(path string) error {
	d, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|NoWait, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	return syncDir(d)
}

// SyncDirIn is [SyncDir] for a directory below a root.
func SyncDirIn(root *os.Root, name string) error {
	d, err := root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|NoWait, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	return syncDir(d)
}

// syncDir leaves out network file systems that cannot: they write names through.
func syncDir(d *os.File) error {
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}

// IsFull reports whether an error says that a disk or a quota is full.
func IsFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

//go:build !windows

package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

// tryLock locks by open file, not by process, so it keeps goroutines apart too.
func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
}

// TryDir locks a directory below a root, and writes nothing to it. It returns nil if
// another process or goroutine holds the lock. The root must stay open as long as the
// lock is held. It follows no link. Some network file systems cannot lock directories:
// there it never blocks.
func TryDir(root *os.Root, name string) (*Lock, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|disk.NoWait, 0)
	if err != nil {
		return nil, err
	}
	switch there, err := root.Lstat(name); {
	case err != nil:
		return nil, errors.Join(err, f.Close())
	case !there.IsDir():
		return nil, errors.Join(&os.PathError{Op: "lock", Path: f.Name(), Err: unix.ENOTDIR}, f.Close())
	}
	locked, err := tryLock(f)
	if errors.Is(err, unix.EBADF) || errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EINVAL) {
		locked, err = true, nil
	}
	if err != nil || !locked {
		_ = f.Close()
		return nil, err
	}
	return &Lock{f, func() {}}, nil
}

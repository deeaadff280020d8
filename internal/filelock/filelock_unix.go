//go:build !windows

package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
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

// TryDir locks a directory, in which nothing is written for that. It returns
// nil if somebody holds the lock. Network file systems that lock no directories
// let everybody in.
func TryDir(path string) (*Lock, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	locked, err := tryLock(f)
	if errors.Is(err, unix.EBADF) || errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EINVAL) {
		locked, err = true, nil
	}
	if err != nil || !locked {
		_ = f.Close()
		return nil, err
	}
	return &Lock{f: f}, nil
}

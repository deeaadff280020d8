package store

import (
	"os"
)

// fileLock is an exclusive lock on a file that exists only to be locked. The
// system drops it with the process. Libraries at hand either cannot try a lock
// without waiting (rogpeppe/go-internal/lockedfile) or are not in the module
// graph, so the two system calls are made here.
type fileLock struct {
	name string
	f    *os.File
}

// tryLockPath locks a file, which it creates if need be. It returns nil if
// somebody holds the lock.
func tryLockPath(path string) (*fileLock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
		if err != nil {
			return nil, err
		}
		locked, err := tryLock(f)
		if err != nil || !locked {
			_ = f.Close()
			return nil, err
		}
		// Who held the lock removes the file before letting go: what was
		// opened may not be what lies there now.
		if current(f, path) {
			return &fileLock{path, f}, nil
		}
		_ = f.Close()
	}
}

func current(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(held, there)
}

// release removes the file and lets go of the lock; a second call does
// nothing. Windows removes no open file: there it stays, empty, until the next
// process cleans up.
func (l *fileLock) release() error {
	if l.f == nil {
		return nil
	}
	_ = os.Remove(l.name)
	err := l.f.Close()
	l.f = nil
	return err
}

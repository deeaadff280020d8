// Package filelock keeps processes, and goroutines of one process, from doing
// the same thing at the same time. The system drops a lock with its process.
//
// Libraries at hand either cannot try a lock without waiting for it
// (rogpeppe/go-internal/lockedfile) or cannot lock a directory
// (gofrs/flock), so the two system calls are made here.
package filelock

import (
	"context"
	"errors"
	"os"
	"time"
)

// pollInterval is how often a lock that somebody holds is tried again.
const pollInterval = 100 * time.Millisecond

// Lock is an exclusive lock.
type Lock struct {
	f *os.File
	// remove is the file that exists only to be locked, or "".
	remove string
}

// TryFile locks a file that exists only to be locked, and creates it if need
// be. It returns nil if somebody holds the lock.
func TryFile(path string) (*Lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
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
			return &Lock{f, path}, nil
		}
		_ = f.Close()
		// Of a link, what is opened never is what lies there.
		if fi, err := os.Lstat(path); err == nil && !fi.Mode().IsRegular() {
			return nil, &os.PathError{Op: "lock", Path: path, Err: errors.New("it is not a regular file")}
		}
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

// Name returns the path of the locked file.
func (l *Lock) Name() string { return l.f.Name() }

// Stat describes the locked file.
func (l *Lock) Stat() (os.FileInfo, error) { return l.f.Stat() }

// Unlock lets go of the lock; a second call does nothing. Windows removes no
// open file: there an empty one stays.
func (l *Lock) Unlock() error {
	if l.f == nil {
		return nil
	}
	if l.remove != "" {
		_ = os.Remove(l.remove)
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// Wait calls try until it returns a lock or an error, or ctx is done. Waiting
// is called once if the first try does not.
func Wait(ctx context.Context, waiting func(), try func() (*Lock, error)) (*Lock, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for told := false; ; {
		if l, err := try(); err != nil || l != nil {
			return l, err
		}
		if !told && waiting != nil {
			waiting()
		}
		told = true
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

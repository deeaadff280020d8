// Package filelock locks files and directories between processes, and between goroutines of one
// process. The operating system releases a lock when its process ends.
//
// The package makes the two system calls itself: rogpeppe/go-internal/lockedfile cannot try a lock
// without waiting, and gofrs/flock cannot lock a directory.
package filelock

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

const (
	// firstPause is that after the first try to take a lock. Each is twice as long, up to lastPause.
	firstPause = time.Millisecond
	lastPause  = 100 * time.Millisecond
	// maxVanished is how often a directory may be gone that is to be locked.
	maxVanished = 20
)

// Lock is an exclusive lock.
type Lock struct {
	f *os.File
	// release does what is to be done before the lock is let go.
	release func()
}

// TryFile locks a file below a root that serves as a lock only, and creates it if need
// be. It returns nil if another process or goroutine holds the lock. The root must stay
// open as long as the lock is held. Anything but a regular file at the path, such as a
// link, is an error.
func TryFile(root *os.Root, name string) (*Lock, error) {
	for {
		if _, err := disk.StatRegular(root, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, &os.PathError{Op: "lock", Path: filepath.Join(root.Name(), name), Err: err}
		}
		f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|disk.NoWait, 0o644)
		if err != nil {
			return nil, err
		}
		locked, err := tryLock(f)
		if err != nil || !locked {
			_ = f.Close()
			return nil, err
		}
		// The holder removes the file before it unlocks: another file may be there by
		// now.
		if current(f, root, name) {
			return &Lock{f, func() { _ = root.Remove(name) }}, nil
		}
		_ = f.Close()
	}
}

// IsHeld reports whether another process or goroutine holds the lock of [TryFile]. It leaves the
// file as it is, or absent.
func IsHeld(root *os.Root, name string) bool {
	if _, err := disk.StatRegular(root, name); err != nil {
		return false
	}
	f, err := root.OpenFile(name, os.O_RDONLY|disk.NoWait, 0)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	locked, err := tryLock(f)
	return err == nil && !locked
}

func current(f *os.File, root *os.Root, name string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := root.Lstat(name)
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
	l.release()
	err := l.f.Close()
	l.f = nil
	return err
}

// Wait calls try until it returns a lock or an error, or ctx is done. Try creates
// the directory first. The run that is waited for may remove it again, so an [fs.ErrNotExist]
// is tried again, a number of times. Waiting, if not nil, is called once with the name of
// what is waited for. That is before the first long pause, because a run that cleans up
// holds a lock only for an instant.
func Wait(ctx context.Context, name string, waiting func(name string), try func() (*Lock, error)) (*Lock, error) {
	vanished, told := 0, false
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		l, err := try()
		if errors.Is(err, fs.ErrNotExist) && vanished < maxVanished {
			vanished++
			err = nil
		}
		if err != nil || l != nil {
			return l, err
		}
		if pause == lastPause && !told && waiting != nil {
			waiting(name)
			told = true
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

//go:build !windows

package disk

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"strconv"
	"syscall"
	"time"

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

// ownerOf returns the numbers of a file's user and group.
func ownerOf(fi fs.FileInfo) (user, group int) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, -1
	}
	return int(st.Uid), int(st.Gid)
}

// AllocatedSize returns how many bytes a file occupies on its file system, or 0 if that is unknown.
// A sparse or compressed file occupies less than its size.
func AllocatedSize(fi fs.FileInfo) int64 {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return int64(st.Blocks) * 512 // the unit of st_blocks, whatever the file system's
}

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

// isTooLarge: a file system, or a limit on this process, takes no files of a size.
func isTooLarge(err error) bool { return errors.Is(err, syscall.EFBIG) }

// MaxOpenFiles returns how many files this process may have open.
func MaxOpenFiles() (n int64, known bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return int64(min(limit.Cur, math.MaxInt64)), true
}

// ChangedAt returns when a file or its metadata last changed. Only the system sets
// that time, unlike the modification time. It is the zero time if the system does not
// tell.
func ChangedAt(fi fs.FileInfo) time.Time {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}
	}
	return ctime(st)
}

func spaceOf(path string) (Space, bool) {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if unix.Stat(path, &st) != nil || unix.Statfs(path, &fs) != nil || fs.Blocks == 0 {
		return Space{}, false
	}
	return Space{strconv.FormatUint(uint64(st.Dev), 10), bytesOf(fs.Bavail, blockSize(&fs))}, true
}

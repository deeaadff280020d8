package disk

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func ctime(st *syscall.Stat_t) time.Time { return time.Unix(st.Ctim.Unix()) }

// blockSize is what blocks are counted in; the kernel fills Frsize in since 2.6.
func blockSize(st *unix.Statfs_t) uint64 {
	if st.Frsize > 0 {
		return uint64(st.Frsize)
	}
	return uint64(st.Bsize)
}

// nameless creates a file that never has a name, so that no kill leaves it.
func nameless(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "create a file in", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// openDirectory opens a root for [openBeneath].
func openDirectory(root *os.Root) *os.File {
	dir, err := root.Open(".")
	if err != nil {
		return nil
	}
	return dir
}

// openBeneath opens a regular file in one step, to which no link leads (openat2(2),
// since Linux 5.6). It returns nil for anything else.
func openBeneath(dir *os.File, name string) *os.File {
	if dir == nil {
		return nil
	}
	fd, err := unix.Openat2(int(dir.Fd()), name, &unix.OpenHow{
		// A pipe must not wait for a writer; regular files do not know the flag.
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nil
	}
	return os.NewFile(uintptr(fd), dir.Name()+"/"+name)
}

// StartWriteback asks the kernel to start writing a part of a file to disk, so that the sync at the
// end takes less time. Errors are ignored.
func StartWriteback(f *os.File, from, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), from, n, unix.SYNC_FILE_RANGE_WRITE)
}

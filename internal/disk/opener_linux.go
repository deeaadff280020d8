package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

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

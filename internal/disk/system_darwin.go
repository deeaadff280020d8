package disk

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func ctime(st *syscall.Stat_t) time.Time { return time.Unix(st.Ctimespec.Unix()) }

func blockSize(st *unix.Statfs_t) uint64 { return uint64(st.Bsize) }

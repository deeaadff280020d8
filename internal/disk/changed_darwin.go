package disk

import (
	"io/fs"
	"syscall"
	"time"
)

// ChangedAt returns when a file was last changed in any way, its description
// included. Unlike a modification time, that is set by the system alone. It is the
// zero time if the system does not tell.
func ChangedAt(fi fs.FileInfo) time.Time {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}
	}
	return time.Unix(st.Ctimespec.Unix())
}

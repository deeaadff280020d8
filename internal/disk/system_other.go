//go:build !linux && !darwin && !windows

package disk

import (
	"syscall"
	"time"
)

// ctime is not known.
func ctime(*syscall.Stat_t) time.Time { return time.Time{} }

// spaceOf is not known.
func spaceOf(string) (Space, bool) { return Space{}, false }

//go:build !linux && !darwin

package disk

import (
	"io/fs"
	"time"
)

// ChangedAt returns the zero time: this system does not tell.
func ChangedAt(fs.FileInfo) time.Time { return time.Time{} }

package lock

import (
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// ReadFile reads a file that pull, lock or list wrote. One that is damaged is an error
// of kind [fault.Integrity], and so is anything but a regular file.
func ReadFile(file string) (*Lock, error) {
	data, err := disk.ReadRegular(file, MaxSize)
	if err != nil {
		kind := fault.Usage
		if fault.KindOf(err) == fault.Integrity {
			kind = fault.Integrity
		}
		return nil, fault.New(kind, "reading the lock: %s: %w", file, err).WithHint("name the file that pull, lock or list wrote")
	}
	return ParseNamed(data, file)
}

// ParseNamed is [Parse] of what has a name, with the next step in the error.
func ParseNamed(data []byte, name string) (*Lock, error) {
	l, err := Parse(data)
	if err != nil {
		return nil, fault.New(fault.Integrity, "%s: %w", name, err).
			WithHint("copy the lock again, or write a new one with the command lock")
	}
	return l, nil
}

package lock

import (
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// ReadFile reads a file that pull, lock or list wrote. One that is damaged is an error
// of kind [fault.Integrity], and so is anything but a regular file.
func ReadFile(file string) (*Lock, error) {
	data, err := readFile(file)
	if fault.KindOf(err) == fault.Integrity {
		return nil, fault.New(fault.Integrity, "reading the lock: %s: %w", file, err).WithHint("name the file that pull, lock or list wrote")
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "reading the lock: %w", err)
	}
	l, err := Parse(data)
	if err != nil {
		return nil, fault.New(fault.Integrity, "%s: %w", file, err)
	}
	return l, nil
}

func readFile(file string) ([]byte, error) {
	f, fi, err := disk.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi.Size() > MaxSize {
		return nil, fault.New(fault.Integrity, "it has %d bytes; at most %d are read", fi.Size(), int64(MaxSize))
	}
	return io.ReadAll(io.LimitReader(f, MaxSize))
}

package disk

import (
	"os"
	"runtime"
)

// Temp is a temporary file that goes away when it is closed, or with its
// process. Windows removes no open file: there, a killed process leaves it.
// Linux, on most file systems, never gives it a name.
type Temp struct{ *os.File }

// TempFile creates a temporary file in [os.TempDir].
func TempFile() (*Temp, error) {
	if f, err := nameless(os.TempDir()); err == nil {
		return &Temp{f}, nil
	}
	f, err := os.CreateTemp("", "botkube-mirror-*")
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" {
		if err := os.Remove(f.Name()); err != nil {
			f.Close()
			return nil, err
		}
	}
	return &Temp{f}, nil
}

// Close closes and removes the file.
func (t *Temp) Close() error {
	err := t.File.Close()
	if runtime.GOOS == "windows" {
		_ = os.Remove(t.Name())
	}
	return err
}

package disk

import (
	"os"
	"runtime"
)

// Temp is a temporary file that is removed when it is closed, or when its process ends.
// On Windows, a killed process leaves it.
type Temp struct{ *os.File }

// TempFile creates a temporary file in [os.TempDir].
func TempFile() (*Temp, error) { return tempFile(os.TempDir(), "botkube-mirror-*") }

func tempFile(dir, pattern string) (*Temp, error) {
	if f, err := nameless(dir); err == nil {
		return &Temp{f}, nil
	}
	f, err := os.CreateTemp(dir, pattern)
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

// CheckWritable returns an error if no file can be created in a directory. pattern is as for
// [os.CreateTemp], for systems on which the file must have a name.
func CheckWritable(dir, pattern string) error {
	f, err := tempFile(dir, pattern)
	if err != nil {
		return err
	}
	_ = f.Close()
	return nil
}

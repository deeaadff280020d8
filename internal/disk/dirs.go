package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// MakeDirs creates a directory and its parents, and returns those it created,
// the outermost first. Their mode is up to the user's umask.
func MakeDirs(dir string, mode fs.FileMode) (created []string, err error) {
	if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
		return nil, nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if created, err = MakeDirs(parent, mode); err != nil {
			return created, err
		}
	}
	err = os.Mkdir(dir, mode)
	if errors.Is(err, fs.ErrExist) {
		// Another run was faster, or it is a file, which the next step notices.
		return created, nil
	}
	if err != nil {
		return created, err
	}
	return append(created, dir), nil
}

// RemoveDirs removes those of the directories, the outermost first, in which
// nothing is.
func RemoveDirs(dirs []string) {
	for _, dir := range slices.Backward(dirs) {
		_ = os.Remove(dir) // fails if something is in it, as it should
	}
}

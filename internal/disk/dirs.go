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

// MakeDirsFor is [MakeDirs] for a reader: what is created has the mode, whatever
// the umask. The error is a [ModeError] if the file system sees to it that the
// reader cannot use a directory.
func MakeDirsFor(dir string, mode fs.FileMode, r Reader) (created []string, err error) {
	created, err = MakeDirs(dir, mode)
	for _, d := range created {
		err = errors.Join(err, setDirMode(d, mode, r))
	}
	return created, err
}

func setDirMode(dir string, mode fs.FileMode, r Reader) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return SetMode(d, dir, mode, r)
}

// RemoveDirs removes those of the directories, the outermost first, in which
// nothing is.
func RemoveDirs(dirs []string) {
	for _, dir := range slices.Backward(dirs) {
		_ = os.Remove(dir) // fails if something is in it, as it should
	}
}

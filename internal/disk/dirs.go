package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// MakeDirs creates a directory and its parents, and returns those it created,
// the outermost first. For a reader they have the mode, whatever the umask: the error is
// a [ModeError] if the file system does not let the reader use one. If r is nil, their
// mode is up to the umask.
func MakeDirs(dir string, mode fs.FileMode, r *Reader) (created []string, err error) {
	if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
		return nil, nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if created, err = MakeDirs(parent, mode, r); err != nil {
			return created, err
		}
	}
	// What follows is below the opened parent, so that a link that replaces the new
	// directory leads nowhere else.
	root, err := OpenRoot(parent)
	if err != nil {
		return created, err
	}
	defer root.Close()
	name := filepath.Base(dir)
	err = root.Mkdir(name, mode)
	if errors.Is(err, fs.ErrExist) {
		// Another run was faster, or it is a file, which the next step notices.
		return created, nil
	}
	if err != nil {
		return created, err
	}
	created = append(created, dir)
	if r == nil {
		return created, nil
	}
	return created, Chmod(root, name, mode, *r)
}

// RemoveDirs removes the empty ones of directories that are listed outermost first.
func RemoveDirs(dirs []string) {
	for _, dir := range slices.Backward(dirs) {
		_ = os.Remove(dir) // fails if it is not empty
	}
}

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
	return makeDirs(dir, mode, func(*os.Root, string) error { return nil })
}

// MakeDirsFor is [MakeDirs] for a reader: new directories have the mode, whatever the
// umask. The error is a [ModeError] if the file system does not let the reader use one.
func MakeDirsFor(dir string, mode fs.FileMode, r Reader) (created []string, err error) {
	return makeDirs(dir, mode, func(parent *os.Root, name string) error { return Chmod(parent, name, mode, r) })
}

// makeDirs calls made for each directory that it created. Both work below the opened
// parent, so that a link that replaces the new directory leads nowhere else.
func makeDirs(dir string, mode fs.FileMode, made func(parent *os.Root, name string) error) (created []string, err error) {
	if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
		return nil, nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if created, err = makeDirs(parent, mode, made); err != nil {
			return created, err
		}
	}
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
	return append(created, dir), made(root, name)
}

// RemoveDirs removes the empty ones of directories that are listed outermost first.
func RemoveDirs(dirs []string) {
	for _, dir := range slices.Backward(dirs) {
		_ = os.Remove(dir) // fails if it is not empty
	}
}

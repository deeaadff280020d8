//go:build linux

package powercut

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// File is a regular file or, going by its mode, a directory.
type File struct {
	Mode fs.FileMode
	Data []byte
}

// Image is what lies below a directory, by paths relative to it.
type Image map[string]File

// Read returns what lies below a directory. Nothing else than files and
// directories may.
func Read(root string) (Image, error) {
	image := Image{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		f := File{Mode: fi.Mode()}
		switch {
		case fi.Mode().IsRegular():
			if f.Data, err = os.ReadFile(path); err != nil {
				return err
			}
		case !fi.IsDir():
			return &fs.PathError{Op: "reading", Path: path, Err: fs.ErrInvalid}
		}
		rel, err := filepath.Rel(root, path)
		image[filepath.ToSlash(rel)] = f
		return err
	})
	return image, err
}

// Write has a directory hold an image and nothing else. What is written is of
// an hour ago and more, as if the power had been off for a while.
func (image Image) Write(root string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(root, e.Name())); err != nil {
			return err
		}
	}
	then := time.Now().Add(-2 * time.Hour)
	for _, p := range slices.Sorted(maps.Keys(image)) {
		f, path := image[p], filepath.Join(root, filepath.FromSlash(p))
		if f.Mode.IsDir() {
			err = os.Mkdir(path, 0o700)
		} else {
			err = os.WriteFile(path, f.Data, 0o600)
		}
		if err == nil {
			err = os.Chmod(path, f.Mode.Perm())
		}
		if err == nil {
			err = os.Chtimes(path, then, then)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

package oci

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Dir are the files of a layout in a directory. No link leads out of
// it, and none is followed.
type Dir struct{ Root *os.Root }

func (l Dir) Small(name string) ([]byte, error) {
	f, size, err := l.regular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > MaxDocument {
		return nil, fault.New(fault.Integrity, "its %s has %d bytes; at most %d are read", name, size, MaxDocument)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxDocument))
	if err != nil {
		return nil, fmt.Errorf("reading its %s: %w", name, err)
	}
	return data, nil
}

func (l Dir) Partial() bool {
	for _, name := range []string{IndexName, BlobsDir} {
		if _, err := l.Root.Lstat(name); err == nil {
			return true
		}
	}
	return false
}

func (l Dir) Empty() bool {
	names, err := l.Names(".")
	return err == nil && len(names) == 0
}

func (l Dir) Size(d lock.SHA256) (int64, error) {
	fi, err := l.lstat(BlobPath(d))
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (l Dir) Open(d lock.SHA256) (blob.File, error) {
	f, _, err := l.regular(BlobPath(d))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// BlobPath returns where a blob is in a layout.
func BlobPath(d lock.SHA256) string { return BlobsDir + "/" + d.String() }

// lstat describes a file, and refuses anything else.
func (l Dir) lstat(name string) (fs.FileInfo, error) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if fi, err := l.Root.Lstat(dir); err == nil && !fi.IsDir() {
			return nil, fault.New(fault.Integrity, "%s is not a directory", dir)
		}
	}
	fi, err := l.Root.Lstat(name)
	if err != nil {
		return nil, fmt.Errorf("opening its %s: %w", name, disk.Reason(err))
	}
	if !fi.Mode().IsRegular() {
		err = fault.New(fault.Integrity, "%s is not a regular file", name)
	}
	return fi, err
}

// regular opens a file, and nothing that it was swapped for.
func (l Dir) regular(name string) (*os.File, int64, error) {
	seen, err := l.lstat(name)
	if err != nil {
		return nil, 0, err
	}
	f, err := l.Root.OpenFile(name, os.O_RDONLY|disk.NoWait, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("opening its %s: %w", name, disk.Reason(err))
	}
	fi, err := f.Stat()
	if err == nil && !os.SameFile(seen, fi) {
		err = fault.New(fault.Integrity, "%s was replaced while it was opened", name)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, fi.Size(), nil
}

// Names lists a directory.
func (l Dir) Names(dir string) ([]string, error) {
	sub, err := disk.OpenDir(l.Root, dir)
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	d, err := sub.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

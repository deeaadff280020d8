package oci

import (
	"fmt"
	"os"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

// dirFiles are the files of a layout in a directory. No link is followed.
type dirFiles struct{ root *os.Root }

func (d dirFiles) open(name string) (blob.File, int64, error) {
	f, err := disk.OpenRegular(d.root, name)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, disk.Reason(err))
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	return f, fi.Size(), nil
}

func (d dirFiles) size(name string) (int64, error) {
	fi, err := disk.StatRegular(d.root, name)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, disk.Reason(err))
	}
	return fi.Size(), nil
}

func (d dirFiles) holds() (blobs, anything bool) {
	_, err := d.root.Lstat(BlobsDir)
	names, errNames := Names(d.root, ".")
	return err == nil, errNames != nil || len(names) > 0
}

// Names lists a directory below a root, to which no link leads.
func Names(root *os.Root, dir string) ([]string, error) {
	sub, err := disk.OpenDir(root, dir)
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

// BlobPath returns where a blob is in a layout.
func BlobPath(d lock.SHA256) string { return BlobsDir + "/" + d.String() }

// IsBlobName reports whether a name is a digest as layouts write it.
func IsBlobName(name string) bool {
	d, err := lock.ParseSHA256(name)
	return err == nil && d.String() == name
}

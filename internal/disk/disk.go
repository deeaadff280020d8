// Package disk is the program's access to file systems: it opens files below a root without
// following links, sets modes that readers need, syncs directories, and finds free space and
// temporary files. Code for one operating system is in system_*.go.
package disk

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// Hint returns the hint for an error of a file system that lacks a feature which this program
// needs, and "" for other errors. elsewhere is a step that names another place to write to.
func Hint(err error, elsewhere string) string {
	link, isLink := errors.AsType[*os.LinkError](err)
	switch {
	case isTooLarge(err):
		return elsewhere + ": this file system cannot store a file of this size (FAT32: at most 4 GiB), or ulimit -f is too low; or format the disk as exFAT"
	case isLink && (errors.Is(link.Err, fs.ErrPermission) || errors.Is(link.Err, errors.ErrUnsupported)):
		return elsewhere + ", and copy the result from there: this file system cannot rename files (perhaps a mounted object store), or you cannot write to it"
	}
	return ""
}

// IsVolumeMetadata reports whether a name in the root of a volume is one that the file system or
// the operating system creates: for files that fsck finds, for snapshots (NetApp, ZFS), for deleted
// files, or for its own data.
func IsVolumeMetadata(name string) bool {
	switch name {
	case "lost+found", ".snapshot", ".zfs",
		"System Volume Information", "$RECYCLE.BIN",
		".Trashes", ".fseventsd", ".DS_Store", ".TemporaryItems":
		return true
	}
	return strings.HasPrefix(name, ".Trash-") || strings.HasPrefix(name, ".Spotlight-") || IsLeftover(name)
}

// IsLeftover reports whether NFS or FUSE gives such a name to a file that was removed
// or replaced while a process had it open. The file goes away when it is closed.
func IsLeftover(name string) bool {
	return strings.HasPrefix(name, ".nfs") || strings.HasPrefix(name, ".fuse_hidden")
}

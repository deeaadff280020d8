package disk

import "strings"

// IsVolumeMetadata reports whether a name in the root of a volume is one that a file
// system or an operating system makes there: for files that fsck finds, for
// snapshots (NetApp, ZFS), for deleted files, for its own data.
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

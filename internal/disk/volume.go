package disk

import "strings"

// IsVolumeMetadata reports whether a name in the root of a volume is one that a file
// system or an operating system puts there by itself: for what fsck finds, for
// snapshots (NetApp, ZFS), for what people deleted, for its own notes.
func IsVolumeMetadata(name string) bool {
	switch name {
	case "lost+found", ".snapshot", ".zfs",
		"System Volume Information", "$RECYCLE.BIN",
		".Trashes", ".fseventsd", ".DS_Store", ".TemporaryItems":
		return true
	}
	return strings.HasPrefix(name, ".Trash-") || strings.HasPrefix(name, ".Spotlight-") || IsLeftover(name)
}

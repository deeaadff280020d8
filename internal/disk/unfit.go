package disk

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// Hint returns what to do about an error of a file system that cannot do what
// the program needs, or "" if the error says nothing of the kind. Elsewhere says
// where else to write.
func Hint(err error, elsewhere string) string {
	link, isLink := errors.AsType[*os.LinkError](err)
	switch {
	case isTooLarge(err):
		return "the file system takes no files of this size (FAT32: up to 4 GiB): " + elsewhere + ", or format it as exFAT"
	case isLink && (errors.Is(link.Err, fs.ErrPermission) || errors.Is(link.Err, errors.ErrUnsupported)):
		return "if you may write here, the file system does not rename files, like an object store that is mounted: " + elsewhere + ", and copy from there"
	}
	return ""
}

// IsLeftover reports whether a name is that under which NFS or FUSE keeps a file
// that was removed or replaced while somebody had it open. It goes by itself.
func IsLeftover(name string) bool {
	return strings.HasPrefix(name, ".nfs") || strings.HasPrefix(name, ".fuse_hidden")
}

package disk

import (
	"errors"
	"io/fs"
	"os"
)

// Hint returns what to do about an error that says that a file system lacks a feature
// which this program needs, and "" for any other error. elsewhere names another
// place to write to.
func Hint(err error, elsewhere string) string {
	link, isLink := errors.AsType[*os.LinkError](err)
	switch {
	case isTooLarge(err):
		return "the file system takes no files of this size (FAT32: up to 4 GiB), or ulimit -f forbids them: " + elsewhere + ", or format it as exFAT"
	case isLink && (errors.Is(link.Err, fs.ErrPermission) || errors.Is(link.Err, errors.ErrUnsupported)):
		return "if you may write here, the file system does not rename files, like an object store that is mounted: " + elsewhere + ", and copy from there"
	}
	return ""
}

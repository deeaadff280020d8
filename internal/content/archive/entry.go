package archive

import (
	"archive/tar"
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/mholt/archiver/v4"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// entry is an entry of an archive.
type entry struct {
	// raw is the name in the archive. name is the path to which go-getter unpacks the entry:
	// "kubectl" for "./kubectl" and "/kubectl".
	raw, name string
	directory bool
	// size is the size from the header, in bytes.
	size int64
	// problem says why the entry must not be taken, or is "". It matters only if the entry is the
	// wanted file.
	problem string
	open    func() (io.ReadCloser, error)
}

func newEntry(f archiver.File) entry {
	return entry{
		raw: f.NameInArchive, name: cleanName(f.NameInArchive),
		directory: f.IsDir(), size: f.Size(), problem: problemOf(f), open: f.Open,
	}
}

// cleanName returns the path to which go-getter unpacks an entry.
func cleanName(raw string) string { return path.Clean(strings.TrimLeft(raw, "/")) }

const (
	// maxName is the longest name of an entry that is taken, in bytes. It is the longest path of
	// Linux.
	maxName = 4096
	isLink  = "is a link, not a regular file"
)

// problemOf says why an entry must not be taken, or returns "".
func problemOf(f archiver.File) string {
	name, mode := f.NameInArchive, f.Mode()
	inTar, _ := f.Header.(*tar.Header)
	switch {
	case mode&fs.ModeSymlink != 0, inTar != nil && inTar.Typeflag == tar.TypeLink:
		return isLink
	case !mode.IsRegular() && !mode.IsDir():
		return "is not a regular file"
	case len(name) > maxName:
		return fmt.Sprintf("has a name of more than %d bytes", maxName)
	case strings.ContainsFunc(name, unicode.IsControl):
		return "has control characters in its name"
	case isAbsolute(name):
		return "has an absolute path"
	}
	return packingProblem(f)
}

// packingProblem says why the content of an entry must not be read, or returns "". Archiver
// supports more compression methods in a zip than go-getter, and some of their decoders have no
// limit on memory.
func packingProblem(f archiver.File) string {
	const encrypted = 1
	inZip, _ := f.Header.(zip.FileHeader)
	switch {
	case inZip.Flags&encrypted != 0:
		return "is encrypted"
	case inZip.Method != zip.Store && inZip.Method != zip.Deflate:
		return fmt.Sprintf("uses the unsupported compression method %d", inZip.Method)
	}
	return ""
}

// err returns the problem as an error, or nil.
func (e entry) err() error {
	if e.problem == "" {
		return nil
	}
	err := fault.New(fault.Integrity, "archive entry %s %s", quote(e.raw), e.problem)
	if e.problem == isLink {
		return err.WithHint("the agent unpacks a link as an empty file, and cannot run that")
	}
	return err
}

func isSlash(r rune) bool { return r == '/' || r == '\\' }

// hasDotDot reports whether a name has a part "..". That includes a/../b, which go-getter refuses,
// too (decompress.go, containsDotDot).
func hasDotDot(name string) bool {
	return slices.Contains(strings.FieldsFunc(name, isSlash), "..")
}

// isAbsolute reports whether a name is an absolute path on Unix or Windows.
func isAbsolute(name string) bool {
	return name != "" && isSlash(rune(name[0])) || len(name) > 2 && name[1] == ':' && isSlash(rune(name[2]))
}

// quote makes a name from an archive safe to print on a terminal.
func quote(name string) string {
	const longest = 100
	if len(name) > longest {
		return strconv.Quote(name[:longest]) + "…"
	}
	return strconv.Quote(name)
}

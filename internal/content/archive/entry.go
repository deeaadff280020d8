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
	// raw is the name as the archive has it; name is what go-getter makes of it in the
	// directory that it unpacks to: "kubectl", for "./kubectl" and "/kubectl".
	raw, name string
	directory bool
	// size is in bytes, as the header says.
	size int64
	// problem is why the entry must not be taken, or "". It matters for the wanted file alone.
	problem string
	open    func() (io.ReadCloser, error)
}

func newEntry(f archiver.File) entry {
	return entry{
		raw: f.NameInArchive, name: cleanName(f.NameInArchive),
		directory: f.IsDir(), size: f.Size(), problem: problemOf(f), open: f.Open,
	}
}

// cleanName is where go-getter puts an entry.
func cleanName(raw string) string { return path.Clean(strings.TrimLeft(raw, "/")) }

const (
	// maxName is the longest name of an entry that is taken, in bytes: Linux has no
	// longer paths.
	maxName = 4096
	isLink  = "is a link, not a regular file"
)

// problemOf says why an entry must not be taken, or "".
func problemOf(f archiver.File) string {
	name, mode := f.NameInArchive, f.Mode()
	inTar, _ := f.Header.(*tar.Header)
	switch {
	case mode&fs.ModeSymlink != 0, inTar != nil && inTar.Typeflag == tar.TypeLink:
		return isLink
	case !mode.IsRegular() && !mode.IsDir():
		return "is no file, directory or link"
	case len(name) > maxName:
		return "has too long a name"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "has control characters in its name"
	case isAbsolute(name):
		return "has an absolute name"
	}
	return packingProblem(f)
}

// packingProblem says why the content of an entry must not be read, or "". Archiver could
// read more of what a zip holds than go-getter, with decoders that have no bounds on their
// memory.
func packingProblem(f archiver.File) string {
	const encrypted = 1
	inZip, _ := f.Header.(zip.FileHeader)
	switch {
	case inZip.Flags&encrypted != 0:
		return "is encrypted"
	case inZip.Method != zip.Store && inZip.Method != zip.Deflate:
		return fmt.Sprintf("is compressed by the unsupported method %d", inZip.Method)
	}
	return ""
}

// err is the problem as an error, or nil.
func (e entry) err() error {
	if e.problem == "" {
		return nil
	}
	err := fault.New(fault.Integrity, "archive entry %s %s", quote(e.raw), e.problem)
	if e.problem == isLink {
		return err.WithHint("the agent makes an empty file of a link, and cannot run it")
	}
	return err
}

func isSlash(r rune) bool { return r == '/' || r == '\\' }

// hasDotDot refuses names like a/../b, too, as go-getter does (decompress.go,
// containsDotDot).
func hasDotDot(name string) bool {
	return slices.Contains(strings.FieldsFunc(name, isSlash), "..")
}

// isAbsolute knows the absolute names of Windows, too.
func isAbsolute(name string) bool {
	return name != "" && isSlash(rune(name[0])) || len(name) > 2 && name[1] == ':' && isSlash(rune(name[2]))
}

// quote returns a name from an archive so that it can be shown on a terminal.
func quote(name string) string {
	const longest = 100
	if len(name) > longest {
		return strconv.Quote(name[:longest]) + "…"
	}
	return strconv.Quote(name)
}

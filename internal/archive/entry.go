package archive

import (
	"archive/tar"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/mholt/archiver/v4"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// entry is an entry of an archive that was found to be harmless.
type entry struct {
	// name is clean: "kubectl", not "./kubectl".
	name string
	kind kind
	open func() (fs.File, error)
}

type kind int

const (
	regular kind = iota
	directory
	symlink
	hardlink
	special
)

// entry checks and counts an entry.
func (x *extraction) entry(f archiver.FileInfo) (entry, error) {
	e := entry{kind: kindOf(f), open: f.Open}
	var size int64
	if e.kind == regular {
		size = f.Size()
	}
	if err := x.meter.entry(size); err != nil {
		return entry{}, err
	}
	var err error
	if e.name, err = cleanName(f.NameInArchive); err != nil {
		return entry{}, err
	}
	switch e.kind {
	case regular:
		if e.name == "." {
			return entry{}, fault.New(fault.Integrity, "archive holds a file without a name")
		}
	case symlink, hardlink:
		return e, x.checkLink(e, f)
	case special:
		return entry{}, fault.New(fault.Integrity, "archive entry %s is no file, directory or link", quote(e.name))
	}
	return e, nil
}

func kindOf(f archiver.FileInfo) kind {
	if h, ok := f.Header.(*tar.Header); ok && h.Typeflag == tar.TypeLink {
		return hardlink
	}
	switch mode := f.Mode(); {
	case mode&fs.ModeSymlink != 0:
		return symlink
	case mode.IsDir():
		return directory
	case mode.IsRegular():
		return regular
	default:
		return special
	}
}

// maxName is the longest name of an entry: Linux has no longer paths.
const maxName = 4096

// cleanName returns the name that an entry has once it is unpacked.
func cleanName(raw string) (string, error) {
	var problem string
	switch {
	case len(raw) > maxName:
		problem = "has too long a name"
	case strings.ContainsFunc(raw, unicode.IsControl):
		problem = "has control characters in its name"
	case isAbsolute(raw):
		problem = "has an absolute name"
	case hasDotDot(raw):
		problem = "leads out of the archive"
	default:
		return path.Clean(raw), nil
	}
	return "", fault.New(fault.Integrity, "archive entry %s %s", quote(raw), problem)
}

func isSlash(r rune) bool { return r == '/' || r == '\\' }

// hasDotDot refuses names like a/../b, too, as go-getter does (decompress.go,
// containsDotDot).
func hasDotDot(name string) bool {
	for part := range strings.FieldsFuncSeq(name, isSlash) {
		if part == ".." {
			return true
		}
	}
	return false
}

// isAbsolute knows the absolute names of Windows, too.
func isAbsolute(name string) bool {
	if len(name) > 2 && name[1] == ':' && isSlash(rune(name[2])) {
		return true
	}
	return name != "" && isSlash(rune(name[0]))
}

// checkLink refuses a link that leaves the archive. Nothing would follow it
// here, but whoever made it meant no good.
func (x *extraction) checkLink(e entry, f archiver.FileInfo) error {
	target := f.LinkTarget
	if target == "" {
		var err error
		if target, err = x.zipLinkTarget(f); err != nil {
			return err
		}
	}
	if len(target) > maxName {
		return fault.New(fault.Integrity, "archive entry %s is a link to too long a name", quote(e.name))
	}
	from := "."
	if e.kind == symlink {
		from = path.Dir(e.name)
	}
	to := path.Join(from, strings.ReplaceAll(target, `\`, "/"))
	if isAbsolute(target) || to == ".." || strings.HasPrefix(to, "../") {
		return fault.New(fault.Integrity, "archive entry %s is a link to %s, outside the archive", quote(e.name), quote(target))
	}
	return nil
}

// zipLinkTarget reads where a link points to: in a zip that is its content.
func (x *extraction) zipLinkTarget(f archiver.FileInfo) (string, error) {
	content, err := f.Open()
	if err != nil {
		return "", x.explain(err)
	}
	defer content.Close()
	target, err := io.ReadAll(io.LimitReader(content, maxName+1))
	return string(target), x.explain(err)
}

// quote returns a name from an archive so that it can be shown on a terminal.
func quote(name string) string {
	const longest = 100
	if len(name) > longest {
		return strconv.Quote(name[:longest]) + "…"
	}
	return strconv.Quote(name)
}

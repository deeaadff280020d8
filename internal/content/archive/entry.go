package archive

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/mholt/archiver/v4"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// entry is an entry of an archive.
type entry struct {
	// raw is the name as the archive has it; name is what go-getter makes of it
	// in the directory that it unpacks to: "kubectl", for "./kubectl" and
	// "/kubectl".
	raw, name string
	kind      kind
	// size is in bytes, as the header says.
	size int64
	// problem is why the entry must not be taken, if it must not. It matters for
	// the wanted file alone.
	problem error
	open    func() (fs.File, error)
}

type kind int

const (
	regular kind = iota
	directory
	other
)

// maxName is the longest name of an entry that is taken, in bytes: Linux has no
// longer paths.
const maxName = 4096

// newEntry judges an entry by its name and its mode.
func newEntry(f archiver.FileInfo) entry {
	raw := f.NameInArchive
	e := entry{raw: raw, name: path.Clean(strings.TrimLeft(raw, "/")), size: f.Size(), open: f.Open}
	switch mode := f.Mode(); {
	case mode.IsDir():
		e.kind = directory
	case mode&fs.ModeSymlink != 0:
		e.forbid(errLink(raw))
	case !mode.IsRegular():
		e.kind = other
		e.forbid(fault.New(fault.Integrity, "archive entry %s is no file, directory or link", quote(raw)))
	}
	if problem := nameProblem(raw); problem != "" {
		e.forbid(fault.New(fault.Integrity, "archive entry %s %s", quote(raw), problem))
	}
	return e
}

// forbid says why the entry must not be taken, unless that is known.
func (e *entry) forbid(problem error) {
	if e.problem == nil {
		e.problem = problem
	}
}

func errLink(raw string) error {
	return fault.New(fault.Integrity, "archive entry %s is a link, not a regular file", quote(raw)).
		WithHint("the agent makes an empty file of a link, and cannot run it")
}

// consider counts an entry, and reports whether it is the best so far.
func (x *extraction) consider(e entry) (bool, error) {
	if err := x.meter.entry(); err != nil {
		return false, err
	}
	if hasDotDot(e.raw) {
		return false, fault.New(fault.Integrity, "archive entry %s leads out of the archive", quote(e.raw)).
			WithHint("the agent refuses every archive with .. in a name")
	}
	return x.pick.offer(e)
}

// nameProblem says why a file of that name is not taken, or "".
func nameProblem(raw string) string {
	switch {
	case len(raw) > maxName:
		return "has too long a name"
	case strings.ContainsFunc(raw, unicode.IsControl):
		return "has control characters in its name"
	case isAbsolute(raw):
		return "has an absolute name"
	default:
		return ""
	}
}

func isSlash(r rune) bool { return r == '/' || r == '\\' }

// hasDotDot refuses names like a/../b, too, as go-getter does (decompress.go,
// containsDotDot).
func hasDotDot(name string) bool {
	if !strings.Contains(name, "..") {
		return false
	}
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

// quote returns a name from an archive so that it can be shown on a terminal.
func quote(name string) string {
	const longest = 100
	if len(name) > longest {
		return strconv.Quote(name[:longest]) + "…"
	}
	return strconv.Quote(name)
}

package disk

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// OpenDir opens a directory below a root. It follows no link, and fails if the directory
// is replaced meanwhile. If there is none, the error is [fs.ErrNotExist]; for anything
// but a directory it is of kind [fault.Integrity].
func OpenDir(root *os.Root, name string) (*os.Root, error) {
	if err := CheckParents(root, name); err != nil {
		return nil, err
	}
	seen, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !seen.IsDir() {
		return nil, fault.New(fault.Integrity, "it is %s, not a directory", DescribeType(seen.Mode()))
	}
	// Opening NAME/. never waits for a pipe, as opening NAME would.
	sub, err := root.OpenRoot(name + "/.")
	if err != nil {
		return nil, err
	}
	fi, err := sub.Stat(".")
	if err == nil && !os.SameFile(seen, fi) {
		err = errReplaced
	}
	if err != nil {
		return nil, errors.Join(err, sub.Close())
	}
	return sub, nil
}

// ReadDir lists a directory below a root, by name. It does not wait for the writer of a
// pipe in its place.
func ReadDir(root *os.Root, name string) ([]fs.DirEntry, error) {
	d, err := root.Open(name + "/.")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

var errReplaced = fault.New(fault.Integrity, "another process replaced it")

// OpenRegular opens a regular file below a root to read. It follows no link and does
// not wait for the writer of a pipe. A file that is replaced meanwhile, as when another
// process renames its own into place, it opens again, a few times. If there is none,
// the error is [fs.ErrNotExist]; for anything but a regular file it is of kind
// [fault.Integrity].
func OpenRegular(root *os.Root, name string) (f *os.File, err error) {
	for range 10 {
		if f, err = openRegular(root, name); !errors.Is(err, errReplaced) {
			break
		}
	}
	return f, err
}

func openRegular(root *os.Root, name string) (*os.File, error) {
	seen, err := StatRegular(root, name)
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|NoWait, 0)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !os.SameFile(seen, fi) {
		err = errReplaced
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// StatRegular describes a regular file below a root, with the errors of [OpenRegular].
func StatRegular(root *os.Root, name string) (fs.FileInfo, error) {
	if err := CheckParents(root, name); err != nil {
		return nil, err
	}
	fi, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	return fi, notRegular(fi)
}

// CheckParents returns an error if something above a path below root is not a directory, such as a
// link. A missing directory is not an error.
func CheckParents(root *os.Root, name string) error {
	for dir := path.Dir(path.Clean(name)); dir != "." && dir != "/"; dir = path.Dir(dir) {
		if fi, err := root.Lstat(dir); err == nil && !fi.IsDir() {
			return fault.New(fault.Integrity, "%s is %s, not a directory", dir, DescribeType(fi.Mode()))
		}
	}
	return nil
}

// Open opens a regular file to read, by a path that may lead through links. Like
// [OpenRegular] it never waits for a pipe, and anything else than a regular file is
// of kind [fault.Integrity].
func Open(path string) (*os.File, fs.FileInfo, error) {
	// Stat first: opening some devices has effects.
	if fi, err := os.Stat(path); err != nil {
		return nil, nil, err
	} else if err := notRegular(fi); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|NoWait, 0)
	if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err == nil {
		err = notRegular(fi)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, fi, nil
}

// IsBrokenLink reports whether a path is a link that cannot be followed.
func IsBrokenLink(path string) bool {
	fi, err := os.Lstat(path)
	if err != nil || fi.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	_, err = os.Stat(path)
	return err != nil
}

func notRegular(fi fs.FileInfo) error {
	if fi.Mode().IsRegular() {
		return nil
	}
	return fault.New(fault.Integrity, "it is %s, not a regular file", DescribeType(fi.Mode()))
}

// DescribeType says in words what kind of file a mode has.
func DescribeType(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "a regular file"
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSymlink != 0:
		return "a link"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}

// Opener is [OpenRegular] for many files below one root.
type Opener struct {
	root *os.Root
	// dir is the directory, or nil where the system cannot open below it in one step.
	dir *os.File
}

// NewOpener returns an opener for a root, which stays the caller's.
func NewOpener(root *os.Root) *Opener { return &Opener{root, openDirectory(root)} }

// OpenRegular opens a file as [OpenRegular] does.
func (o *Opener) OpenRegular(name string) (*os.File, error) {
	if f := openBeneath(o.dir, name); f != nil {
		return f, nil
	}
	return OpenRegular(o.root, name) // says what is wrong, if anything is
}

// Close closes the opener.
func (o *Opener) Close() error {
	if o.dir == nil {
		return nil
	}
	return o.dir.Close()
}

// MakeDirs creates a directory and its parents, and returns those it created,
// the outermost first. For a reader they have the mode, whatever the umask: the error is
// a [ModeError] if the file system does not let the reader use one. If r is nil, their
// mode is up to the umask.
func MakeDirs(dir string, mode fs.FileMode, r *Reader) (created []string, err error) {
	if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
		return nil, nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if created, err = MakeDirs(parent, mode, r); err != nil {
			return created, err
		}
	}
	// What follows is below the opened parent, so that a link that replaces the new
	// directory leads nowhere else.
	root, err := OpenRoot(parent)
	if err != nil {
		return created, err
	}
	defer root.Close()
	name := filepath.Base(dir)
	err = root.Mkdir(name, mode)
	if errors.Is(err, fs.ErrExist) {
		// Another run was faster, or it is a file, which the next step notices.
		return created, nil
	}
	if err != nil {
		return created, err
	}
	created = append(created, dir)
	if r == nil {
		return created, nil
	}
	return created, Chmod(root, name, mode, *r)
}

// RemoveDirs removes those of the directories that are empty. The outermost must come first.
func RemoveDirs(dirs []string) {
	for _, dir := range slices.Backward(dirs) {
		_ = os.Remove(dir) // fails if it is not empty
	}
}

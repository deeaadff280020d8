package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

const (
	// special are the bits that have a file run as its owner or its group.
	special       = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	writableByAll = 0o002
)

// Exposed reports whether every user may change a file, or the content of a directory.
func (a Access) Exposed() bool { return runtime.GOOS != "windows" && a.Mode&writableByAll != 0 }

// Wrong returns what is wrong with the mode of a file or a directory that a reader
// must be able to use as a mode would let it, or "". Further bits are right, those of
// a group too: volumes that have one (a pod's fsGroup) depend on them.
func (a Access) Wrong(r Reader, mode fs.FileMode) string {
	wrong := a.WrongOnModeless(r, mode)
	if wrong == "" && a.Exposed() {
		wrong = fmt.Sprintf("its mode is %04o, so every user can change it", a.Mode.Perm())
	}
	return wrong
}

// WrongOnModeless is [Access.Wrong] on a volume that keeps no modes: that every user
// may change a file there is not to be held against the file.
func (a Access) WrongOnModeless(r Reader, mode fs.FileMode) string {
	if a.Mode.IsRegular() && a.Mode&special != 0 {
		return "it has the setuid, setgid or sticky bit, which botkube-mirror never sets"
	}
	return a.Lacking(r, mode)
}

// KeepsModes reports whether a volume seems to keep the modes of files. A volume that does not,
// such as one of SMB, gives all files the same mode, which lets every user change them.
func KeepsModes(modes []fs.FileMode) bool {
	return len(modes) == 0 || slices.ContainsFunc(modes, func(m fs.FileMode) bool { return m != modes[0] || !(Access{Mode: m}).Exposed() })
}

// repairedMode adds to a mode what it lacks, and takes away what is [Access.Wrong].
func repairedMode(mode, want fs.FileMode) fs.FileMode {
	if mode.IsRegular() {
		mode &^= special
	}
	return mode&^writableByAll | want
}

// Repair corrects the mode of a file or directory at a path below root: it adds the bits of want,
// and removes setuid, setgid, sticky and write permission for all users. The reader r needs the
// permissions of need. Repair reports whether the mode changed: file systems with modes of their
// own refuse or ignore it, as with [SetMode].
func Repair(root *os.Root, path string, fi fs.FileInfo, want, need fs.FileMode, r Reader) (changed bool, err error) {
	mode := repairedMode(fi.Mode(), want)
	if mode == fi.Mode() {
		return false, nil
	}
	if err := checkMode(root.Chmod(path, mode), root, path, need, r); err != nil {
		return false, err
	}
	now, err := root.Lstat(path)
	return err == nil && now.Mode() != fi.Mode(), err
}

// ModeError says that a file cannot be given the mode that its reader needs.
type ModeError struct {
	Path string
	// Lacking says what the reader lacks.
	Lacking string
	// Err is what the file system answered, or nil if it ignored the new mode.
	Err error
}

func (e *ModeError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: %s, and the file system ignores chmod", e.Path, e.Lacking)
	}
	return fmt.Sprintf("%s: %s, and chmod fails: %s", e.Path, e.Lacking, Reason(e.Err))
}

func (e *ModeError) Unwrap() error { return e.Err }

// SetMode gives an open file a mode, whatever the umask. Path is for errors.
// File systems with modes of their own, such as SMB, refuse that or ignore it;
// then the mode that the file has must suffice for the reader, or the error is a
// [ModeError].
func SetMode(f *os.File, path string, mode fs.FileMode, r Reader) error {
	return checkAccess(f.Chmod(mode), f.Stat, path, mode, r)
}

// Chmod is [SetMode] for a path below a root.
func Chmod(root *os.Root, path string, mode fs.FileMode, r Reader) error {
	return checkMode(root.Chmod(path, mode), root, path, mode, r)
}

func checkMode(changed error, root *os.Root, path string, need fs.FileMode, r Reader) error {
	stat := func() (fs.FileInfo, error) { return root.Lstat(path) }
	return checkAccess(changed, stat, filepath.Join(root.Name(), filepath.FromSlash(path)), need, r)
}

// checkAccess checks the access to a file after its mode was set, perhaps in vain.
func checkAccess(changed error, stat func() (fs.FileInfo, error), path string, need fs.FileMode, r Reader) error {
	if changed != nil && !refused(changed) {
		return changed
	}
	fi, err := stat()
	if err != nil {
		return err
	}
	if lacking := AccessOf(fi).Lacking(r, need); lacking != "" {
		return &ModeError{path, lacking, changed}
	}
	return nil
}

// refused reports whether a file system does not let this user set modes.
func refused(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) || isReadOnly(err)
}

// Reader is a process that uses what this program writes.
type Reader struct {
	// User and Group are its numbers, or -1 if they are not known.
	User, Group int
}

// Anyone is a reader of unknown user and group: it needs the permissions of all users.
var Anyone = Reader{-1, -1}

// Self is this process.
func Self() Reader { return Reader{os.Getuid(), os.Getgid()} }

// Access is who may do what with a file.
type Access struct {
	// Mode has the permissions and the kind of a file.
	Mode fs.FileMode
	// User and Group own the file. Both are -1 if they are not known.
	User, Group int
}

// AccessOf returns the access to a file.
func AccessOf(fi fs.FileInfo) Access {
	a := Access{Mode: fi.Mode()}
	a.User, a.Group = ownerOf(fi)
	return a
}

// readAndRun are what a reader may need: read-only media have no permission to write.
const readAndRun = 0o555

// Lacking returns which permissions of a mode a reader lacks, in words, or "". Windows
// has no such permissions.
func (a Access) Lacking(r Reader, mode fs.FileMode) string {
	need := mode.Perm() & readAndRun
	if runtime.GOOS == "windows" || a.grants(r, need) {
		return ""
	}
	if r == Anyone {
		return fmt.Sprintf("its mode is %04o, but other users need %04o", a.Mode.Perm(), need)
	}
	return fmt.Sprintf("its mode is %04o and its owner %d:%d, but user %d of group %d needs %04o", a.Mode.Perm(), a.User, a.Group, r.User, r.Group, need)
}

// grants reports whether a reader has permissions. Root may read everything.
func (a Access) grants(r Reader, need fs.FileMode) bool {
	if r.User == 0 {
		return true
	}
	const others, group, owner = 0o007, 0o070, 0o700
	has := func(class fs.FileMode) bool { return a.Mode&need&class == need&class }
	return has(others) || r.User >= 0 && r.User == a.User && has(owner) || r.Group >= 0 && r.Group == a.Group && has(group)
}

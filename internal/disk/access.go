package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Reader is a process that uses what this program writes.
type Reader struct {
	// User and Group are its numbers, or -1 if they are not known.
	User, Group int
}

// Anyone is a reader of which nothing is known: only the permissions of all users
// help it.
var Anyone = Reader{-1, -1}

// Self is this process.
func Self() Reader { return Reader{os.Getuid(), os.Getgid()} }

// Access is what a file system grants.
type Access struct {
	// Mode has the permissions and the kind of a file.
	Mode fs.FileMode
	// User and Group own the file. Both are -1 if they are not known.
	User, Group int
}

// AccessOf returns what a file system grants to a file.
func AccessOf(fi fs.FileInfo) Access {
	a := Access{Mode: fi.Mode()}
	a.User, a.Group = ownerOf(fi)
	return a
}

// readAndRun are the permissions that a reader may need. Nobody needs to write:
// media that cannot be written to lack those bits.
const readAndRun = 0o555

// Lacking returns why a reader cannot use a file as a mode would let it, or "".
// Windows has no such permissions.
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

// grants reports whether a reader has permissions, as one of all users, as the
// owner, or by its group. Root may read everything.
func (a Access) grants(r Reader, need fs.FileMode) bool {
	if r.User == 0 {
		return true
	}
	const others, group, owner = 0o007, 0o070, 0o700
	has := func(class fs.FileMode) bool { return a.Mode&need&class == need&class }
	return has(others) || r.User >= 0 && r.User == a.User && has(owner) || r.Group >= 0 && r.Group == a.Group && has(group)
}

// Privileged reports whether a file runs as its owner or its group, whoever starts it.
func (a Access) Privileged() bool { return a.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 }

// Exposed reports whether every user may change a file.
func (a Access) Exposed() bool { return runtime.GOOS != "windows" && a.Mode&writableByAll != 0 }

const writableByAll = 0o002

// RepairedMode returns the mode of a file, with what is missing in it, and without what
// makes it privileged or exposed.
func RepairedMode(mode, want fs.FileMode) fs.FileMode {
	return mode&^(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky|writableByAll) | want
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
		return fmt.Sprintf("%s: %s, and the file system ignores a change of the mode", e.Path, e.Lacking)
	}
	return fmt.Sprintf("%s: %s, and the mode cannot be changed: %s", e.Path, e.Lacking, reason(e.Err))
}

func (e *ModeError) Unwrap() error { return e.Err }

// reason drops the path of an error, which stands beside it.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// SetMode gives an open file a mode, whatever the umask. Path is for errors.
// File systems with modes of their own, such as SMB, refuse that or ignore it;
// then the mode that the file has must suffice for the reader, or the error is a
// [ModeError].
func SetMode(f *os.File, path string, mode fs.FileMode, r Reader) error {
	return settle(f.Chmod(mode), f.Stat, path, mode, r)
}

// Chmod is [SetMode] for what lies at a path below a root.
func Chmod(root *os.Root, path string, mode fs.FileMode, r Reader) error {
	look := func() (fs.FileInfo, error) { return root.Lstat(path) }
	return settle(root.Chmod(path, mode), look, filepath.Join(root.Name(), filepath.FromSlash(path)), mode, r)
}

// settle looks at what came of setting a mode.
func settle(changed error, look func() (fs.FileInfo, error), path string, mode fs.FileMode, r Reader) error {
	if changed != nil && !refused(changed) {
		return changed
	}
	fi, err := look()
	if err != nil {
		return err
	}
	if lacking := AccessOf(fi).Lacking(r, mode); lacking != "" {
		return &ModeError{path, lacking, changed}
	}
	return nil
}

// refused reports whether a file system does not let this user set modes.
func refused(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) || isReadOnly(err)
}

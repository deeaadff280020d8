package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// RepairedMode returns a mode with the permissions it lacks, and without those that
// make a file privileged or exposed.
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

// reason returns an error without its path, which the message has already.
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
	return checkMode(f.Chmod(mode), f.Stat, path, mode, r)
}

// Chmod is [SetMode] for a path below a root.
func Chmod(root *os.Root, path string, mode fs.FileMode, r Reader) error {
	stat := func() (fs.FileInfo, error) { return root.Lstat(path) }
	return checkMode(root.Chmod(path, mode), stat, filepath.Join(root.Name(), filepath.FromSlash(path)), mode, r)
}

// checkMode checks the access to a file after its mode was set, perhaps in vain.
func checkMode(changed error, stat func() (fs.FileInfo, error), path string, mode fs.FileMode, r Reader) error {
	if changed != nil && !refused(changed) {
		return changed
	}
	fi, err := stat()
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

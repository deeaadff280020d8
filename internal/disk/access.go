package disk

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"
)

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

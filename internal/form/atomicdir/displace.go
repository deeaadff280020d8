package atomicdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// displacedDir has the files that were moved aside, in a new directory for each time. Nothing here
// ever looks into it.
const displacedDir = MetaDir + "/displaced"

// MayDisplace allows to move aside files and directories in the places of the tree's files. Without
// it, they are refused. It is for a tree that a run wrote before: there, such a file took the place
// of one that botkube-mirror wrote. tell, if not nil, is called with the old and the new path.
func (t *Tree) MayDisplace(tell func(path, to string)) {
	if tell == nil {
		tell = func(string, string) {}
	}
	t.displaced = tell
}

// InTheWay is the error of a path that has a file or directory which botkube-mirror did not write.
func (t *Tree) InTheWay(p, what string) error {
	return fault.New(fault.Usage, "%s %s", t.At(p), what).
		WithHint("botkube-mirror did not write it: move it away, and run the same command again")
}

// displace moves aside the file or directory at a path, which botkube-mirror did not write. It
// follows no link.
func (t *Tree) displace(p, what string) error {
	if t.displaced == nil || p == MetaDir || p == displacedDir {
		return t.InTheWay(p, what)
	}
	dir, err := t.displacedTo()
	if err != nil {
		return err
	}
	to := path.Join(dir, path.Base(p))
	if err := t.Root.Rename(p, to); err != nil {
		_ = t.Root.Remove(dir)
		return t.InTheWay(p, fmt.Sprintf("%s, and cannot be moved aside (%v)", what, err))
	}
	t.displaced(t.At(p), t.At(to))
	return nil
}

// displacedTo creates a directory for something that is displaced.
func (t *Tree) displacedTo() (string, error) {
	for _, dir := range []string{MetaDir, displacedDir} {
		if err := t.makeDir(dir); err != nil {
			return "", err
		}
	}
	for n := 1; ; n++ {
		dir := fmt.Sprintf("%s/%d", displacedDir, n)
		if err := t.Root.Mkdir(dir, agent.DirectoryMode); !errors.Is(err, fs.ErrExist) {
			return dir, err
		}
	}
}

// MakeWay displaces what a rename cannot replace without loss: a directory that is not empty, or a
// link to a directory.
func (t *Tree) MakeWay(p string) error {
	fi, err := t.Root.Lstat(p)
	switch {
	case err != nil:
		return nil // renaming says what is wrong, if anything is
	case fi.IsDir() && t.Root.Remove(p) == nil: // it takes an empty one only
		return nil
	case fi.IsDir():
		return t.displace(p, "is a directory, and not empty")
	case fi.Mode()&fs.ModeSymlink != 0 && t.leadsToDir(p):
		return t.displace(p, "is a link to a directory")
	}
	return nil
}

// leadsToDir asks where a link leads, out of the tree too. The answer decides no
// more than whether the link itself is replaced: nothing is opened.
func (t *Tree) leadsToDir(p string) bool {
	fi, err := os.Stat(t.At(p))
	return err == nil && fi.IsDir()
}

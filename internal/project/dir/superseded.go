package dir

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
)

// beginWriting creates the staging directory, and notes as superseded every
// path that was or may from now on be written: the commit takes out those that
// the new lock names.
func (t *tree) beginWriting() error {
	if err := t.root.MkdirAll(stagingDir, agent.DirectoryMode); err != nil {
		return err
	}
	known := t.knownPaths()
	for p := range t.planned {
		known = append(known, p)
	}
	slices.Sort(known)
	return t.writeSuperseded(slices.Compact(known))
}

// knownPaths returns the paths of the lock that is there and of the list of
// superseded ones. Damage to either is no reason to stop: what they would have
// named stays.
func (t *tree) knownPaths() []string {
	var known []string
	if l, err := t.readLock(); err == nil && len(l.Platforms) == 1 {
		known = append(known, layout(l, l.Platforms[0])...)
	}
	return append(known, t.superseded()...)
}

func (t *tree) superseded() []string {
	data, err := t.readMeta(supersededPath)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(strings.Split(string(data), "\n"), func(p string) bool { return !ours(p) })
}

// writeSuperseded replaces the list; an empty one is no file.
func (t *tree) writeSuperseded(paths []string) error {
	if len(paths) == 0 {
		if _, err := t.root.Lstat(supersededPath); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return t.root.Remove(supersededPath)
	}
	data := []byte(strings.Join(paths, "\n") + "\n")
	if there, err := t.readMeta(supersededPath); err == nil && bytes.Equal(there, data) {
		return nil
	}
	p := stagingDir + "/superseded"
	if err := t.root.WriteFile(p, data, agent.IndexMode); err != nil {
		return err
	}
	return t.root.Rename(p, supersededPath)
}

// forgetUnwritten shortens the list of superseded paths, after a run that wrote
// but did not get to its end, to what is there.
func (t *tree) forgetUnwritten() error {
	if !t.began || t.committed {
		return nil
	}
	return t.writeSuperseded(slices.DeleteFunc(t.superseded(), func(p string) bool {
		_, err := t.root.Lstat(p)
		return errors.Is(err, fs.ErrNotExist)
	}))
}

// supersededBy returns the known paths that the current ones lack.
func supersededBy(known, current []string) []string {
	left := slices.DeleteFunc(slices.Clone(known), func(p string) bool { return slices.Contains(current, p) })
	slices.Sort(left)
	return slices.Compact(left)
}

// ours reports whether a path of the list of superseded ones is of the form
// that this package writes: REPOSITORY.yaml, REPOSITORY/BINARY or
// REPOSITORY/BINARY_deps/DEPENDENCY. The list is read back from a disk, and
// what it names is deleted.
func ours(p string) bool {
	parts := strings.Split(p, "/")
	for _, part := range parts {
		if agent.CheckName("path", part) != nil {
			return false
		}
	}
	switch len(parts) {
	case 1:
		return strings.HasSuffix(p, ".yaml") && p != ".yaml"
	case 2:
		return true
	case 3:
		return strings.HasSuffix(parts[1], agent.DependencyDir(""))
	}
	return false
}

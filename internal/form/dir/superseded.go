package dir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// beginWriting notes as superseded every path that was or may from now on be
// written: the commit takes out those that the new lock names. A damaged list or lock of an
// earlier run is no reason to stop: the files that only it names stay.
func (d *directory) beginWriting() error {
	d.began = true
	known, _ := superseded(d.Tree)
	if l, err := readLock(d.Tree); err == nil {
		known = append(known, layoutOf(l)...)
	}
	return d.writeSuperseded(entry.Superseded(append(known, d.planned...), nil))
}

// superseded returns the paths of the list that this package may have written.
func superseded(t *atomicdir.Tree) ([]string, error) {
	data, err := t.Read(supersededPath, maxMeta)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case fault.KindOf(err) == fault.Integrity:
		return nil, damaged(t.At(supersededPath), err)
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", t.At(supersededPath), atomicdir.Explain(err))
	}
	return slices.DeleteFunc(strings.Split(string(data), "\n"), func(p string) bool { return !isOurPath(p) }), nil
}

// writeSuperseded replaces the list; an empty one is no file.
func (d *directory) writeSuperseded(paths []string) error {
	if len(paths) == 0 {
		return d.Remove(supersededPath)
	}
	data := []byte(strings.Join(paths, "\n") + "\n")
	if there, err := d.Read(supersededPath, maxMeta); err == nil && bytes.Equal(there, data) {
		return nil
	}
	return d.Note(supersededPath, data, agent.IndexMode)
}

// forgetUnwritten takes files that do not exist off the list, after a run that ended early.
func (d *directory) forgetUnwritten() error {
	if !d.began || d.committed {
		return nil
	}
	known, _ := superseded(d.Tree)
	return d.writeSuperseded(slices.DeleteFunc(known, func(p string) bool {
		_, err := d.Root.Lstat(p)
		return errors.Is(err, fs.ErrNotExist)
	}))
}

// layoutOf returns what a directory with a lock holds: files, or for several
// platforms their sub-directories, with a slash at the end.
func layoutOf(l *lock.Lock) []string {
	if len(l.Platforms) == 1 {
		return pluginsdir.Paths(l, l.Platforms[0])
	}
	var dirs []string
	for _, p := range l.Platforms {
		dirs = append(dirs, p.Dir()+"/")
	}
	return dirs
}

// isOurPath reports whether a path of the list of superseded ones is of the form
// that this package writes: REPOSITORY.yaml, REPOSITORY/BINARY,
// REPOSITORY/BINARY_deps/DEPENDENCY, a file of templates in a directory of these,
// or OS-ARCH/ for a sub-directory. The list is read back from a disk, and what it names is deleted.
func isOurPath(p string) bool {
	if dir, ok := strings.CutSuffix(p, "/"); ok {
		return isPlatformDir(dir)
	}
	parts := strings.Split(p, "/")
	for _, part := range parts {
		if agent.CheckName("path", part) != nil {
			return false
		}
	}
	repository := parts[0]
	switch len(parts) {
	case 1:
		name, ok := strings.CutSuffix(p, ".yaml")
		repository = name
		if !ok {
			return false
		}
	case 2:
	default:
		if !strings.HasSuffix(parts[1], agent.DependencyDir("")) || len(parts) > 3 && !isTemplate(parts[2:]) {
			return false
		}
	}
	return agent.CheckRepository(repository) == nil
}

// isTemplate takes the path of a file of templates below the dependencies of exec.
func isTemplate(parts []string) bool {
	return agent.IsTemplateDirectory(parts[0]) && lock.CheckTemplatePath(strings.Join(parts[1:], "/")) == nil
}

func isPlatformDir(dir string) bool {
	os, arch, found := strings.Cut(dir, "-")
	_, err := agent.ParsePlatform(os + "/" + arch)
	return found && err == nil
}

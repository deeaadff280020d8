//go:build linux

package powercut

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Disk is a file system below one directory, with what it holds for running
// programs and what of that it was told to make durable.
type Disk struct {
	root *node
	// path is the directory's, and cwd the working directory of the program.
	path, cwd string
	open      map[int64]*description
	execs     int
}

// node is a file or a directory.
type node struct {
	mode, syncedMode fs.FileMode
	// data is replaced, never changed, so that images may share it.
	data, synced []byte

	entries, syncedEntries map[string]*node
	// pending are the changes to entries since they were synced.
	pending []change
}

// change is what one call does to a directory: names and what they stand for
// from then on, nil for nothing.
type change map[string]*node

// description is an open file. Duplicates of its number share it.
type description struct {
	// node is nil outside of the directory, of which path tells.
	node      *node
	path      string
	offset    int64
	appending bool
}

func newDir(mode fs.FileMode) *node {
	mode = fs.ModeDir | mode.Perm()
	return &node{mode: mode, syncedMode: mode, entries: map[string]*node{}, syncedEntries: map[string]*node{}}
}

func (n *node) isDir() bool { return n.entries != nil }

func (n *node) change(c change) {
	c.to(n.entries)
	n.pending = append(n.pending, c)
}

func (c change) to(entries map[string]*node) {
	for name, n := range c {
		if n == nil {
			delete(entries, name)
		} else {
			entries[name] = n
		}
	}
}

func (n *node) sync() {
	n.syncedMode = n.mode
	if n.isDir() {
		n.syncedEntries, n.pending = maps.Clone(n.entries), nil
	} else {
		n.synced = n.data
	}
}

func (n *node) write(at int64, data []byte) {
	grown := make([]byte, max(int64(len(n.data)), at+int64(len(data))))
	copy(grown, n.data)
	copy(grown[at:], data)
	n.data = grown
}

func (n *node) truncate(size int64) {
	cut := make([]byte, size)
	copy(cut, n.data)
	n.data = cut
}

// newDisk returns one that holds an image, all of it durable.
func newDisk(root, cwd string, image Image) *Disk {
	d := &Disk{root: newDir(0o755), path: root, cwd: cwd}
	for _, p := range slices.Sorted(maps.Keys(image)) {
		f := image[p]
		n := &node{mode: f.Mode, syncedMode: f.Mode, data: f.Data, synced: f.Data}
		if f.Mode.IsDir() {
			n = newDir(f.Mode)
		}
		dir := d.root
		for _, name := range strings.Split(path.Dir(p), "/") {
			if name != "." {
				dir = dir.entries[name]
			}
		}
		dir.entries[path.Base(p)], dir.syncedEntries[path.Base(p)] = n, n
	}
	return d
}

// Replay goes through what a program did, from what was there, all of it
// durable. Visit is called with the state before the first call that changes
// anything, and after each that does; what it returns as an error ends the replay.
func (r *Recording) Replay(visit func(did string, d *Disk) error) error {
	return r.ReplayOn(newDisk(r.Root, r.dir, r.Before), visit)
}

// ReplayOn is like Replay, but from a disk on which another program wrote until
// it was killed.
func (r *Recording) ReplayOn(d *Disk, visit func(did string, d *Disk) error) error {
	d.cwd, d.execs, d.open = r.dir, 0, map[int64]*description{}
	for fd := range int64(3) {
		d.open[fd] = &description{}
	}
	if err := visit("start", d); err != nil {
		return err
	}
	for _, c := range r.calls {
		did, err := d.apply(c)
		if err != nil {
			return fmt.Errorf("line %d of the trace, %s(%.300s): %w", c.line, c.name, strings.Join(c.args, ", "), err)
		}
		if did == "" {
			continue
		}
		if err := visit(fmt.Sprintf("line %d, %s", c.line, did), d); err != nil {
			return err
		}
	}
	return nil
}

// place is a name in a directory, which need not exist.
type place struct {
	// dir is nil outside of the recorded directory.
	dir  *node
	name string
	path string
}

func (p place) node() *node {
	switch {
	case p.dir == nil:
		return nil
	case p.name == ".":
		return p.dir
	}
	return p.dir.entries[p.name]
}

const procFD = "/proc/self/fd/"

// locate finds what a path means for a directory's descriptor.
func (d *Disk) locate(c call, dirArg, pathArg int) (place, error) {
	p, err := c.text(pathArg)
	if err != nil {
		return place{}, err
	}
	if path.IsAbs(p) {
		return d.absolute(path.Clean(p))
	}
	at, err := c.arg(dirArg)
	if err != nil {
		return place{}, err
	}
	if at == "AT_FDCWD" {
		return d.absolute(path.Join(d.cwd, p))
	}
	fd, err := d.descriptor(c, dirArg)
	if err != nil {
		return place{}, err
	}
	if fd.node == nil {
		return d.absolute(path.Join(fd.path, p))
	}
	return walk(fd.node, p, "…/"+p)
}

func (d *Disk) absolute(p string) (place, error) {
	rel, inside := strings.CutPrefix(p+"/", d.path+"/")
	if !inside {
		return place{path: p}, nil
	}
	return walk(d.root, path.Clean(rel), path.Clean(rel))
}

// walk resolves a path below a directory. There are no links.
func walk(dir *node, p, shown string) (place, error) {
	names := strings.Split(p, "/")
	for _, name := range names[:len(names)-1] {
		if name == ".." {
			return place{}, fmt.Errorf("%q leads up", p)
		}
		if name == "." || name == "" {
			continue
		}
		next := dir.entries[name]
		if next == nil || !next.isDir() {
			return place{}, fmt.Errorf("%q is not known to be there", p)
		}
		dir = next
	}
	last := names[len(names)-1]
	if last == ".." || last == "" {
		return place{}, fmt.Errorf("%q has no name at its end", p)
	}
	return place{dir, last, shown}, nil
}

func (d *Disk) descriptor(c call, arg int) (*description, error) {
	fd, err := c.number(arg)
	if err != nil {
		return nil, err
	}
	open := d.open[fd]
	if open == nil {
		return nil, fmt.Errorf("it is not known what descriptor %d is of", fd)
	}
	return open, nil
}

//go:build linux

package powercut

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"path"
)

// Model says what of a [Disk] survives.
type Model string

// The models. File systems and disks are between them.
const (
	// Everything survives, as it does when only the program is killed.
	Everything Model = "everything"
	// Synced has only what was synced: contents of files, and names in
	// directories.
	Synced Model = "what was synced"
	// Names has all names, as a journal may keep them, but of contents only
	// what was synced: a file that was not is empty.
	Names Model = "all names"
	// Sizes is like Names, but files have their size, with zeros where they
	// were not synced.
	Sizes Model = "all names and sizes"
	// Small is like Sizes, but what a file system may keep with the names, the
	// contents of small files, survives too.
	Small Model = "all names and small files"
	// Random has of each directory the changes up to some one, and of each
	// file any of the above.
	Random Model = "a part"
)

// Models are all but Random.
var Models = []Model{Everything, Synced, Names, Sizes, Small}

// After returns what survives. Only [Random] needs the random numbers.
func (d *Disk) After(m Model, random *rand.Rand) Image {
	v := view{seen: map[*node]File{}}
	switch m {
	case Everything:
		v.entries, v.content = current, currentContent
	case Synced:
		v.entries, v.content = durable, durableContent
	case Names:
		v.entries, v.content = current, durableContent
	case Sizes:
		v.entries, v.content = current, zeroedContent
	case Small:
		v.entries, v.content = current, smallContent
	case Random:
		v.entries = func(n *node) map[string]*node { return someEntries(n, random) }
		v.content = func(n *node) File { return someContent(n, random) }
	default:
		panic("no such model: " + m)
	}
	image := Image{}
	v.fill(image, d.root, "")
	return image
}

type view struct {
	entries func(*node) map[string]*node
	content func(*node) File
	// seen has files that may have two names.
	seen map[*node]File
}

func (v view) fill(image Image, dir *node, at string) {
	for name, n := range v.entries(dir) {
		p := path.Join(at, name)
		if n.isDir() {
			image[p] = File{Mode: n.mode}
			v.fill(image, n, p)
			continue
		}
		if _, ok := v.seen[n]; !ok {
			v.seen[n] = v.content(n)
		}
		image[p] = v.seen[n]
	}
}

func current(n *node) map[string]*node { return n.entries }
func durable(n *node) map[string]*node { return n.syncedEntries }

func currentContent(n *node) File { return File{n.mode, n.data} }
func durableContent(n *node) File { return File{n.syncedMode, n.synced} }

func zeroedContent(n *node) File {
	if bytes.Equal(n.data, n.synced) {
		return File{n.mode, n.synced}
	}
	data := make([]byte, len(n.data))
	for i := range min(len(data), len(n.synced)) {
		if n.data[i] == n.synced[i] {
			data[i] = n.data[i]
		}
	}
	return File{n.mode, data}
}

const small = 4 << 10

func smallContent(n *node) File {
	if len(n.data) <= small {
		return currentContent(n)
	}
	return zeroedContent(n)
}

func someEntries(n *node, random *rand.Rand) map[string]*node {
	entries := maps.Clone(n.syncedEntries)
	for _, c := range n.pending[:random.IntN(len(n.pending)+1)] {
		c.to(entries)
	}
	return entries
}

func someContent(n *node, random *rand.Rand) File {
	switch random.IntN(4) {
	case 0:
		return currentContent(n)
	case 1:
		return durableContent(n)
	case 2:
		return zeroedContent(n)
	}
	// The beginning was written, the rest has its size only.
	f := zeroedContent(n)
	if len(f.Data) > 0 && !bytes.Equal(f.Data, n.data) {
		f.Data = bytes.Clone(f.Data)
		copy(f.Data, n.data[:random.IntN(len(n.data))])
	}
	return f
}

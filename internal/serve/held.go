package serve

import (
	"io/fs"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
)

const (
	// heldSize is up to how many bytes a file may have to be held in memory, and
	// heldTotal how many all of them may have.
	heldSize  = 128 << 10
	heldTotal = 8 << 20
	// heldFor is how long a file is answered from memory before the disk is looked at
	// again.
	heldFor = time.Second
)

// heldFile is a file whose content was found to be right, in memory.
type heldFile struct {
	blob.File
	data []byte
	info fs.FileInfo
}

// Stat describes the file that was read.
func (h heldFile) Stat() (fs.FileInfo, error) { return h.info, nil }

// hold keeps the content of a small file, if there is room. The keeper is locked.
func (k *keeper) hold(path string, found *finding, data []byte) {
	k.held -= len(k.known[path].data)
	if found.settled && found.problem == nil && k.held+len(data) <= heldTotal {
		found.data = data
		k.held += len(data)
	}
}

// fromMemory returns a file without a look at the disk, if that was looked at just
// now.
func (k *keeper) fromMemory(path string) *content {
	k.mu.Lock()
	found := k.known[path]
	k.mu.Unlock()
	if found.data == nil || k.now().Sub(found.looked) >= heldFor {
		return nil
	}
	return found.held()
}

func (f finding) held() *content {
	return &content{File: heldFile{blob.InMemory(f.data), f.data, f.info}, info: f.info, size: int64(len(f.data))}
}

// looked notes that a file is still the one that was read.
func (k *keeper) looked(path string, info fs.FileInfo) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found, known := k.known[path]; known && same(found.info, info) {
		found.looked = k.now()
		k.known[path] = found
	}
}

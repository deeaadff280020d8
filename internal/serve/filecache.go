package serve

import (
	"io/fs"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
)

const (
	// cachedFileSize bounds, in bytes, a file that is cached in memory, and cacheSize
	// all of them.
	cachedFileSize = 128 << 10
	cacheSize      = 8 << 20
	// cacheTime is how long a file is answered from memory before its info is read
	// again.
	cacheTime = time.Second
)

// cachedFile is a verified file in memory.
type cachedFile struct {
	blob.File
	data []byte
	info fs.FileInfo
}

// Stat describes the file that was read.
func (f cachedFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// cache keeps the content of a small file, if there is room. The verifier is locked.
func (c *verifier) cache(path string, found *verdict, data []byte) {
	c.cached -= len(c.known[path].data)
	if found.settled && found.problem == nil && c.cached+len(data) <= cacheSize {
		found.data = data
		c.cached += len(data)
	}
}

// fromMemory returns a cached file, or nil if its info must be read again.
func (c *verifier) fromMemory(path string) *content {
	c.mu.Lock()
	found := c.known[path]
	c.mu.Unlock()
	if found.data == nil || c.now().Sub(found.checked) >= cacheTime {
		return nil
	}
	file := cachedFile{blob.InMemory(found.data), found.data, found.info}
	return &content{File: file, info: found.info, size: int64(len(found.data))}
}

// confirm notes that a file is still the one that was read.
func (c *verifier) confirm(path string, info fs.FileInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, known := c.known[path]; known && unchanged(found.info, info) {
		found.checked = c.now()
		c.known[path] = found
	}
}

package disk

import (
	"errors"
	"io/fs"
	"math"
	"math/bits"
	"os"
	"path/filepath"
)

// Space is the free space of a file system.
type Space struct {
	// FileSystem tells the file systems of this machine from each other.
	FileSystem string
	// Free is how many bytes this user may still write.
	Free int64
}

// SpaceAt returns the space at a path or, if that does not exist, at the nearest parent
// that does. ok is false if it is not known: some network file systems report no
// blocks at all.
func SpaceAt(path string) (space Space, ok bool) {
	dir, err := existing(path)
	if err != nil {
		return Space{}, false
	}
	return spaceOf(dir)
}

// existing returns a path, or the nearest of its parents that exists.
func existing(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(path)
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return path, err
		}
		path = parent
	}
}

// bytesOf returns the size of blocks; a file system without bounds has too many to count.
func bytesOf(blocks, size uint64) int64 {
	if hi, lo := bits.Mul64(blocks, size); hi == 0 && lo <= math.MaxInt64 {
		return int64(lo)
	}
	return math.MaxInt64
}

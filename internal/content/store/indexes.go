package store

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

// Index is a plugin index that a run read.
type Index struct {
	Repository string `json:"repository"`
	// URL has no user information.
	URL    string      `json:"url"`
	SHA256 lock.SHA256 `json:"sha256"`
	Seen   time.Time   `json:"seen"`
}

// NoteIndex remembers an index whose document the store has.
func (s *Store) NoteIndex(ix Index) error {
	return s.writeRecord(indexesDir, ix.Repository+"="+ix.URL, ix.SHA256, ix)
}

// Indexes are those that a store remembers.
type Indexes struct {
	// All are the indexes, the one that was read last first.
	All   []Index
	store *Store
}

// RememberedIndexes reads what the store in a directory remembers of indexes. It writes nothing and
// waits for no other run, because a shell may ask at any time. Without a store, or if others may
// write to it, there are none. Close gives up the directory.
func RememberedIndexes(dir string) (*Indexes, error) {
	s, err := at(dir)
	if err != nil {
		return nil, err
	}
	if s.root, err = disk.OpenRoot(s.dir); err != nil {
		return nil, err
	}
	// As for a shared store, so that it tries nothing out.
	_ = s.checkAccess(true)
	found := &Indexes{store: s}
	entries, _ := s.entries(indexesDir)
	for _, e := range entries {
		var ix Index
		if r, ok := s.readRecordFile(indexesDir + "/" + e.Name()); ok && json.Unmarshal(r.Value, &ix) == nil {
			found.All = append(found.All, ix)
		}
	}
	slices.SortStableFunc(found.All, func(a, b Index) int { return b.Seen.Compare(a.Seen) })
	return found, nil
}

// Read returns the document of an index of at most max bytes, if the store still has it undamaged.
func (x *Indexes) Read(ix Index, max int64) (data []byte, ok bool) {
	data, ok = x.store.readFile(x.store.path(ix.SHA256), max)
	return data, ok && lock.Sum(data) == ix.SHA256
}

// Close gives up the store's directory.
func (x *Indexes) Close() error { return x.store.closeRoot() }

package store

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

// Index is the record of a plugin index that a run has read.
type Index struct {
	Repository string `json:"repository"`
	// URL has no user information.
	URL    string      `json:"url"`
	SHA256 lock.SHA256 `json:"sha256"`
	Seen   time.Time   `json:"seen"`
}

// NoteIndex stores the record of an index whose document the store has.
func (s *Store) NoteIndex(ix Index) error {
	return s.writeRecord(indexesDir, ix.Repository+"="+ix.URL, ix.SHA256, ix)
}

// Indexes are the recorded indexes of a store.
type Indexes struct {
	// All are the indexes. The one that was read last comes first.
	All   []Index
	store *Store
}

// RememberedIndexes returns the recorded indexes of the store in a directory. It writes nothing and
// waits for no other run, because shells call it for completion at any time. It ignores the records
// if other users may write to the store. The caller must close the result.
func RememberedIndexes(dir string) (*Indexes, error) {
	s, err := newStore(dir)
	if err != nil {
		return nil, err
	}
	if s.root, err = disk.OpenRoot(s.dir); err != nil {
		return nil, err
	}
	// As for a shared store: otherwise it would create a file to test the modes.
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

// Read returns the document of an index, if the store has it undamaged and it has at most max
// bytes.
func (x *Indexes) Read(ix Index, max int64) (data []byte, ok bool) {
	data, ok = x.store.readFile(x.store.path(ix.SHA256), max)
	return data, ok && lock.Sum(data) == ix.SHA256
}

// Close closes the store's directory.
func (x *Indexes) Close() error { return x.store.closeRoot() }

package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// root is an output and its lock.
type root struct {
	Path string          `json:"path"`
	Lock json.RawMessage `json:"lock"`
}

// maxRoot is the largest file in roots, in bytes: a lock of 16 MiB, and the JSON around it.
const maxRoot = 17 << 20

// SetRoot stores the lock of an output. path is absolute, and lock is a JSON document.
func (s *Store) SetRoot(path string, lock []byte) error {
	data, err := json.Marshal(root{Path: path, Lock: lock})
	if err == nil {
		err = s.writeFile(s.rootFile(path), data, durable)
	}
	if err != nil {
		return fmt.Errorf("recording the lock of %s in the store: %w", path, explain(err))
	}
	return nil
}

func (s *Store) rootFile(path string) string {
	return rootsDir + "/" + hashed(path) + metaSuffix
}

// Roots calls visit with each output and its lock. If visit returns false, it removes the output
// from the list, except in a store of [Look]. It returns an error if a record cannot be read: a
// sweep would remove the blobs of that output.
func (s *Store) Roots(visit func(path string, lock []byte) (keep bool)) error {
	entries, err := s.entries(rootsDir)
	if err != nil {
		return fmt.Errorf("reading the list of outputs in the store: %w", explain(err))
	}
	var damaged []string
	for _, e := range entries {
		file := rootsDir + "/" + e.Name()
		if !isHashed(strings.TrimSuffix(e.Name(), metaSuffix)) {
			continue // not a record of an output
		}
		var r root
		data, ok := s.readFile(file, maxRoot)
		if !ok || json.Unmarshal(data, &r) != nil || s.rootFile(r.Path) != file {
			damaged = append(damaged, s.at(file))
			continue
		}
		if visit(r.Path, r.Lock) || s.OnlyLooks() {
			continue
		}
		if err := s.root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the output %s from the list in the store: %w", r.Path, explain(err))
		}
	}
	if len(damaged) == 0 {
		return nil
	}
	return fault.New(fault.Integrity, "the store's records of some outputs are damaged, so nothing can be removed safely:\n  %s",
		strings.Join(damaged, "\n  ")).
		WithHint("remove these files, and run prune again: it then removes the blobs of these outputs from the store, and their next pull downloads them again; the outputs stay")
}

package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// root is an output and what it is made of.
type root struct {
	Path string          `json:"path"`
	Lock json.RawMessage `json:"lock"`
}

// maxRoot bounds, in bytes, a file of roots: a lock of 16 MiB and its frame.
const maxRoot = 17 << 20

// SetRoot remembers the lock, a JSON document, of an output at an absolute path.
func (s *Store) SetRoot(path string, lock []byte) error {
	data, err := json.Marshal(root{Path: path, Lock: lock})
	if err == nil {
		err = s.writeFile(s.rootFile(path), data, durable)
	}
	if err != nil {
		return fmt.Errorf("noting in the store what %s is made of: %w", path, explain(err))
	}
	return nil
}

func (s *Store) rootFile(path string) string {
	return filepath.Join(s.dir, rootsDir, hashed(path)+metaSuffix)
}

// Roots calls visit for each output with its lock, and forgets those for
// which it returns false. What cannot be read is an error, for a sweep that
// does not know an output would take its blobs.
func (s *Store) Roots(visit func(path string, lock []byte) (keep bool)) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, rootsDir))
	if err != nil {
		return fmt.Errorf("reading the outputs of the store: %w", explain(err))
	}
	for _, e := range entries {
		file := filepath.Join(s.dir, rootsDir, e.Name())
		var r root
		data, ok := readFile(file, maxRoot)
		if !ok || json.Unmarshal(data, &r) != nil {
			return fmt.Errorf("reading the outputs of the store: %s is damaged; remove it, and pull that output again", file)
		}
		if visit(r.Path, r.Lock) {
			continue
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forgetting the output %s: %w", r.Path, explain(err))
		}
	}
	return nil
}

package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
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
	return rootsDir + "/" + hashed(path) + metaSuffix
}

// Roots calls visit for each output with its lock, and forgets those for which it returns false,
// unless the store is only looked at. What cannot be read is an error, for a sweep that does not
// know an output would take its blobs.
func (s *Store) Roots(visit func(path string, lock []byte) (keep bool)) error {
	entries, err := s.entries(rootsDir)
	if err != nil {
		return fmt.Errorf("reading the outputs of the store: %w", explain(err))
	}
	var damaged []string
	for _, e := range entries {
		file := rootsDir + "/" + e.Name()
		if !isHashed(strings.TrimSuffix(e.Name(), metaSuffix)) {
			continue // no output is noted under such a name
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
			return fmt.Errorf("forgetting the output %s: %w", r.Path, explain(err))
		}
	}
	if len(damaged) == 0 {
		return nil
	}
	return fault.New(fault.Integrity, "of some outputs the store does not know any more what they are made of, so that nothing can be removed safely: damaged are\n  %s",
		strings.Join(damaged, "\n  ")).
		WithHint("remove these files and prune again: that takes no output away, only what the store has of it, which its next pull downloads")
}

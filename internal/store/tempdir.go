package store

import (
	"fmt"
	"os"
	"path/filepath"
)

// TempDir creates a directory for what is on its way to becoming a blob. It is
// for the caller to remove; one that a killed run left, the next run removes.
func (s *Store) TempDir() (string, error) {
	dir, err := os.MkdirTemp(filepath.Join(s.dir, ingestDir), s.tempName()+"*")
	if err != nil {
		return "", fmt.Errorf("making room in the store: %w", explain(err))
	}
	return dir, nil
}

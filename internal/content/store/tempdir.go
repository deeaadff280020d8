package store

import (
	"fmt"
	"os"
)

// TempDir creates a directory for what is on its way to becoming a blob. It is
// for the caller to remove; one that a killed run left, the next run removes. If
// others may write to the store, it is outside of it.
func (s *Store) TempDir() (string, error) {
	if !s.trusted {
		dir, err := os.MkdirTemp("", "botkube-mirror-*")
		if err != nil {
			err = fmt.Errorf("making a temporary directory: %w", err)
		}
		return dir, err
	}
	name := s.tempName()
	if err := s.root.Mkdir(name, 0o700); err != nil {
		return "", fmt.Errorf("making room in the store: %w", explain(err))
	}
	return s.at(name), nil
}

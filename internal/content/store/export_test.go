package store

// Trusted reports whether what the store remembers counts.
func (s *Store) Trusted() bool { return s.trusted }

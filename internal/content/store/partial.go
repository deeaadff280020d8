package store

// Partial returns how many bytes of a blob are there that an [Store.Ingest] of
// the key would go on with, or write over.
func (s *Store) Partial(key string) int64 {
	fi, err := s.root.Lstat(ingestDir + "/" + hashed(key) + partSuffix)
	if err != nil || !fi.Mode().IsRegular() {
		return 0
	}
	return fi.Size()
}

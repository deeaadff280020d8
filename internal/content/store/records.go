package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// URLRecord records which blob a URL gave, and how the server identifies that version of the file.
type URLRecord struct {
	// URL is without user information.
	URL    string      `json:"url"`
	SHA256 lock.SHA256 `json:"sha256"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// Through is where the URL was requested, if not from its own server. An ETag is valid only
	// there.
	Through string `json:"through,omitempty"`
	// ETag and LastModified are header fields of the response. For a local file, LastModified is
	// its time in RFC 3339 format.
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
	// HadChecksum means that the file was compared with a checksum when it was downloaded.
	HadChecksum bool `json:"vouched,omitempty"`
	// Seen is when the record was last confirmed.
	Seen time.Time `json:"seen"`
}

// URLRecord returns the record of a URL if the store has its blob. It ignores a record that cannot
// be read, or that another user may have written.
func (s *Store) URLRecord(url string) (URLRecord, bool) {
	var r URLRecord
	if !s.readRecord(urlsDir, url, &r) || r.Size < 0 || !isHeaderValue(r.ETag, r.LastModified) {
		return URLRecord{}, false
	}
	if size, ok := s.Has(r.SHA256); !ok || size != r.Size {
		return URLRecord{}, false
	}
	return r, true
}

// SetURLRecord stores the record of a URL. Neither may contain credentials.
func (s *Store) SetURLRecord(url string, r URLRecord) error {
	return s.writeRecord(urlsDir, url, r.SHA256, r)
}

// Derived returns the record of a file that was made from a blob, such as a file of an archive. how
// names everything else that the file depends on: the archive's format, and the file's name in it.
func (s *Store) Derived(blob lock.SHA256, how string) (lock.Made, bool) {
	var made lock.Made
	if !s.readRecord(derivedDir, blob.String()+" "+how, &made) || made.Size < 0 {
		return lock.Made{}, false
	}
	return made, true
}

// SetDerived stores the record of a file that was made from a blob.
func (s *Store) SetDerived(blob lock.SHA256, how string, made lock.Made) error {
	return s.writeRecord(derivedDir, blob.String()+" "+how, blob, made)
}

// record is the content of a file in urls, derived or indexes. The key shows whether the file was
// renamed.
type record struct {
	Key string `json:"key"`
	// Blob is the blob that the record is about. Without it, the record is removed.
	Blob  lock.SHA256     `json:"blob"`
	Value json.RawMessage `json:"value"`
}

func (s *Store) readRecord(dir, key string, value any) bool {
	r, ok := s.readRecordFile(dir + "/" + hashed(key) + metaSuffix)
	return ok && r.Key == key && json.Unmarshal(r.Value, value) == nil
}

func (s *Store) readRecordFile(name string) (r record, ok bool) {
	data, ok := s.readTrusted(name, maxMeta)
	return r, ok && json.Unmarshal(data, &r) == nil
}

func (s *Store) writeRecord(dir, key string, blob lock.SHA256, value any) error {
	v, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing a record of the store: %w", err)
	}
	data, err := json.Marshal(record{Key: key, Blob: blob, Value: v})
	if err == nil {
		err = s.writeFile(dir+"/"+hashed(key)+metaSuffix, data, forgettable)
	}
	if err != nil {
		return fmt.Errorf("writing a record of the store: %w", explain(err))
	}
	return nil
}

package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// URLRecord is what is remembered of a URL: which blob it gave, and by what
// the server tells that version from another.
type URLRecord struct {
	// URL is without user information.
	URL    string      `json:"url"`
	SHA256 lock.SHA256 `json:"sha256"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// Through tells where the URL was asked for, if that was not its own server: ETag and the like
	// mean nothing elsewhere.
	Through string `json:"through,omitempty"`
	// ETag and LastModified are response header fields as they were
	// received. For a file, LastModified is its time in RFC 3339 format.
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
	// Vouched says that somebody gave a checksum when the file was downloaded.
	Vouched bool `json:"vouched,omitempty"`
	// Seen is when the record was last found to be true.
	Seen time.Time `json:"seen"`
}

// URLRecord returns what is remembered of a URL whose blob is there. A record
// that cannot be read, or that others may have written, counts as none.
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

// SetURLRecord remembers a URL. Neither url nor the record may hold credentials.
func (s *Store) SetURLRecord(url string, r URLRecord) error {
	return s.writeRecord(urlsDir, url, r.SHA256, r)
}

// Derived returns what was made of a blob, usually a file taken out of an
// archive, if the blob is there. How names everything else
// that decided the result: the format, the member.
func (s *Store) Derived(blob lock.SHA256, how string) (lock.Made, bool) {
	var made lock.Made
	if !s.readRecord(derivedDir, blob.String()+" "+how, &made) || made.Size < 0 {
		return lock.Made{}, false
	}
	return made, true
}

// SetDerived records which blob was made from another one.
func (s *Store) SetDerived(blob lock.SHA256, how string, made lock.Made) error {
	return s.writeRecord(derivedDir, blob.String()+" "+how, blob, made)
}

// record is a file of urls or derived. Its key tells if the file was renamed.
type record struct {
	Key string `json:"key"`
	// Blob is the one without which the record is of no use.
	Blob  lock.SHA256     `json:"blob"`
	Value json.RawMessage `json:"value"`
}

func (s *Store) readRecord(dir, key string, value any) bool {
	r, ok := s.readRecordFile(dir + "/" + hashed(key) + metaSuffix)
	return ok && r.Key == key && json.Unmarshal(r.Value, value) == nil
}

func (s *Store) readRecordFile(name string) (r record, ok bool) {
	data, ok := s.recall(name, maxMeta)
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

package oci

import (
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// Sizes that USTAR cannot hold are in a PAX header, which is read again.
func TestLargeBlob(t *testing.T) {
	large := lock.Blob{Size: 10 << 30, SHA256: lock.Sum([]byte("large"))}
	a := NewArchive(time.Time{})
	a.Index([]byte(`{"schemaVersion":2,"manifests":[]}`))
	a.Blob(large, func() (blob.File, error) { return nil, nil })
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := OpenTar(virtual(a.parts), a.Size(), "large.tar")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Has(large); err != nil {
		t.Error(err)
	}
}

// virtual is a tar file whose blobs are zeros.
type virtual []part

func (v virtual) ReadAt(p []byte, at int64) (int, error) {
	clear(p)
	var from int64
	for _, s := range v {
		for i := range s.data {
			if j := from + int64(i) - at; j >= 0 && j < int64(len(p)) {
				p[j] = s.data[i]
			}
		}
		from += s.Size
	}
	return len(p), nil
}

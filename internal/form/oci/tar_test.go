package oci

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func pack(t testing.TB, names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(name)), Mode: 0o644, Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestScanTar(t *testing.T) {
	sum := lock.Sum([]byte("x"))
	data := pack(t, FileName, IndexName, BlobPath(sum), "something else")
	files, err := scanTar(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if document, err := (&Layout{files: files}).Document(IndexName); err != nil || string(document) != IndexName {
		t.Errorf("%q, %v", document, err)
	}
	if size, err := files.size(BlobPath(sum)); err != nil || size != int64(len(BlobPath(sum))) {
		t.Errorf("%d bytes, %v", size, err)
	}
	f, _, err := files.open(BlobPath(sum))
	if err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(f); err != nil || string(content) != BlobPath(sum) {
		t.Errorf("%q, %v", content, err)
	}
	if _, _, err := files.open(BlobPath(lock.SHA256{})); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// FuzzScanTar wants whatever is found in a tar to lie in it.
func FuzzScanTar(f *testing.F) {
	good := pack(f, FileName, IndexName, BlobPath(lock.Sum([]byte("x"))))
	f.Add(good)
	f.Add(good[:len(good)-BlockSize])
	f.Add(good[:BlockSize])
	f.Add(pack(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := scanTar(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if !errors.Is(err, ErrNotLayout) && fault.KindOf(err) != fault.Integrity {
				t.Errorf("%v is no damage", err)
			}
			return
		}
		for name, e := range files.at {
			if e.at < BlockSize || e.size < 0 || e.at+e.size > int64(len(data)) {
				t.Errorf("%q lies at %+v of %d bytes", name, e, len(data))
			}
		}
	})
}

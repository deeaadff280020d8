package image

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// spool is content that waits on disk for its turn, under no name where the
// system allows that, so that nothing of it outlives the process.
type spool struct {
	file *disk.Temp
	hash hash.Hash
	size int64
}

func newSpool() (*spool, error) {
	f, err := disk.TempFile()
	if err != nil {
		return nil, explainSpool(err)
	}
	return &spool{file: f, hash: sha256.New()}, nil
}

func (s *spool) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	s.hash.Write(p[:n])
	s.size += int64(n)
	return n, explainSpool(err)
}

// explainSpool says what to do about an error of the disk that layers wait on.
func explainSpool(err error) error {
	if disk.IsFull(err) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Unexpected, "%w", err).
			WithHint("layers wait in %s: free some space there, or set TMPDIR to a directory that has some", os.TempDir())
	}
	return err
}

// Reset discards what was written.
func (s *spool) Reset() error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s.hash.Reset()
	s.size = 0
	return s.file.Truncate(0)
}

// Blob says what was written.
func (s *spool) Blob() lock.Blob {
	return lock.Blob{Size: s.size, SHA256: lock.SHA256(s.hash.Sum(nil))}
}

// content returns what was written, from its beginning.
func (s *spool) content() blob.File { return section{io.NewSectionReader(s.file, 0, s.size)} }

func (s *spool) Close() error { return s.file.Close() }

// section is a part of a file that somebody else closes.
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

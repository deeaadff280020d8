package image

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// spool is content that waits on disk for its turn, under no name where the
// system allows that, so that nothing of it outlives the process.
type spool struct {
	blob.Digest
	file *disk.Temp
}

func newSpool() (*spool, error) {
	f, err := disk.TempFile()
	if err != nil {
		return nil, explainSpool(err)
	}
	return &spool{Digest: *blob.NewDigest(), file: f}, nil
}

func (s *spool) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	_, _ = s.Digest.Write(p[:n]) // never fails
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
	return errors.Join(s.Digest.Reset(), s.file.Truncate(0))
}

// content returns what was written, from its beginning.
func (s *spool) content() blob.File { return oci.Section(s.file, 0, s.Blob().Size) }

func (s *spool) Close() error { return s.file.Close() }

package dir

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
)

// stagedFile is a file on its way, and its digest.
type stagedFile struct {
	tree *tree
	path string
	file *os.File
	hash hash.Hash
	size int64
	// written is how much the disk was told to write.
	written int64
}

// stage creates a file under a temporary name. Before the first one, it notes
// what the directory holds and will hold, so that nothing is forgotten if the
// run ends here.
func (t *tree) stage() (*stagedFile, error) {
	t.begin.Do(func() { t.began, t.failed = true, t.beginWriting() })
	if t.failed != nil {
		return nil, t.failed
	}
	if err := t.root.MkdirAll(stagingDir, agent.DirectoryMode); err != nil {
		return nil, err
	}
	return t.newStaged()
}

func (t *tree) newStaged() (*stagedFile, error) {
	p := fmt.Sprintf("%s/%d", stagingDir, t.staged.Add(1))
	f, err := t.root.OpenFile(p, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &stagedFile{tree: t, path: p, file: f, hash: sha256.New()}, nil
}

func (s *stagedFile) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	s.hash.Write(p[:n])
	s.size += int64(n)
	if s.size-s.written >= writtenAtOnce {
		disk.StartWriteback(s.file, s.written, s.size-s.written)
		s.written = s.size
	}
	return n, err
}

// Reset discards what was written.
func (s *stagedFile) Reset() error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s.hash.Reset()
	s.size, s.written = 0, 0
	return s.file.Truncate(0)
}

// Blob says what was written.
func (s *stagedFile) Blob() lock.Blob {
	return lock.Blob{Size: s.size, SHA256: lock.SHA256(s.hash.Sum(nil))}
}

// discard removes the file unless it was published.
func (s *stagedFile) discard() {
	if s.file != nil {
		s.file.Close()
		s.tree.root.Remove(s.path)
	}
}

// publish makes a staged file durable and gives it its name.
func (t *tree) publish(s *stagedFile, p string, mode fs.FileMode) error {
	if err := s.file.Chmod(mode); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	if err := s.file.Close(); err != nil {
		return err
	}
	s.file = nil
	if err := t.mkdirAll(path.Dir(p)); err != nil {
		return err
	}
	if fi, err := t.root.Lstat(p); err == nil && fi.IsDir() {
		// Remove takes an empty one only.
		if err := t.root.Remove(p); err != nil {
			return t.inTheWay(p, "is a directory, and not empty")
		}
	}
	return t.root.Rename(s.path, p)
}

// put writes a small file if it does not hold that already.
func (t *tree) put(ctx context.Context, p string, data []byte) (bool, error) {
	blob := lock.Blob{Size: int64(len(data)), SHA256: lock.Sum(data)}
	if same, err := t.holds(ctx, p, blob, agent.IndexMode); err != nil || same {
		return false, err
	}
	staged, err := t.stage()
	if err != nil {
		return false, err
	}
	defer staged.discard()
	if _, err := staged.Write(data); err != nil {
		return false, err
	}
	return true, t.publish(staged, p, agent.IndexMode)
}

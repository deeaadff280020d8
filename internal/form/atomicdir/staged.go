package atomicdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

// Staged is a file that is being written, with its digest.
type Staged struct {
	*blob.Digest
	tree *Tree
	path string
	file *os.File
	// size is how many bytes were written, and begun how many of them the kernel was told to flush.
	size, told int64
	published  bool
}

// writtenAtOnce is the number of bytes after which the kernel is told to start flushing.
const writtenAtOnce = 8 << 20

// Stage creates a file under a temporary name. It may be called concurrently.
func (t *Tree) Stage() (*Staged, error) {
	if t.Begin != nil {
		if err := t.Begin(); err != nil {
			return nil, err
		}
	}
	return t.stage()
}

func (t *Tree) stage() (*Staged, error) {
	p := fmt.Sprintf("%s/%d", stagingDir, t.staged.Add(1))
	if t.options.Bare {
		p = fmt.Sprintf("%s%d", TempPrefix, t.staged.Add(1))
	} else if err := t.Root.MkdirAll(stagingDir, agent.DirectoryMode); err != nil {
		return nil, err
	}
	f, err := t.Root.OpenFile(p, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &Staged{Digest: blob.NewDigest(), tree: t, path: p, file: f}, nil
}

func (s *Staged) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	_, _ = s.Digest.Write(p[:n]) // never fails
	s.size += int64(n)
	if s.size-s.told >= writtenAtOnce {
		disk.StartWriteback(s.file, s.told, s.size-s.told)
		s.told = s.size
	}
	return n, err
}

// Reset discards what was written.
func (s *Staged) Reset() error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s.size, s.told = 0, 0
	return errors.Join(s.Digest.Reset(), s.file.Truncate(0))
}

// Discard removes the file unless it was published.
func (s *Staged) Discard() {
	if !s.published {
		s.file.Close()
		s.tree.Root.Remove(s.path)
	}
}

// Publish makes the file durable and gives it its name.
func (s *Staged) Publish(p string, mode fs.FileMode) error {
	if err := disk.SetMode(s.file, s.tree.At(p), mode, s.tree.options.Reader); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	if err := s.file.Close(); err != nil {
		return err
	}
	if err := s.tree.MkdirAll(path.Dir(p)); err != nil {
		return err
	}
	if err := s.tree.MakeWay(p); err != nil {
		return err
	}
	err := s.tree.Root.Rename(s.path, p)
	s.published = err == nil
	return err
}

// Note writes a small file that is no content of the tree: it does not call Begin.
func (t *Tree) Note(p string, data []byte, mode fs.FileMode) error {
	staged, err := t.stage()
	if err != nil {
		return err
	}
	defer staged.Discard()
	if _, err := staged.Write(data); err != nil {
		return err
	}
	return staged.Publish(p, mode)
}

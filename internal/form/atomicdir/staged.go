package atomicdir

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

// Staged is a file on its way, and its digest.
type Staged struct {
	tree *Tree
	path string
	file *os.File
	hash hash.Hash
	size int64
	// written is how much the disk was told to write.
	written   int64
	published bool
}

// writtenAtOnce is after how many bytes the disk is told to begin.
const writtenAtOnce = 8 << 20

// Stage creates a file under a temporary name. It may be called concurrently.
func (t *Tree) Stage() (*Staged, error) {
	if err := t.Root.MkdirAll(stagingDir, agent.DirectoryMode); err != nil {
		return nil, err
	}
	p := fmt.Sprintf("%s/%d", stagingDir, t.staged.Add(1))
	f, err := t.Root.OpenFile(p, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &Staged{tree: t, path: p, file: f, hash: sha256.New()}, nil
}

func (s *Staged) Write(p []byte) (int, error) {
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
func (s *Staged) Reset() error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s.hash.Reset()
	s.size, s.written = 0, 0
	return s.file.Truncate(0)
}

// Blob says what was written.
func (s *Staged) Blob() lock.Blob {
	return lock.Blob{Size: s.size, SHA256: lock.SHA256(s.hash.Sum(nil))}
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
	if err := disk.SetMode(s.file, s.tree.At(p), mode, s.tree.reader); err != nil {
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

// Put writes a small file if it does not hold that already.
func (t *Tree) Put(ctx context.Context, p string, data []byte, mode fs.FileMode) (bool, error) {
	blob := lock.Blob{Size: int64(len(data)), SHA256: lock.Sum(data)}
	if same, err := t.Holds(ctx, p, blob, mode); err != nil || same {
		return false, err
	}
	return true, t.Write(p, data, mode)
}

// Write writes a small file.
func (t *Tree) Write(p string, data []byte, mode fs.FileMode) error {
	staged, err := t.Stage()
	if err != nil {
		return err
	}
	defer staged.Discard()
	if _, err := staged.Write(data); err != nil {
		return err
	}
	return staged.Publish(p, mode)
}

// Holds reports whether a regular file with a content is at a path to which no
// link leads. Modes are mended, those of the directories above it too.
func (t *Tree) Holds(ctx context.Context, p string, want lock.Blob, mode fs.FileMode) (bool, error) {
	fi, err := disk.StatRegular(t.Root, p)
	if err != nil || fi.Size() != want.Size {
		return false, nil
	}
	got, _, err := t.Digest(ctx, p, want.Size)
	if err != nil {
		return false, ctx.Err()
	}
	if got != want {
		return false, nil
	}
	if err := t.MkdirAll(path.Dir(p)); err != nil {
		return false, err
	}
	return true, t.mendFile(p, fi, mode)
}

// mendFile adds what is missing in the mode of a file, and takes away what lets
// others write it, or have it run as somebody else, where the file system can.
// The bits of a group stay: see [Tree.MkdirAll].
func (t *Tree) mendFile(p string, fi fs.FileInfo, want fs.FileMode) error {
	mended := disk.RepairedMode(fi.Mode(), want)
	if fi.Mode() == mended {
		return nil
	}
	return disk.Chmod(t.Root, p, mended, t.reader)
}

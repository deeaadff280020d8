package dir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/store"
)

// tree is a directory for one platform, or the top of one for several.
type tree struct {
	path string
	// root confines every write, so that no link in the directory leads a
	// file elsewhere.
	root *os.Root
	lock *filelock.Lock
	// created are the directories that this run made to have the tree.
	created []string
	// planned are the paths of the coming layout.
	planned map[string]bool

	staged    atomic.Int64
	begin     sync.Once
	began     bool
	failed    error
	committed bool

	mu sync.Mutex
	// made has the digests of placed files.
	made map[string]lock.Blob
}

// openTree opens a directory to write, which it creates if need be.
func openTree(ctx context.Context, dir string, waiting func(string)) (*tree, error) {
	if fi, err := os.Stat(dir); err == nil && !fi.IsDir() {
		return nil, fault.New(fault.Usage, "the output %s is a file, not a directory", dir).
			WithHint("name a directory that does not exist yet, or one that pull wrote")
	}
	created, err := mkdir(dir)
	if err != nil {
		return nil, fault.New(fault.Usage, "creating the output directory: %w", err)
	}
	t, err := openExisting(dir)
	if err != nil {
		return nil, err
	}
	t.created, t.planned, t.made = created, map[string]bool{}, map[string]lock.Blob{}
	if err := t.mkdirAll(metaDir); err != nil {
		t.root.Close()
		return nil, fault.New(fault.Usage, "the output directory %s cannot be written: %w", dir, err)
	}
	tell := func() {
		if waiting != nil {
			waiting(dir)
		}
	}
	t.lock, err = filelock.Wait(ctx, tell, func() (*filelock.Lock, error) { return filelock.TryDir(filepath.Join(dir, metaDir)) })
	if err != nil {
		t.root.Close()
		return nil, fmt.Errorf("waiting for another run that writes %s: %w", dir, err)
	}
	if err := t.root.RemoveAll(stagingDir); err != nil {
		t.close()
		return nil, fmt.Errorf("sweeping what a killed run left: %w", err)
	}
	return t, nil
}

func openExisting(dir string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.New(fault.Usage, "opening the directory: %w", err)
	}
	return &tree{path: dir, root: root}, nil
}

// close removes what is unfinished, and a directory that was made for nothing.
func (t *tree) close() error {
	err := t.forgetUnwritten()
	err = errors.Join(err, t.root.RemoveAll(stagingDir))
	_ = removeEmpty(t.root, metaDir)
	if t.lock != nil {
		err = errors.Join(err, t.lock.Unlock())
	}
	err = errors.Join(err, t.root.Close())
	for _, dir := range slices.Backward(t.created) {
		_ = os.Remove(dir) // fails if something is in it, as it should
	}
	return err
}

// forgetUnwritten shortens the list of superseded paths, after a run that wrote
// but did not get to its end, to what is there.
func (t *tree) forgetUnwritten() error {
	if !t.began || t.committed {
		return nil
	}
	return t.writeSuperseded(slices.DeleteFunc(t.superseded(), func(p string) bool {
		_, err := t.root.Lstat(p)
		return errors.Is(err, fs.ErrNotExist)
	}))
}

// mkdir creates a directory and its parents, and returns those it created, the
// outermost first. The agent's user must be able to read them, whatever the umask.
func mkdir(dir string) (created []string, err error) {
	if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
		return nil, nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if created, err = mkdir(parent); err != nil {
			return created, err
		}
	}
	if err := os.Mkdir(dir, agent.DirectoryMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return created, err
	}
	return append(created, dir), os.Chmod(dir, agent.DirectoryMode)
}

// mkdirAll is mkdir in the tree.
func (t *tree) mkdirAll(dir string) error {
	if dir == "." {
		return nil
	}
	if err := t.mkdirAll(path.Dir(dir)); err != nil {
		return err
	}
	fi, err := t.root.Lstat(dir)
	switch {
	case err == nil && fi.IsDir():
		if fi.Mode().Perm() == agent.DirectoryMode {
			return nil
		}
		return t.root.Chmod(dir, agent.DirectoryMode)
	case err == nil:
		// A file or a link where a directory of ours belongs.
		if err := t.setAside(dir); err != nil {
			return err
		}
	}
	if err := t.root.Mkdir(dir, agent.DirectoryMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return t.root.Chmod(dir, agent.DirectoryMode)
}

// place brings one file to its path.
func (t *tree) place(ctx context.Context, f lock.File, s *store.Store) (bool, error) {
	intact, err := t.intact(ctx, f, s)
	if err != nil || intact {
		return false, err
	}
	if err := s.Verify(ctx, f.Artifact.SHA256); err != nil {
		return false, err
	}
	staged, err := t.stage()
	if err != nil {
		return false, err
	}
	defer staged.discard()
	if err := unpack(ctx, f, s, staged); err != nil {
		return false, err
	}
	made := staged.blob()
	if err := s.SetDerived(f.Artifact.SHA256, how(f), made); err != nil {
		return false, err
	}
	// Another machine's store does not know what extraction gives: now this
	// one does, and the file may be right after all.
	same, err := t.holds(ctx, f.Path, made, agent.BinaryMode)
	if err == nil && !same {
		err = t.publish(staged, f.Path, agent.BinaryMode)
	}
	if err == nil {
		t.record(f.Path, made)
	}
	return !same, err
}

func (t *tree) record(p string, made lock.Blob) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made[p] = made
}

// intact reports whether the file is there as it should be. What it should be
// is known if this machine unpacked it before.
func (t *tree) intact(ctx context.Context, f lock.File, s *store.Store) (bool, error) {
	made := f.Artifact.Blob
	if f.Format != "" {
		known, ok := s.Derived(f.Artifact.SHA256, how(f))
		if !ok {
			return false, nil
		}
		made = known
	}
	same, err := t.holds(ctx, f.Path, made, agent.BinaryMode)
	if same {
		t.record(f.Path, made)
	}
	return same, err
}

// how names what is taken out of an artifact.
func how(f lock.File) string {
	return fmt.Sprintf("%s %q %q %t", f.Format, f.Member.Dir, f.Member.Name, f.Member.First)
}

// holds reports whether a regular file of a mode with a content is at a path.
// A wrong mode alone is mended.
func (t *tree) holds(ctx context.Context, p string, want lock.Blob, mode fs.FileMode) (bool, error) {
	fi, err := t.root.Lstat(p)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() != want.Size {
		return false, nil
	}
	f, err := t.root.Open(p)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, reader{ctx, f}, make([]byte, bufferSize)); err != nil {
		return false, ctx.Err()
	}
	if lock.SHA256(h.Sum(nil)) != want.SHA256 {
		return false, nil
	}
	if fi.Mode().Perm() != mode {
		return true, t.root.Chmod(p, mode)
	}
	return true, nil
}

const (
	// bufferSize is that of copies, in bytes.
	bufferSize = 256 << 10
	// writtenAtOnce is after how many bytes the disk is told to begin.
	writtenAtOnce = 8 << 20
)

// reader fails once its context is done.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// unpack writes the binary that an artifact is or holds.
func unpack(ctx context.Context, f lock.File, s *store.Store, to *stagedFile) error {
	blob, err := s.Open(f.Artifact.SHA256)
	if err != nil {
		return err
	}
	defer blob.Close()
	if f.Format == "" {
		_, err = io.CopyBuffer(to, reader{ctx, blob}, make([]byte, bufferSize))
		return err
	}
	if _, err = archive.Extract(ctx, blob, f.Format, f.Member, archive.Limits{}, to); err != nil {
		return fmt.Errorf("unpacking %s: %w", f.Artifact.URL, err)
	}
	return nil
}

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

func (s *stagedFile) blob() lock.Blob {
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
		if err := t.setAside(p); err != nil {
			return err
		}
	}
	return t.root.Rename(s.path, p)
}

// setAside moves what is in the way of a file of ours to where Close removes it.
func (t *tree) setAside(p string) error {
	if err := t.root.MkdirAll(stagingDir, agent.DirectoryMode); err != nil {
		return err
	}
	return t.root.Rename(p, fmt.Sprintf("%s/%d", stagingDir, t.staged.Add(1)))
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

// readMeta reads a file of ours, of bounded size.
func (t *tree) readMeta(p string) ([]byte, error) {
	fi, err := t.root.Lstat(p)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxMeta {
		return nil, fmt.Errorf("%s is no regular file of at most %d bytes", p, maxMeta)
	}
	f, err := t.root.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxMeta))
}

// readLock reads the lock that is there.
func (t *tree) readLock() (*lock.Lock, error) {
	data, err := t.readMeta(lockPath)
	if err != nil {
		return nil, err
	}
	return lock.Parse(data)
}

// beginWriting creates the staging directory, and notes as superseded every
// path that was or may from now on be written: the commit takes out those that
// the new lock names.
func (t *tree) beginWriting() error {
	if err := t.root.MkdirAll(stagingDir, agent.DirectoryMode); err != nil {
		return err
	}
	known := t.knownPaths()
	for p := range t.planned {
		known = append(known, p)
	}
	slices.Sort(known)
	return t.writeSuperseded(slices.Compact(known))
}

// knownPaths returns the paths of the lock that is there and of the list of
// superseded ones. Damage to either is no reason to stop: what they would have
// named stays.
func (t *tree) knownPaths() []string {
	var known []string
	if l, err := t.readLock(); err == nil && len(l.Platforms) == 1 {
		known = append(known, layout(l, l.Platforms[0])...)
	}
	return append(known, t.superseded()...)
}

func (t *tree) superseded() []string {
	data, err := t.readMeta(supersededPath)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(strings.Split(string(data), "\n"), func(p string) bool { return !ours(p) })
}

// writeSuperseded replaces the list; an empty one is no file.
func (t *tree) writeSuperseded(paths []string) error {
	if len(paths) == 0 {
		err := t.root.Remove(supersededPath)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	data := []byte(strings.Join(paths, "\n") + "\n")
	if there, err := t.readMeta(supersededPath); err == nil && bytes.Equal(there, data) {
		return nil
	}
	p := stagingDir + "/superseded"
	if err := t.root.WriteFile(p, data, agent.IndexMode); err != nil {
		return err
	}
	return t.root.Rename(p, supersededPath)
}

package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
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
	if err := t.removeStaging(); err != nil {
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
	err = errors.Join(err, t.removeStaging())
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

// removeStaging leaves a directory alone that has none, for it may be on
// read-only media.
func (t *tree) removeStaging() error {
	if _, err := t.root.Lstat(stagingDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return t.root.RemoveAll(stagingDir)
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
		return t.inTheWay(dir, "is not a directory")
	}
	if err := t.root.Mkdir(dir, agent.DirectoryMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return t.root.Chmod(dir, agent.DirectoryMode)
}

// inTheWay refuses to take away what somebody else put where a file of ours
// belongs.
func (t *tree) inTheWay(p, what string) error {
	return fault.New(fault.Usage, "%s %s", filepath.Join(t.path, filepath.FromSlash(p)), what).
		WithHint("it was not written by pull: move it away, and run the same command again")
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

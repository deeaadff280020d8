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
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
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

// openTree opens a directory to write, which it creates if need be, once no
// other run writes it.
func openTree(ctx context.Context, dir string, waiting func(string)) (*tree, error) {
	if fi, err := os.Stat(dir); err == nil && !fi.IsDir() {
		return nil, fault.New(fault.Usage, "the output %s is a file, not a directory", dir).
			WithHint("name a directory that does not exist yet, or one that pull wrote")
	} else if _, lerr := os.Lstat(dir); err != nil && lerr == nil {
		return nil, fault.New(fault.Usage, "the output %s cannot be opened: %w", dir, err).
			WithHint("if it is a link, create the directory that it leads to")
	}
	tell := func() {
		if waiting != nil {
			waiting(dir)
		}
	}
	var t *tree
	var created []string
	vanished := 0
	held, err := filelock.Wait(ctx, tell, func() (held *filelock.Lock, err error) {
		// The run that is waited for may remove what it created for nothing,
		// so every try begins with the directory.
		made, err := mkdir(dir)
		created = append(created, made...)
		if err == nil {
			t, held, err = tryTree(dir)
		}
		if errors.Is(err, fs.ErrNotExist) && vanished < 20 {
			vanished++
			return nil, nil
		}
		return held, err
	})
	if err != nil {
		removeDirs(created)
		return nil, explainOpening(ctx, dir, err)
	}
	t.lock, t.created = held, created
	t.planned, t.made = map[string]bool{}, map[string]lock.Blob{}
	if err := t.removeStaging(); err != nil {
		t.close()
		return nil, fmt.Errorf("sweeping what a killed run left: %w", explain(err))
	}
	return t, nil
}

func explainOpening(ctx context.Context, dir string, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("waiting for another run that writes %s: %w", dir, err)
	case disk.IsFull(err):
		return fmt.Errorf("opening the output directory %s: %w", dir, explain(err))
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.New(fault.Usage, "the output directory %s cannot be written: %w", dir, err).
		WithHint("name a directory that you may write to")
}

// sameDir compares a locked directory with the one that is there. Where a file
// is locked in its stead, that cannot be removed under its owner.
func sameDir(locked, there os.FileInfo) bool { return !locked.IsDir() || os.SameFile(locked, there) }

// tryTree opens and locks a directory that exists. It returns nil for the lock
// if another run has it.
func tryTree(dir string) (*tree, *filelock.Lock, error) {
	t, err := openExisting(dir)
	if err != nil {
		return nil, nil, err
	}
	if err := t.mkdirAll(metaDir); err != nil {
		t.root.Close()
		return nil, nil, err
	}
	held, err := filelock.TryDir(filepath.Join(dir, metaDir))
	if err != nil || held == nil {
		t.root.Close()
		return nil, nil, err
	}
	// What was locked may be a directory that its last owner has removed.
	locked, err := held.Stat()
	there, err2 := t.root.Stat(metaDir)
	if err != nil || err2 != nil || !sameDir(locked, there) {
		held.Unlock()
		t.root.Close()
		return nil, nil, nil
	}
	return t, held, nil
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
	removeDirs(t.created)
	return err
}

// removeDirs removes those of the directories in which nothing is.
func removeDirs(dirs []string) {
	for _, dir := range slices.Backward(dirs) {
		_ = os.Remove(dir) // fails if something is in it, as it should
	}
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
	err = os.Mkdir(dir, agent.DirectoryMode)
	if errors.Is(err, fs.ErrExist) {
		// Another run was faster, or it is a file, which the next step notices.
		return created, nil
	}
	if err != nil {
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

// checkSubdir refuses a link where the sub-directory of a platform belongs.
func (t *tree) checkSubdir(dir string) error {
	if fi, err := t.root.Lstat(dir); err == nil && !fi.IsDir() {
		return t.inTheWay(dir, "is not a directory")
	}
	return nil
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

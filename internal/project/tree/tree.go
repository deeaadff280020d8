// Package tree writes files into a directory that others read meanwhile: each
// under a temporary name, renamed when it is whole, by one run at a time.
//
// What a run needs for itself lies in [MetaDir], which is locked while the run
// lasts, and removed with its end unless the owner of the directory keeps
// something there.
package tree

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
	"github.com/botkube-mirror/botkube-mirror/internal/project/cache"
)

const (
	// MetaDir is the directory for what is not the readers'.
	MetaDir = cache.MetaDir

	stagingDir = MetaDir + "/staging"
)

// Tree is a directory that one run writes, or reads. Paths in it are relative,
// with slashes.
type Tree struct {
	// Path is where the directory is.
	Path string
	// Root confines every access, so that no link in the directory leads a
	// file elsewhere.
	Root *os.Root

	// reader is who must be able to use what is written.
	reader disk.Reader
	lock   *filelock.Lock
	// created are the directories that this run made to have the tree.
	created []string
	staged  atomic.Int64
	// displaced is told of what is moved aside. If it is nil, that is refused.
	displaced func(path, to string)
	// clearing is held by who looks at what is in the way of a directory, so that
	// nobody moves away what another one has made there since.
	clearing sync.Mutex
}

// Open opens a directory to write, which it creates if need be, once no other
// run writes it, and sweeps what a killed one left. Reader is who must be able to
// use what is written. Waiting, if not nil, is called when another run has the
// directory.
func Open(ctx context.Context, dir string, reader disk.Reader, waiting func(path string)) (*Tree, error) {
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
	var t *Tree
	var created []string
	vanished := 0
	held, err := filelock.Wait(ctx, tell, func() (held *filelock.Lock, err error) {
		// The run that is waited for may remove what it created for nothing,
		// so every try begins with the directory.
		made, err := disk.MakeDirsFor(dir, agent.DirectoryMode, reader)
		created = append(created, made...)
		if err == nil {
			t, held, err = tryTree(dir, reader)
		}
		if errors.Is(err, fs.ErrNotExist) && vanished < 20 {
			vanished++
			return nil, nil
		}
		return held, err
	})
	if err != nil {
		disk.RemoveDirs(created)
		return nil, explainOpening(ctx, dir, err)
	}
	t.lock, t.created = held, created
	if err := t.removeStaging(); err != nil {
		t.Close()
		return nil, fmt.Errorf("sweeping what a killed run left: %w", Explain(err))
	}
	return t, nil
}

// OpenExisting opens a directory to read, or to write what nobody but this user
// must be able to use.
func OpenExisting(dir string) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.New(fault.Usage, "opening the directory: %w", err)
	}
	return &Tree{Path: dir, Root: root, reader: disk.Self()}, nil
}

func explainOpening(ctx context.Context, dir string, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("waiting for another run that writes %s: %w", dir, err)
	case disk.IsFull(err):
		return fmt.Errorf("opening the output directory %s: %w", dir, Explain(err))
	}
	if _, ok := errors.AsType[*disk.ModeError](err); ok {
		return fmt.Errorf("opening the output directory %s: %w", dir, Explain(err))
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.New(fault.Usage, "the output directory %s cannot be written: %w", dir, err).
		WithHint("name a directory that you may write to%s", runningAs())
}

// runningAs says which user this is, whom nobody chose by hand in a container.
func runningAs() string {
	if os.Getuid() < 0 {
		return "" // Windows
	}
	return fmt.Sprintf(", as user %d of group %d", os.Getuid(), os.Getgid())
}

// Explain says what to do about errors of the file system.
func Explain(err error) error {
	if _, known := errors.AsType[*fault.Error](err); known {
		return err
	}
	if hint := disk.Unfit(err, "write to a local disk"); hint != "" {
		return fault.New(fault.Unexpected, "%w", err).WithHint("%s", hint)
	}
	mode, isMode := errors.AsType[*disk.ModeError](err)
	switch {
	case isMode && mode.Err == nil:
		return fault.New(fault.Unexpected, "%w", err).WithHint("mount the volume with options that give its files mode 0755 (SMB and Azure Files: file_mode=0755,dir_mode=0755), or write to a volume that keeps modes")
	case isMode:
		return fault.New(fault.Unexpected, "%w", err).WithHint("run as the user who owns the files; on SMB and Azure Files, mount the volume with file_mode=0755,dir_mode=0755")
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Unexpected, "%w", err).WithHint("write to a directory that you may write to, and that holds nothing of other users")
	case disk.IsFull(err):
		return fault.New(fault.Unexpected, "%w", err).WithHint("free some space and run the same command again: it goes on where it stopped")
	}
	return err
}

// tryTree opens and locks a directory that exists. It returns nil for the lock
// if another run has it.
func tryTree(dir string, reader disk.Reader) (*Tree, *filelock.Lock, error) {
	t, err := OpenExisting(dir)
	if err != nil {
		return nil, nil, err
	}
	t.reader = reader
	if err := t.MkdirAll(MetaDir); err != nil {
		t.Root.Close()
		return nil, nil, err
	}
	held, err := filelock.TryDir(filepath.Join(dir, MetaDir))
	if err != nil || held == nil {
		t.Root.Close()
		return nil, nil, err
	}
	// What was locked may be a directory that its last owner has removed.
	locked, err := held.Stat()
	there, err2 := t.Root.Stat(MetaDir)
	if err != nil || err2 != nil || !sameDir(locked, there) {
		held.Unlock()
		t.Root.Close()
		return nil, nil, nil
	}
	return t, held, nil
}

// sameDir compares a locked directory with the one that is there. Where a file
// is locked in its stead, that cannot be removed under its owner.
func sameDir(locked, there os.FileInfo) bool { return !locked.IsDir() || os.SameFile(locked, there) }

// Close removes what is unfinished, and a directory that was made for nothing.
func (t *Tree) Close() error {
	if t.lock == nil {
		return t.Root.Close()
	}
	err := t.removeStaging()
	_ = t.RemoveEmpty(MetaDir)
	err = errors.Join(err, t.lock.Unlock(), t.Root.Close())
	disk.RemoveDirs(t.created)
	return err
}

// removeStaging leaves a directory alone that has none, for it may be on
// read-only media.
func (t *Tree) removeStaging() error {
	if _, err := t.Root.Lstat(stagingDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return t.Root.RemoveAll(stagingDir)
}

// MkdirAll creates a directory and its parents, which everybody can read. To
// the mode of one that is there it adds what is missing, and takes nothing away:
// volumes that have a group (a pod's fsGroup) depend on more bits, and only the
// owner of a directory may change them. What is no directory, such as a link, is
// displaced.
func (t *Tree) MkdirAll(dir string) error {
	if dir == "." {
		return nil
	}
	if err := t.MkdirAll(path.Dir(dir)); err != nil {
		return err
	}
	t.clearing.Lock()
	defer t.clearing.Unlock()
	return t.makeDir(dir)
}

// makeDir is MkdirAll where the parent is there.
func (t *Tree) makeDir(dir string) error {
	fi, err := t.Root.Lstat(dir)
	if err == nil && fi.IsDir() {
		return t.mend(dir, fi)
	}
	if err == nil {
		if err := t.displace(dir, "is not a directory"); err != nil {
			return err
		}
	}
	if err := t.Root.Mkdir(dir, agent.DirectoryMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return disk.Chmod(t.Root, dir, agent.DirectoryMode, t.reader)
}

// mend adds what is missing in the mode of a directory.
func (t *Tree) mend(dir string, fi fs.FileInfo) error {
	if fi.Mode().Perm()&agent.DirectoryMode == agent.DirectoryMode {
		return nil
	}
	return disk.Chmod(t.Root, dir, fi.Mode()|agent.DirectoryMode, t.reader)
}

// CheckDir refuses anything but a directory, such as a link, where one of ours
// is or will be, unless it may be displaced.
func (t *Tree) CheckDir(dir string) error {
	if fi, err := t.Root.Lstat(dir); err == nil && !fi.IsDir() && t.displaced == nil {
		return t.InTheWay(dir, "is not a directory")
	}
	return nil
}

// CheckFile refuses anything but a regular file where one of ours is or will
// be, unless it may be displaced.
func (t *Tree) CheckFile(p string) error {
	if fi, err := t.Root.Lstat(p); err == nil && !fi.Mode().IsRegular() && t.displaced == nil {
		return t.InTheWay(p, "is not a regular file")
	}
	return nil
}

// At returns the path of a file of the tree, as the system writes it.
func (t *Tree) At(p string) string { return filepath.Join(t.Path, filepath.FromSlash(p)) }

// Read reads a regular file of at most max bytes.
func (t *Tree) Read(p string, max int64) ([]byte, error) {
	fi, err := t.Root.Lstat(p)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > max {
		return nil, fmt.Errorf("%s is no regular file of at most %d bytes", p, max)
	}
	f, err := t.Root.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, max))
}

// SyncDirs makes the names of files durable, and those of the directories they
// are in.
func (t *Tree) SyncDirs(files []string) error {
	dirs := []string{"."}
	for _, p := range files {
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range t.created {
		if err := disk.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := disk.SyncDir(t.At(dir)); err != nil {
			return err
		}
	}
	return nil
}

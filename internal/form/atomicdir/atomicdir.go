// Package atomicdir writes files into a directory that others read meanwhile: each
// under a temporary name, renamed when it is whole, by one run at a time.
//
// What a run needs for itself lies in [MetaDir], which is locked while the run
// lasts, and removed with its end unless the owner of the directory keeps
// something there.
package atomicdir

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

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
)

const (
	// MetaDir is the directory for what is not the readers'.
	MetaDir = ".botkube-mirror"

	stagingDir = MetaDir + "/staging"
)

// Tree is a directory that one run writes, or reads. Paths in it are relative,
// with slashes.
type Tree struct {
	// Path is where the directory is, for messages.
	Path string
	// Root confines every access, so that no link in the directory leads a
	// file elsewhere. Whatever becomes of the path meanwhile, it stays the
	// directory that was opened.
	Root *os.Root

	// reader is who must be able to use what is written.
	reader disk.Reader
	lock   *filelock.Lock
	// created are the directories that this run made to have the tree.
	created []string
	// above is the tree in which this one is called name, or nil.
	above *Tree
	name  string
	// made says that this run created the tree in the one above.
	made   bool
	staged atomic.Int64
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
	t := &Tree{Path: dir, reader: reader}
	return t, t.claim(ctx, waiting, func() (*os.Root, error) {
		made, err := disk.MakeDirsFor(dir, agent.DirectoryMode, reader)
		t.created = append(t.created, made...)
		if err != nil {
			return nil, err
		}
		return disk.OpenRoot(dir)
	})
}

// OpenSub is [Open] for a directory in a tree that is open to write. What is there
// and is no directory is displaced, or refused.
func (t *Tree) OpenSub(ctx context.Context, name string, waiting func(path string)) (*Tree, error) {
	sub := &Tree{Path: t.At(name), reader: t.reader, above: t, name: name}
	return sub, sub.claim(ctx, waiting, func() (*os.Root, error) {
		_, err := t.Root.Lstat(name)
		sub.made = sub.made || errors.Is(err, fs.ErrNotExist)
		if err := t.MkdirAll(name); err != nil {
			return nil, err
		}
		root, err := disk.OpenDir(t.Root, name)
		return root, Refused(sub.Path, err)
	})
}

// claim locks the tree that open opens, once no other run has it.
func (t *Tree) claim(ctx context.Context, waiting func(path string), open func() (*os.Root, error)) error {
	tell := func() {
		if waiting != nil {
			waiting(t.Path)
		}
	}
	vanished := 0
	held, err := filelock.Wait(ctx, tell, func() (held *filelock.Lock, err error) {
		// The run that is waited for may remove what it created for nothing,
		// so every try begins with the directory.
		t.Root, err = open()
		if err == nil {
			held, err = t.tryLock()
		}
		if errors.Is(err, fs.ErrNotExist) && vanished < 20 {
			vanished++
			return nil, nil
		}
		return held, err
	})
	if err != nil {
		t.removeCreated()
		return explainOpening(ctx, t.Path, err)
	}
	t.lock = held
	if err := t.removeStaging(); err != nil {
		t.Close()
		return fmt.Errorf("sweeping what a killed run left: %w", Explain(err))
	}
	return nil
}

// OpenExisting opens a directory to read, or to write what nobody but this user
// must be able to use.
func OpenExisting(dir string) (*Tree, error) {
	root, err := disk.OpenRoot(dir)
	if err != nil {
		return nil, fault.New(fault.Usage, "opening the directory: %w", err)
	}
	return &Tree{Path: dir, Root: root, reader: disk.Self()}, nil
}

// Sub opens a directory in the tree to read. An absent one is an [fs.ErrNotExist];
// anything but a directory is of kind [fault.Integrity].
func (t *Tree) Sub(name string) (*Tree, error) {
	root, err := disk.OpenDir(t.Root, name)
	if err != nil {
		return nil, err
	}
	return &Tree{Path: t.At(name), Root: root, reader: t.reader}, nil
}

// Refused names what is in the place of a directory, and says what to do.
func Refused(path string, err error) error {
	if fault.KindOf(err) != fault.Integrity {
		return err
	}
	return fault.New(fault.Integrity, "%s: %w", path, err).
		WithHint("nothing that leads elsewhere is followed: remove what is there, and run the same command again")
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
	if hint := disk.Hint(err, "write to a local disk"); hint != "" {
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

// tryLock locks a directory that was just opened. It returns nil, and the
// directory is closed, if another run has it.
func (t *Tree) tryLock() (held *filelock.Lock, err error) {
	defer func() {
		if held == nil {
			t.Root.Close()
		}
	}()
	if err := t.MkdirAll(MetaDir); err != nil {
		return nil, err
	}
	held, err = filelock.TryDir(t.Root, MetaDir)
	if err != nil || held == nil {
		return nil, err
	}
	// What was locked may be a directory that its last owner has removed.
	locked, err := held.Stat()
	there, err2 := t.Root.Lstat(MetaDir)
	if err != nil || err2 != nil || !sameDir(locked, there) {
		held.Unlock()
		return nil, nil
	}
	return held, nil
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
	t.removeCreated()
	return err
}

// removeCreated removes those of the directories that this run made to have the
// tree in which nothing is.
func (t *Tree) removeCreated() {
	if t.made {
		_ = t.above.RemoveEmpty(t.name)
	}
	disk.RemoveDirs(t.created)
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

// Read reads a regular file of at most max bytes. An absent one is an
// [fs.ErrNotExist]; anything else than such a file is of kind [fault.Integrity].
func (t *Tree) Read(p string, max int64) ([]byte, error) {
	f, err := disk.OpenRegular(t.Root, p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(data)) > max {
		return nil, fault.New(fault.Integrity, "it has more than the %d bytes that are read of it", max)
	}
	return data, err
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
	if t.made {
		if err := disk.SyncDirIn(t.above.Root, "."); err != nil {
			return err
		}
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := disk.SyncDirIn(t.Root, dir); err != nil {
			return err
		}
	}
	return nil
}

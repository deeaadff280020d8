// Package atomicdir writes files to a directory that other processes read at the same time. Each
// file has a temporary name until it is complete. Only one run writes to a directory at a time.
//
// A run keeps its own files in [MetaDir], which is locked during the run. At the end of the run,
// MetaDir is removed, unless the owner of the directory keeps files there.
package atomicdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
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
	// TempPrefix begins the names of temporary files in a tree without that.
	TempPrefix = MetaDir + "-tmp-"

	stagingDir = MetaDir + "/staging"
)

// Tree is a directory that is open, to be written by one run or to be read. Paths are relative,
// with slashes.
type Tree struct {
	// Path is where the directory is, for messages.
	Path string
	// Root confines every access, so that no link in the directory leads a file elsewhere. It stays
	// the directory that was opened, even if the path is renamed or replaced meanwhile.
	Root *os.Root

	// Begin, if not nil, is called before a file is staged. If it fails, none is.
	Begin func() error

	options Options
	lock    *filelock.Lock
	// created are the directories that this run made to have the tree.
	created []string
	// parent is the tree in which this one is called name, or nil.
	parent *Tree
	name   string
	// createdInParent says that this run created the tree in the parent.
	createdInParent bool
	staged          atomic.Int64
	// mended says that a mode was wrong, and is not any more.
	mended atomic.Bool
	// displaced is called for each file or directory that is moved aside. If it is nil, that is
	// refused.
	displaced func(path, to string)
	// clearing is held while a path is checked and made free, so that no goroutine moves away a
	// directory that another one has just made there.
	clearing sync.Mutex
}

// Options say how a directory is written.
type Options struct {
	// Reader is who must be able to use what is written.
	Reader disk.Reader
	// Waiting, if not nil, is called when another run has the directory.
	Waiting func(path string)
	// Bare says that other programs read the directory, who expect no [MetaDir]: it is
	// locked itself, and temporary files lie at its top.
	Bare bool
}

// Open opens a directory to write, and creates it if necessary. It waits until no other run writes
// to it, and removes temporary files of a killed run.
func Open(ctx context.Context, dir string, o Options) (*Tree, error) {
	if fi, err := os.Stat(dir); err == nil && !fi.IsDir() {
		return nil, fault.New(fault.Usage, "the output %s is a file, not a directory", dir).
			WithHint("name a directory that does not exist yet, or one that pull wrote")
	} else if disk.IsBrokenLink(dir) {
		return nil, fault.New(fault.Usage, "the output %s cannot be opened: %w", dir, err).
			WithHint("if this is a symbolic link, create the directory that it points to")
	}
	t := &Tree{Path: dir, options: o}
	return t, t.claim(ctx, func() (*os.Root, error) {
		made, err := disk.MakeDirs(dir, agent.DirectoryMode, &o.Reader)
		t.created = append(t.created, made...)
		if err != nil {
			return nil, err
		}
		return disk.OpenRoot(dir)
	})
}

// OpenSub is [Open] for a directory in a tree that is open to write. If something other than a
// directory is there, it is displaced or refused.
func (t *Tree) OpenSub(ctx context.Context, name string) (*Tree, error) {
	sub := &Tree{Path: t.At(name), options: t.options, parent: t, name: name}
	return sub, sub.claim(ctx, func() (*os.Root, error) {
		_, err := t.Root.Lstat(name)
		sub.createdInParent = sub.createdInParent || errors.Is(err, fs.ErrNotExist)
		if err := t.MkdirAll(name); err != nil {
			return nil, err
		}
		root, err := disk.OpenDir(t.Root, name)
		return root, Refused(sub.Path, err)
	})
}

// claim locks the tree that open opens, once no other run has it.
func (t *Tree) claim(ctx context.Context, open func() (*os.Root, error)) error {
	held, err := filelock.Wait(ctx, t.Path, t.options.Waiting, func() (held *filelock.Lock, err error) {
		if t.Root, err = open(); err != nil {
			return nil, err
		}
		return t.tryLock()
	})
	if err != nil {
		t.removeCreated()
		return explainOpening(ctx, t.Path, err)
	}
	t.lock = held
	if err := t.removeStaging(); err != nil {
		t.Close()
		return fmt.Errorf("removing temporary files of an interrupted run: %w", Explain(err))
	}
	return nil
}

// OpenExisting opens a directory to read, or to write files that only this user needs.
func OpenExisting(dir string) (*Tree, error) {
	root, err := disk.OpenRoot(dir)
	if err != nil {
		return nil, fault.New(fault.Usage, "opening the directory: %w", err)
	}
	return &Tree{Path: dir, Root: root, options: Options{Reader: disk.Self()}}, nil
}

// Sub opens a directory in the tree to read. An absent one is an [fs.ErrNotExist];
// anything but a directory is of kind [fault.Integrity].
func (t *Tree) Sub(name string) (*Tree, error) {
	root, err := disk.OpenDir(t.Root, name)
	if err != nil {
		return nil, err
	}
	return &Tree{Path: t.At(name), Root: root, options: t.options}, nil
}

// Refused adds the path and a hint to the error of something that is in the place of a directory.
func Refused(path string, err error) error {
	if fault.KindOf(err) != fault.Integrity {
		return err
	}
	return fault.New(fault.Integrity, "%s: %w", path, err).
		WithHint("botkube-mirror does not follow links here: remove %s, and run the same command again", path)
}

func explainOpening(ctx context.Context, dir string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("waiting for another run that writes to %s: %w", dir, err)
	}
	if _, ok := errors.AsType[*disk.ModeError](err); ok || disk.IsFull(err) {
		return fmt.Errorf("opening the output directory %s: %w", dir, Explain(err))
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.New(fault.Usage, "the output directory %s cannot be written: %w", dir, err).
		WithHint("name a directory that you can write to%s", runningAs())
}

// runningAs names the user of this process, which a person in a container may not know.
func runningAs() string {
	if os.Getuid() < 0 {
		return "" // Windows
	}
	return fmt.Sprintf(", as user %d of group %d", os.Getuid(), os.Getgid())
}

// Explain adds a hint to an error of the file system.
func Explain(err error) error {
	if _, known := errors.AsType[*fault.Error](err); known {
		return err
	}
	hint := disk.Hint(err, "write to a local disk")
	mode, isMode := errors.AsType[*disk.ModeError](err)
	switch {
	case hint != "":
	case isMode && mode.Err == nil:
		hint = "mount the volume with file_mode=0755,dir_mode=0755 (SMB, Azure Files), or write to a volume that keeps file modes"
	case isMode:
		hint = "run as the user who owns the files; if the volume is SMB or Azure Files, mount it with file_mode=0755,dir_mode=0755"
	case errors.Is(err, fs.ErrPermission):
		hint = "run as a user who can read and write all files in the directory, or name another directory"
	case disk.IsFull(err):
		hint = "free some space, and run the same command again: it continues where it stopped"
	default:
		return err
	}
	return fault.New(fault.Unexpected, "%w", err).WithHint("%s", hint)
}

// tryLock returns nil, and the directory is closed, if another run has it.
func (t *Tree) tryLock() (held *filelock.Lock, err error) {
	defer func() {
		if held == nil {
			t.Root.Close()
		}
	}()
	name, look := ".", func() (fs.FileInfo, error) { return os.Stat(t.Path) }
	if !t.options.Bare {
		name, look = MetaDir, func() (fs.FileInfo, error) { return t.Root.Lstat(MetaDir) }
		if err := t.MkdirAll(MetaDir); err != nil {
			return nil, err
		}
	}
	held, err = filelock.TryDir(t.Root, name)
	if err != nil || held == nil {
		return nil, err
	}
	// What was locked may be a directory that its last owner has removed. On systems that lock a
	// file instead, the locked file cannot be removed.
	locked, err := held.Stat()
	there, err2 := look()
	if err != nil || err2 != nil || locked.IsDir() && !os.SameFile(locked, there) {
		held.Unlock()
		return nil, nil
	}
	return held, nil
}

// Close removes unfinished files, and the directory if this run created it and wrote nothing to it.
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

// removeCreated removes the empty ones of the directories that this run made for the tree.
func (t *Tree) removeCreated() {
	if t.createdInParent {
		_ = t.parent.RemoveEmpty(t.name)
	}
	disk.RemoveDirs(t.created)
}

// removeStaging removes temporary files. If there are none, the medium may be read-only.
func (t *Tree) removeStaging() error {
	left := []string{stagingDir}
	if t.options.Bare {
		names, err := readNames(t.Root, -1)
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, TempPrefix) })
	}
	for _, p := range left {
		if _, err := t.Root.Lstat(p); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := t.Root.RemoveAll(p); err != nil {
			return err
		}
	}
	return nil
}

// MkdirAll creates a directory and its parents, with read permission for all users. If a directory
// exists, it adds missing permissions and removes write permission for all users. Other bits stay:
// volumes with a group (a pod's fsGroup) need them, and only the owner of a directory can change
// them. If something else is there, such as a link, it is displaced.
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
		return t.Mend(dir, fi, agent.DirectoryMode, NeededOfDir(dir))
	}
	if err == nil {
		if err := t.displace(dir, "is not a directory"); err != nil {
			return err
		}
	}
	if err := t.Root.Mkdir(dir, agent.DirectoryMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return disk.Chmod(t.Root, dir, agent.DirectoryMode, t.options.Reader)
}

// NeededOfDir returns the permissions that readers need on a directory: none on [MetaDir].
func NeededOfDir(dir string) fs.FileMode {
	if path.Base(dir) == MetaDir {
		return 0
	}
	return agent.DirectoryMode
}

// Mend adds missing permissions to an existing file or directory. Readers need the permissions in
// need. Of a directory, this run may need more than they do.
func (t *Tree) Mend(p string, fi fs.FileInfo, mode, need fs.FileMode) error {
	changed, err := disk.Repair(t.Root, p, fi, mode, need, t.options.Reader)
	access := disk.AccessOf(fi)
	if changed && (access.Wrong(t.options.Reader, need) != "" || fi.IsDir() && access.Lacking(disk.Self(), mode) != "") {
		t.mended.Store(true)
	}
	return err
}

// Mended reports whether the mode of a file or a directory was wrong, and was mended.
func (t *Tree) Mended() bool { return t.mended.Load() }

// Check refuses a path that has anything but a directory (or a regular file), unless it may be
// displaced.
func (t *Tree) Check(p string, dir bool) error {
	fi, err := t.Root.Lstat(p)
	switch {
	case err != nil || t.displaced != nil || dir && fi.IsDir() || !dir && fi.Mode().IsRegular():
		return nil
	case dir:
		return t.InTheWay(p, "is not a directory")
	}
	return t.InTheWay(p, "is not a regular file")
}

// CheckRegular refuses paths with anything but a regular file; hint is the error's hint. It does
// not read the files. A missing file is not an error.
func (t *Tree) CheckRegular(hint string, paths ...string) error {
	for _, p := range paths {
		if _, err := disk.StatRegular(t.Root, p); fault.KindOf(err) == fault.Integrity {
			return fault.New(fault.Integrity, "%s: %w", t.At(p), err).WithHint("%s", hint)
		}
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
	data, err := disk.ReadAtMost(f, max)
	if _, ok := errors.AsType[*disk.TooLongError](err); ok {
		return nil, fault.New(fault.Integrity, "%w", err)
	}
	return data, err
}

// SyncDirs makes the names of files durable, and those of their directories.
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
	if t.createdInParent {
		if err := disk.SyncDirIn(t.parent.Root, "."); err != nil {
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

// Settle waits until no other run writes to a directory. It changes nothing. On systems that cannot
// lock a directory, it does not wait.
func Settle(ctx context.Context, dir string, waiting func(path string)) error {
	root, err := disk.OpenRoot(dir)
	if err != nil {
		return nil // opening it to read says what is wrong
	}
	defer root.Close()
	held, err := filelock.Wait(ctx, dir, waiting, func() (*filelock.Lock, error) {
		held, err := filelock.TryDir(root, MetaDir)
		if err != nil {
			return nil, errNoLock // whatever it is, Wait is not to try again
		}
		return held, nil
	})
	if errors.Is(err, errNoLock) {
		return nil
	}
	if err != nil {
		return err
	}
	return held.Unlock()
}

// errNoLock: no run writes the directory, or the lock is not for this user.
var errNoLock = errors.New("no lock")

// Package atomicfile writes a file completely or not at all. Until the file is on disk, it has a
// temporary name beside the target. Only one run writes a file at a time. The next run removes the
// temporary files of a killed run.
package atomicfile

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
)

// Check returns an error if a file cannot be written. It leaves no files behind.
func Check(name string) error {
	real, err := resolve(name)
	if err != nil {
		return err
	}
	dir := filepath.Dir(real)
	for parent := filepath.Dir(dir); dir != parent; parent = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir = parent
	}
	// The names of the files that a run needs may be too long where its own is not.
	if _, err := os.Lstat(filepath.Join(dir, hidden(real)+tempSuffix+rand.Text())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return refuse(name, err)
	}
	if err := disk.CheckWritable(dir, hidden(real)+tempSuffix+"*"); err != nil {
		return refuse(name, err)
	}
	return nil
}

func refuse(name string, err error) error {
	if disk.IsFull(err) {
		return fault.New(fault.Unexpected, "the output %s cannot be written: %w", name, err).
			WithHint("free some space, and run the same command again")
	}
	return fault.New(fault.Usage, "the output %s cannot be written: %w", name, err).
		WithHint("name a file in a directory that you can write to")
}

// resolve returns where a file is to be written: where a link leads, if it is one.
func resolve(name string) (string, error) {
	if name == "" || os.IsPathSeparator(name[len(name)-1]) {
		return "", fault.New(fault.Usage, "the output %q is not the path of a file", name)
	}
	fi, err := os.Stat(name)
	switch {
	case err == nil && fi.IsDir():
		return "", fault.New(fault.Usage, "the output %s is a directory, not a file", name).
			WithHint("name a file in that directory; or move the directory away, and run the same command again")
	case err == nil && !fi.Mode().IsRegular():
		return "", fault.New(fault.Usage, "the output %s is not a regular file", name).WithHint("name another file, or remove this one")
	case err == nil:
		return filepath.EvalSymlinks(name)
	case !errors.Is(err, fs.ErrNotExist):
		return "", refuse(name, err)
	}
	if disk.IsBrokenLink(name) {
		return "", fault.New(fault.Usage, "the output %s is a symbolic link to a file that does not exist", name).WithHint("create the file that the link points to, or remove the link")
	}
	return filepath.Clean(name), nil
}

// Temporary files beside a file have names that start with the result of hidden.
const (
	lockSuffix = ".lock"
	tempSuffix = ".tmp-"
	// maxBase bounds what hidden keeps of a name: file systems have 255 bytes.
	maxBase = 200
)

func hidden(name string) string {
	base := filepath.Base(name)
	if len(base) > maxBase {
		base = lock.Sum([]byte(base)).String()
	}
	return "." + base
}

// File is a file that this run writes. No other run writes it at the same time.
type File struct {
	name string
	// root is the directory that the file is in, whatever becomes of its path.
	root *os.Root
	// lock is nil where the file system has no locks.
	lock *filelock.Lock
	// created are the directories that were made for the file.
	created []string
	// temp is nil before it was created and once it was published.
	temp *os.File
	// tempName is what it is called in the directory.
	tempName string
}

// Open waits until no other run writes the file, and removes temporary files of killed runs. It
// creates the directory if necessary. waiting, if not nil, is called once if another run writes the
// file.
func Open(ctx context.Context, name string, waiting func(string)) (*File, error) {
	real, err := resolve(name)
	if err != nil {
		return nil, err
	}
	f := &File{name: real}
	if err = f.claim(ctx, name, waiting); err == nil {
		return f, nil
	}
	_ = f.Close() // nothing was written
	if ctx.Err() != nil {
		return nil, fmt.Errorf("waiting for another run that writes to %s: %w", name, err)
	}
	return nil, refuse(name, err)
}

// base is what the file is called in its directory.
func (f *File) base() string { return filepath.Base(f.name) }

// beside is what a file that belongs to writing this one is called.
func (f *File) beside(suffix string) string { return hidden(f.name) + suffix }

func (f *File) claim(ctx context.Context, name string, waiting func(string)) error {
	l, err := filelock.Wait(ctx, name, waiting, f.try)
	if errors.Is(err, errors.ErrUnsupported) {
		// Temporary names keep runs apart all the same, but none can be swept.
		_ = f.root.Remove(f.beside(lockSuffix))
		return nil
	}
	if err != nil {
		return err
	}
	f.lock = l
	return f.sweep()
}

// try opens the directory, which it creates if need be, and tries the lock.
func (f *File) try() (*filelock.Lock, error) {
	dir := filepath.Dir(f.name)
	made, err := disk.MakeDirs(dir, 0o755, nil)
	f.created = append(f.created, made...)
	if err != nil {
		return nil, err
	}
	if f.root != nil {
		_ = f.root.Close()
	}
	if f.root, err = disk.OpenRoot(dir); err != nil {
		f.root = nil
		return nil, err
	}
	return filelock.TryFile(f.root, f.beside(lockSuffix))
}

// sweep removes the files of killed runs: only the run with the lock is alive.
func (f *File) sweep() error {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), hidden(f.name)+tempSuffix) && e.Type().IsRegular() {
			if err := f.root.Remove(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Create creates the temporary file that Publish gives the name. Its mode is up
// to the user's umask, unlike that of os.CreateTemp.
func (f *File) Create() (*os.File, error) {
	f.tempName = f.beside(tempSuffix + rand.Text())
	temp, err := f.root.OpenFile(f.tempName, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	f.temp = temp
	return temp, err
}

// OpenTemp opens the temporary file once more, to write at several offsets at the same time.
func (f *File) OpenTemp() (*os.File, error) {
	return f.root.OpenFile(f.tempName, os.O_WRONLY, 0)
}

// Publish makes the content durable and gives the file its name.
func (f *File) Publish() error {
	if err := f.temp.Sync(); err != nil {
		return err
	}
	if err := f.temp.Close(); err != nil {
		return err
	}
	if err := f.root.Rename(f.tempName, f.base()); err != nil {
		return err
	}
	f.temp = nil
	return f.Keep()
}

// Keep keeps the existing file, which already has the right bytes, and makes its name durable: a
// killed run may have renamed it without that.
func (f *File) Keep() error {
	for _, dir := range f.created {
		if err := errors.Join(disk.SyncDir(filepath.Dir(dir)), disk.SyncDir(dir)); err != nil {
			return err
		}
	}
	return errors.Join(disk.SyncDir(filepath.Dir(filepath.Dir(f.name))), disk.SyncDirIn(f.root, "."))
}

// owned are the bits that the owner of a file needs to carry it on.
const owned = 0o600

// OpenUsable opens the existing file for a comparison. It returns nil if there is no file that its
// owner can read and replace. Other bits of its mode do not matter.
func (f *File) OpenUsable() (*os.File, error) {
	there, err := disk.OpenRegular(f.root, f.base())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("comparing with the existing file %s: %w", f.name, err)
	}
	if fi, err := there.Stat(); err != nil || fi.Mode()&owned != owned {
		return nil, errors.Join(err, there.Close())
	}
	return there, nil
}

// Same reports whether the existing file has the bytes that were written.
func (f *File) Same(ctx context.Context) (bool, error) {
	there, err := f.OpenUsable()
	if err != nil || there == nil {
		return false, err
	}
	defer there.Close()
	written, errW := f.temp.Stat()
	fi, errT := there.Stat()
	if err := errors.Join(errW, errT); err != nil || written.Size() != fi.Size() {
		return false, err
	}
	return compare(ctx, io.NewSectionReader(f.temp, 0, written.Size()), there)
}

// Close removes the temporary file if it was not published, and releases the lock.
func (f *File) Close() error {
	var err error
	if f.temp != nil {
		_ = f.temp.Close() // Publish may have closed it
		err = f.root.Remove(f.tempName)
	}
	if f.lock != nil {
		err = errors.Join(err, f.lock.Unlock())
	}
	if f.root != nil {
		err = errors.Join(err, f.root.Close())
	}
	disk.RemoveDirs(f.created)
	return err
}

// compareAtOnce is how many bytes are compared between two looks at the context.
const compareAtOnce = 256 << 10

func compare(ctx context.Context, a, b io.Reader) (bool, error) {
	bufA, bufB := make([]byte, compareAtOnce), make([]byte, compareAtOnce)
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, err := io.ReadFull(a, bufA)
		if n == 0 && errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return false, err
		}
		if _, err := io.ReadFull(b, bufB[:n]); err != nil || !bytes.Equal(bufA[:n], bufB[:n]) {
			return false, nil
		}
	}
}

// Package onefile writes a file whole or not at all: under a temporary name beside
// it until it is on disk, by one run at a time. What a killed run leaves, the next
// one removes.
package onefile

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

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
)

// Check reports early why a file cannot be written. It leaves nothing behind.
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
	if err := disk.Probe(dir, hidden(real)+tempSuffix+"*"); err != nil {
		return refuse(name, err)
	}
	return nil
}

func refuse(name string, err error) error {
	if disk.IsFull(err) {
		return fault.New(fault.Unexpected, "the output %s cannot be written: %w", name, err).
			WithHint("free some space and run the same command again")
	}
	return fault.New(fault.Usage, "the output %s cannot be written: %w", name, err).
		WithHint("name a file in a directory that you may write to")
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
			WithHint("name a file in it; or, if it took the place of one, move it away and run the same command again")
	case err == nil && !fi.Mode().IsRegular():
		return "", fault.New(fault.Usage, "the output %s is not a regular file", name).WithHint("name another file, or remove this one")
	case err == nil:
		return filepath.EvalSymlinks(name)
	case !errors.Is(err, fs.ErrNotExist):
		return "", refuse(name, err)
	}
	if _, err := os.Lstat(name); err == nil {
		return "", fault.New(fault.Usage, "the output %s is a link to nowhere", name).WithHint("create what it leads to, or remove it")
	}
	return filepath.Clean(name), nil
}

// Names of what belongs to writing a file. They lie beside it, and begin with what
// hidden returns.
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

// File is a file on its way, which one run at a time writes.
type File struct {
	name string
	// lock is nil where the file system has no locks.
	lock *filelock.Lock
	// created are the directories that were made for the file.
	created []string
	// temp is nil before it was created and once it was published.
	temp *os.File
}

// Open waits until no other run writes the file, and sweeps what killed ones
// left. Its directory is created if need be. Waiting, if not nil, is called once
// when there is another run.
func Open(ctx context.Context, name string, waiting func(string)) (*File, error) {
	real, err := resolve(name)
	if err != nil {
		return nil, err
	}
	f := &File{name: real}
	tell := func() {
		if waiting != nil {
			waiting(name)
		}
	}
	if err = f.claim(ctx, tell); err == nil {
		return f, nil
	}
	_ = f.Close() // nothing was written
	if ctx.Err() != nil {
		return nil, fmt.Errorf("waiting for another run that writes %s: %w", name, err)
	}
	return nil, refuse(name, err)
}

// Name returns the path of the file, or of what it is a link to.
func (f *File) Name() string { return f.name }

// beside returns the path of a file that belongs to writing this one.
func (f *File) beside(suffix string) string {
	return filepath.Join(filepath.Dir(f.name), hidden(f.name)+suffix)
}

func (f *File) claim(ctx context.Context, tell func()) error {
	vanished := 0
	l, err := filelock.Wait(ctx, tell, func() (*filelock.Lock, error) {
		made, err := disk.MakeDirs(filepath.Dir(f.name), 0o755)
		f.created = append(f.created, made...)
		if err != nil {
			return nil, err
		}
		l, err := filelock.TryFile(f.beside(lockSuffix))
		// The run that is waited for may remove a directory that it created
		// for nothing.
		if errors.Is(err, fs.ErrNotExist) && vanished < 20 {
			vanished++
			return nil, nil
		}
		return l, err
	})
	if errors.Is(err, errors.ErrUnsupported) {
		// Temporary names keep runs apart all the same, but none can be swept.
		_ = os.Remove(f.beside(lockSuffix))
		return nil
	}
	if err != nil {
		return err
	}
	f.lock = l
	return f.sweep()
}

// sweep removes the files of killed runs: who has the lock is the only one alive.
func (f *File) sweep() error {
	entries, err := os.ReadDir(filepath.Dir(f.name))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), hidden(f.name)+tempSuffix) && e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(filepath.Dir(f.name), e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Create creates the temporary file that Publish gives the name. Its mode is up
// to the user's umask, unlike that of os.CreateTemp.
func (f *File) Create() (*os.File, error) {
	temp, err := os.OpenFile(f.beside(tempSuffix+rand.Text()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	f.temp = temp
	return temp, err
}

// Publish makes what was written durable and gives it its name.
func (f *File) Publish() error {
	if err := f.temp.Sync(); err != nil {
		return err
	}
	if err := f.temp.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.temp.Name(), f.name); err != nil {
		return err
	}
	f.temp = nil
	return f.syncName()
}

// Keep keeps the file that is there, which has the bytes that would have been
// written. That it has its name may be news to the disk, where a run was killed that
// had renamed it.
func (f *File) Keep() error { return f.syncName() }

func (f *File) syncName() error {
	for _, dir := range append(f.created, filepath.Dir(f.name)) {
		if err := errors.Join(disk.SyncDir(filepath.Dir(dir)), disk.SyncDir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// owned are the bits that the owner of a file needs to carry it on.
const owned = 0o600

// Usable reports whether there is a file that its owner may read and replace.
// Further bits of its mode are the user's.
func (f *File) Usable() bool {
	fi, err := os.Stat(f.name)
	return err == nil && fi.Mode()&owned == owned
}

// Same reports whether the file that is there has the bytes that were written.
func (f *File) Same(ctx context.Context) (bool, error) {
	if !f.Usable() {
		return false, nil
	}
	return sameBytes(ctx, f.temp.Name(), f.name)
}

// Close removes what was not published, and lets the next run have the file.
func (f *File) Close() error {
	var err error
	if f.temp != nil {
		_ = f.temp.Close() // Publish may have closed it
		err = os.Remove(f.temp.Name())
	}
	if f.lock != nil {
		err = errors.Join(err, f.lock.Unlock())
	}
	disk.RemoveDirs(f.created)
	return err
}

// sameBytes reports whether two files hold the same. One that cannot be read
// does not.
func sameBytes(ctx context.Context, a, b string) (bool, error) {
	fa, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return false, nil
	}
	defer fb.Close()
	sa, errA := fa.Stat()
	sb, errB := fb.Stat()
	if errA != nil || errB != nil || sa.Size() != sb.Size() {
		return false, errA
	}
	return compare(ctx, fa, fb)
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

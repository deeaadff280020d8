package image

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
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
	"github.com/botkube-mirror/botkube-mirror/internal/project/cache"
)

// CheckFile reports early why an image cannot be written to a file. It leaves
// nothing behind.
func CheckFile(name string) error {
	real, err := realFile(name)
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
	// Its name is as long as those of the files that a run needs.
	probe, err := os.CreateTemp(dir, hidden(real)+tempSuffix+"*")
	if err != nil {
		return refuse(name, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func refuse(name string, err error) error {
	return fault.New(fault.Usage, "the output %s cannot be written: %w", name, err).
		WithHint("name a file in a directory that you may write to")
}

// realFile returns where a file is to be written: where a link leads, if it is one.
func realFile(name string) (string, error) {
	if name == "" || os.IsPathSeparator(name[len(name)-1]) {
		return "", fault.New(fault.Usage, "the output %q is not the path of a file", name)
	}
	fi, err := os.Stat(name)
	switch {
	case err == nil && !fi.Mode().IsRegular():
		return "", fault.New(fault.Usage, "the output %s is there, and is not a regular file", name).WithHint("name another file")
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
)

func hidden(name string) string { return "." + filepath.Base(name) }

// output is a file on its way, which one run at a time writes.
type output struct {
	name string
	// lock is nil where the file system has no locks.
	lock *filelock.Lock
	// created are the directories that were made for the file.
	created []string
	// file is nil once it was published.
	file *os.File
}

// openOutput waits until no other run writes the file, and sweeps what killed
// ones left.
func openOutput(ctx context.Context, name string, waiting func(string)) (*output, error) {
	real, err := realFile(name)
	if err != nil {
		return nil, err
	}
	out := &output{name: real}
	tell := func() {
		if waiting != nil {
			waiting(name)
		}
	}
	if err = out.claim(ctx, tell); err == nil {
		// Unlike os.CreateTemp, this leaves the mode to the user's umask.
		out.file, err = os.OpenFile(out.beside(tempSuffix+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	}
	if err == nil {
		return out, nil
	}
	_ = out.close() // nothing was written
	if ctx.Err() != nil {
		return nil, fmt.Errorf("waiting for another run that writes %s: %w", name, err)
	}
	return nil, refuse(name, err)
}

// beside returns the path of a file that belongs to writing this one.
func (out *output) beside(suffix string) string {
	return filepath.Join(filepath.Dir(out.name), hidden(out.name)+suffix)
}

func (out *output) claim(ctx context.Context, tell func()) error {
	vanished := 0
	l, err := filelock.Wait(ctx, tell, func() (*filelock.Lock, error) {
		if err := out.mkdir(filepath.Dir(out.name)); err != nil {
			return nil, err
		}
		l, err := filelock.TryFile(out.beside(lockSuffix))
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
		_ = os.Remove(out.beside(lockSuffix))
		return nil
	}
	if err != nil {
		return err
	}
	out.lock = l
	return out.sweep()
}

// mkdir creates a directory and its parents.
func (out *output) mkdir(dir string) error {
	if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := out.mkdir(parent); err != nil {
			return err
		}
	}
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil // another run was faster, or it is a file, which the next step notices
	}
	if err == nil {
		out.created = append(out.created, dir)
	}
	return err
}

// sweep removes the files of killed runs: who has the lock is the only one alive.
func (out *output) sweep() error {
	entries, err := os.ReadDir(filepath.Dir(out.name))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), hidden(out.name)+tempSuffix) && e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(filepath.Dir(out.name), e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// publish makes the file durable and gives it its name, unless one with the same
// bytes has it.
func (out *output) publish(ctx context.Context) (changed bool, err error) {
	if err := out.file.Sync(); err != nil {
		return false, err
	}
	same, err := sameBytes(ctx, out.file.Name(), out.name)
	if err != nil || same {
		return false, err
	}
	if err := out.file.Close(); err != nil {
		return false, err
	}
	if err := os.Rename(out.file.Name(), out.name); err != nil {
		return false, err
	}
	out.file = nil
	for _, dir := range append(out.created, filepath.Dir(out.name)) {
		if err := errors.Join(disk.SyncDir(filepath.Dir(dir)), disk.SyncDir(dir)); err != nil {
			return true, err
		}
	}
	return true, nil
}

// close removes what was not published, and lets the next run have the file.
func (out *output) close() error {
	var err error
	if out.file != nil {
		_ = out.file.Close() // publish may have closed it
		err = os.Remove(out.file.Name())
	}
	if out.lock != nil {
		err = errors.Join(err, out.lock.Unlock())
	}
	for _, dir := range slices.Backward(out.created) {
		_ = os.Remove(dir) // fails if something is in it, as it should
	}
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

func compare(ctx context.Context, a, b io.Reader) (bool, error) {
	c := &comparison{other: b, buf: make([]byte, 256<<10)}
	switch err := cache.Copy(ctx, c, a); {
	case errors.Is(err, errDifferent):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}

var errDifferent = errors.New("the files differ")

// comparison fails to write what is not the same as the other.
type comparison struct {
	other io.Reader
	buf   []byte
}

func (c *comparison) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		part := c.buf[:min(len(rest), len(c.buf))]
		if _, err := io.ReadFull(c.other, part); err != nil || !bytes.Equal(part, rest[:len(part)]) {
			return 0, errDifferent
		}
		rest = rest[len(part):]
	}
	return len(p), nil
}

package bundle

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/filelock"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
)

// CheckFile reports why [WriteFile] could not write a file, before anything is
// done for it. It leaves nothing behind.
func CheckFile(path string) error {
	path, err := resolveFile(path)
	if err != nil {
		return err
	}
	return checkWritable(filepath.Dir(path))
}

// resolveFile follows a link at path, and refuses what cannot be replaced by a
// file.
func resolveFile(path string) (string, error) {
	if path == "" || strings.HasSuffix(path, "/") || strings.HasSuffix(path, string(filepath.Separator)) {
		return "", fault.New(fault.Usage, "the output %q is not the path of a file", path)
	}
	fi, err := os.Stat(path)
	switch {
	case err == nil && fi.IsDir():
		return "", fault.New(fault.Usage, "the output %s is a directory, not a file", path).
			WithHint("name a file in it, or oci:%s for a bundle that is a directory", path)
	case err == nil && !fi.Mode().IsRegular():
		return "", fault.New(fault.Usage, "the output %s is not a regular file", path).
			WithHint("name a file, or - for standard output")
	case err == nil:
		return filepath.EvalSymlinks(path)
	}
	if _, lerr := os.Lstat(path); lerr == nil {
		return "", fault.New(fault.Usage, "the output %s cannot be opened: %w", path, err).
			WithHint("if it is a link, create what it leads to, or remove it")
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fault.New(fault.Usage, "the output %s cannot be written: %w", path, err).WithHint("name another file")
	}
	return path, nil
}

// checkWritable reports why a file could not be created in a directory, which
// need not exist.
func checkWritable(dir string) error {
	for {
		fi, err := os.Stat(dir)
		if err == nil && !fi.IsDir() {
			err = errors.New("it is not a directory")
		}
		if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
			dir = parent
			continue
		}
		var f *os.File
		if err == nil {
			f, err = os.CreateTemp(dir, tempPrefix+"*")
		}
		if err != nil {
			return fault.New(fault.Usage, "the output directory %s cannot be written: %w", dir, err).
				WithHint("name an output that you may write to")
		}
		_ = f.Close()
		_ = os.Remove(f.Name()) // another run may have swept it
		return nil
	}
}

// WriteFile writes the bundle as a tar file, under a temporary name until it is
// whole and on disk. If a file with these very bytes is there, it writes nothing.
// The directory is created if need be.
func WriteFile(ctx context.Context, path string, c *Contents, o Options) (changed bool, err error) {
	target, err := resolveFile(path)
	if err != nil {
		return false, err
	}
	segments, err := c.segments(o.ModTime)
	if err != nil {
		return false, err
	}
	held, created, err := lockFile(ctx, target, o)
	if err != nil {
		removeDirs(created)
		return false, fmt.Errorf("writing the bundle %s: %w", path, explain(err))
	}
	changed, err = c.replaceFile(ctx, target, segments, o)
	err = errors.Join(err, held.Unlock())
	if err != nil {
		removeDirs(created)
		return false, fmt.Errorf("writing the bundle %s: %w", path, explain(err))
	}
	for _, dir := range created {
		if err := disk.SyncDir(filepath.Dir(dir)); err != nil {
			return true, err
		}
	}
	return changed, nil
}

// hidden returns a name beside path for what belongs to writing it.
func hidden(path, suffix string) string {
	dir, base := filepath.Split(path)
	if len(base) > 200 {
		base = lock.Sum([]byte(base)).String()
	}
	return filepath.Join(dir, "."+base+suffix)
}

const (
	lockSuffix = ".lock"
	tempSuffix = ".tmp-"
)

// lockFile waits for other runs that write a file, creates its directory, and
// sweeps what killed runs left.
func lockFile(ctx context.Context, target string, o Options) (held locked, created []string, err error) {
	tell := func() {
		if o.Waiting != nil {
			o.Waiting(target)
		}
	}
	vanished := 0
	l, err := filelock.Wait(ctx, tell, func() (*filelock.Lock, error) {
		made, err := mkdir(filepath.Dir(target))
		created = append(created, made...)
		if err != nil {
			return nil, err
		}
		l, err := filelock.TryFile(hidden(target, lockSuffix))
		// The run that is waited for may remove a directory that it created
		// for nothing.
		if errors.Is(err, fs.ErrNotExist) && vanished < 20 {
			vanished++
			return nil, nil
		}
		return l, err
	})
	if errors.Is(err, errors.ErrUnsupported) {
		// The file system has no locks: temporary names are still apart, but
		// none can be swept.
		_ = os.Remove(hidden(target, lockSuffix))
		return locked{}, created, nil
	}
	if err != nil {
		return locked{}, created, err
	}
	sweep(target)
	return locked{l}, created, nil
}

// locked is a lock, or none where there are no locks.
type locked struct{ *filelock.Lock }

func (l locked) Unlock() error {
	if l.Lock == nil {
		return nil
	}
	return l.Lock.Unlock()
}

// sweep removes temporary files of a target whose lock is held: their writers
// are dead.
func sweep(target string) {
	prefix := filepath.Base(hidden(target, tempSuffix))
	entries, err := os.ReadDir(filepath.Dir(target))
	if err != nil {
		return // it matters to what is written next, if to anything
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && e.Type().IsRegular() {
			_ = os.Remove(filepath.Join(filepath.Dir(target), e.Name()))
		}
	}
}

// mkdir creates a directory and its parents, and returns those it created, the
// outermost first.
func mkdir(dir string) (created []string, err error) {
	if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
		return nil, nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if created, err = mkdir(parent); err != nil {
			return created, err
		}
	}
	err = os.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return created, nil // another run was faster, or it is a file, which the next step notices
	}
	if err != nil {
		return created, err
	}
	return append(created, dir), nil
}

// removeDirs removes those of the directories in which nothing is.
func removeDirs(dirs []string) {
	for _, dir := range slices.Backward(dirs) {
		_ = os.Remove(dir)
	}
}

func (c *Contents) replaceFile(ctx context.Context, target string, segments []segment, o Options) (bool, error) {
	same, err := holds(ctx, target, segments)
	if err != nil || same {
		return false, err
	}
	// Unlike os.CreateTemp, this leaves the mode to the user's umask.
	f, err := os.OpenFile(hidden(target, tempSuffix+rand.Text()), os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return false, err
	}
	err = c.copyVerified(ctx, f, segments, o, verifiedMeanwhile)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), target)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return false, err
	}
	return true, disk.SyncDir(filepath.Dir(target))
}

// holds reports whether a file has the bytes of the segments: blobs by their
// digests, so that the source need not be read.
func holds(ctx context.Context, path string, segments []segment) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("comparing with what is there: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || fi.Size() != sizeOf(segments) {
		return false, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	var at int64
	for _, s := range segments {
		section := io.NewSectionReader(f, at, s.size())
		at += s.size()
		g.Go(func() error { return s.compare(ctx, section) })
	}
	err = g.Wait()
	if errors.Is(err, errDiffers) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return err == nil, err
}

var errDiffers = errors.New("the file differs")

// compare returns errDiffers if a section is not the segment.
func (s segment) compare(ctx context.Context, section *io.SectionReader) error {
	if s.blob != nil {
		sum, err := digest(ctx, section)
		if err == nil && sum != s.blob.SHA256 {
			err = errDiffers
		}
		return err
	}
	data := make([]byte, len(s.data))
	if _, err := io.ReadFull(section, data); err != nil {
		return err
	}
	if !bytes.Equal(data, s.data) {
		return errDiffers
	}
	return nil
}

// digest hashes what r has.
func digest(ctx context.Context, r io.Reader) (lock.SHA256, error) {
	h := sha256.New()
	if _, err := io.CopyBuffer(h, readerWithContext{ctx, r}, make([]byte, 256<<10)); err != nil {
		return lock.SHA256{}, err
	}
	return lock.SHA256(h.Sum(nil)), nil
}

// readerWithContext fails once ctx is done.
type readerWithContext struct {
	ctx context.Context
	r   io.Reader
}

func (r readerWithContext) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

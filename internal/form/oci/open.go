package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Packing is what a path looks like.
type Packing int

// The places that [Sniff] tells apart.
const (
	// NoLayout is anything else, or nothing.
	NoLayout Packing = iota
	// InTar is a file that is, or was, a tar: a compressed one too.
	InTar
	// InDir is a directory with a layout, or a part of one.
	InDir
)

// Sniff tells where a path may have a layout. Whether it has, [Open] says, and why
// not.
func Sniff(path string) Packing {
	fi, err := os.Stat(path)
	if err != nil {
		return NoLayout
	}
	if fi.IsDir() {
		for _, name := range []string{FileName, IndexName, BlobsDir} {
			if _, err := os.Lstat(filepath.Join(path, filepath.FromSlash(name))); err == nil {
				return InDir
			}
		}
		return NoLayout
	}
	f, _, err := disk.Open(path)
	if err != nil {
		return NoLayout
	}
	defer f.Close()
	if start, _ := io.ReadAll(io.LimitReader(f, BlockSize)); isTar(start) || compression(start) != "" {
		return InTar
	}
	return NoLayout
}

// isTar reports whether data is the start of a tar file that POSIX or GNU archivers
// made.
func isTar(data []byte) bool {
	return len(data) >= BlockSize && bytes.HasPrefix(data[257:], []byte("ustar"))
}

// Open opens the layout that is a directory or a tar file. One that a tool compressed,
// as hauler store save does, is unpacked into a temporary file without a name. What is
// none is an [ErrNotLayout].
func Open(ctx context.Context, path string) (*Layout, error) {
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, Unopened(path, err)
	case fi.IsDir():
		root, err := disk.OpenRoot(path)
		if err != nil {
			return nil, Unopened(path, err)
		}
		l := OpenDir(root, path)
		l.closer = root
		return l.checked()
	case !fi.Mode().IsRegular():
		return nil, fault.New(fault.Usage, "%s is neither a regular file nor a directory", path).WithHint(Hint)
	}
	f, _, err := disk.Open(path)
	if err != nil {
		return nil, Unopened(path, err)
	}
	return openFile(ctx, f, f, path)
}

// OpenDir returns the layout in a directory, which may have nothing of one yet. The
// root stays the caller's.
func OpenDir(root *os.Root, path string) *Layout {
	return &Layout{files: Dir{Root: root}, name: path, dir: true}
}

// OpenStream opens the layout in a tar on standard input: in place if that is a file,
// else in a temporary copy without a name, for a layout is not read in the order in
// which its bytes lie.
func OpenStream(ctx context.Context, stdin io.Reader) (*Layout, error) {
	if f, ok := stdin.(*os.File); ok {
		if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() {
			return openFile(ctx, f, nil, StandardInput)
		}
	}
	temp, err := disk.TempFile()
	if err != nil {
		return nil, spoolError(err)
	}
	if err := blob.Copy(ctx, temp, stdin); err != nil {
		return nil, errors.Join(spoolError(err), temp.Close())
	}
	return openFile(ctx, temp.File, temp, StandardInput)
}

// openFile opens the layout in a file, which closer, if there is one, closes.
func openFile(ctx context.Context, f *os.File, closer io.Closer, name string) (l *Layout, err error) {
	defer func() {
		if err != nil && closer != nil {
			err = errors.Join(err, closer.Close())
		}
	}()
	fi, err := f.Stat()
	if err != nil {
		return nil, Unopened(name, err)
	}
	temp, err := decompressed(ctx, f, fi.Size(), name)
	if err != nil {
		return nil, err
	}
	if temp != nil {
		if closer != nil {
			_ = closer.Close() // nothing was written to it
		}
		f, closer = temp.File, temp
		if fi, err = f.Stat(); err != nil {
			return nil, Unopened(name, err)
		}
	}
	l, err = OpenTar(f, fi.Size(), name)
	if err == nil {
		l.closer = closer
	}
	return l, err
}

// OpenTar opens the layout in a tar of a size. The name is for messages.
func OpenTar(r io.ReaderAt, size int64, name string) (*Layout, error) {
	l := &Layout{name: name}
	t, err := scanTar(r, size)
	if err != nil {
		return nil, l.Explain("", err)
	}
	l.files = t
	return l.checked()
}

// checked returns the layout if it is one, and closes it else.
func (l *Layout) checked() (*Layout, error) {
	if err := l.check(); err != nil {
		return nil, errors.Join(l.Explain("", err), l.Close())
	}
	return l, nil
}

// Unopened says why nothing at a path can be opened, and what to do.
func Unopened(path string, err error) error {
	e := fault.New(fault.Usage, "opening %s: %w", path, disk.Reason(err))
	if errors.Is(err, fs.ErrPermission) {
		return e.WithHint("let your user read it: chmod u+rX, or chown if it is another's")
	}
	return e.WithHint(Hint)
}

func spoolError(err error) error {
	e := fault.New(fault.Unexpected, "keeping standard input in a temporary file: %w", err)
	if disk.IsFull(err) {
		return e.WithHint("it needs room in %s: name another directory in the environment variable TMPDIR, or read it from a file, < bundle.tar", filepath.Clean(os.TempDir()))
	}
	return e.WithHint("name a directory that can be written to in the environment variable TMPDIR, or read it from a file, < bundle.tar")
}

// Bounds, in bytes, on what a compressed file unpacks to: most of what is in a layout
// is compressed already.
const (
	mostRatio     = 100
	leastUnpacked = 64 << 20
)

// extensions are those of what [compression] names, for [archive.Decompress].
var extensions = map[string]string{"gzip": "gz", "zstd": "zst", "xz": "xz", "bzip2": "bz2"}

// decompressed returns what a compressed file holds, in a temporary one; nil for what
// is no such file.
func decompressed(ctx context.Context, f *os.File, size int64, name string) (*disk.Temp, error) {
	start := make([]byte, min(size, BlockSize))
	if err := readAt(f, start, 0); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, disk.Reason(err))
	}
	format, ok := extensions[compression(start)]
	if !ok {
		return nil, nil
	}
	temp, err := disk.TempFile()
	if err == nil {
		err = archive.Decompress(ctx, temp, io.NewSectionReader(f, 0, size), format, max(leastUnpacked, mostRatio*size))
		if err != nil {
			_ = temp.Close()
		}
	}
	if err != nil {
		return nil, unpackError(name, err)
	}
	return temp, nil
}

// unpackError says what to do about a file that cannot be unpacked.
func unpackError(name string, err error) error {
	if _, known := errors.AsType[*fault.Error](err); known {
		return fault.New(fault.KindOf(err), "unpacking %s, which is compressed: %w", name, err).
			WithHint("copy %s again; compare sha256sum on both sides first", filepath.Base(name))
	}
	e := fmt.Errorf("unpacking %s, which is compressed, into a temporary file: %w", name, err)
	if disk.IsFull(err) {
		return fault.New(fault.Unexpected, "%w", e).
			WithHint("it needs room in %s: name another directory in the environment variable TMPDIR, or unpack the file first", filepath.Clean(os.TempDir()))
	}
	return e
}

// compression names the format of a compressed or zipped file.
func compression(start []byte) string {
	for magic, name := range map[string]string{
		"\x1f\x8b": "gzip", "\x28\xb5\x2f\xfd": "zstd", "\xfd7zXZ\x00": "xz", "BZh": "bzip2", "PK\x03\x04": "zip", "PK\x05\x06": "zip",
	} {
		if bytes.HasPrefix(start, []byte(magic)) {
			return name
		}
	}
	return ""
}

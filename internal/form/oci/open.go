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
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// MayBeLayout reports whether a path may have a layout. [Open] finds out whether it has one.
func MayBeLayout(path string) bool {
	return MayBeTar(path) || slices.ContainsFunc([]string{FileName, IndexName, BlobsDir}, func(name string) bool {
		_, err := os.Lstat(filepath.Join(path, filepath.FromSlash(name)))
		return err == nil
	})
}

// MayBeTar reports whether a file begins like a tar, or like a compressed file, which may have
// a tar in it.
func MayBeTar(path string) bool {
	f, _, err := disk.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	start, _ := io.ReadAll(io.LimitReader(f, BlockSize))
	return isTar(start) || compression(start) != nil
}

// isTar reports whether data is the start of a tar file that POSIX or GNU archivers
// made.
func isTar(data []byte) bool {
	return len(data) >= BlockSize && bytes.HasPrefix(data[257:], []byte("ustar"))
}

// Open opens a layout in a directory or a tar file. If a tool compressed the tar file, as hauler
// store save does, it is decompressed to a temporary file without a name. If there is no layout,
// the error is an [ErrNotLayout].
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

// OpenDir returns the layout in a directory, which may still be empty. The caller closes root.
func OpenDir(root *os.Root, path string) *Layout {
	return &Layout{files: dirFiles{root}, name: path, dir: true}
}

// OpenStream opens the layout in a tar on standard input. If standard input is a file, it is read
// in place. Otherwise it is copied to a temporary file without a name, since a layout is not read
// from start to end.
func OpenStream(ctx context.Context, stdin io.Reader) (*Layout, error) {
	if f, ok := stdin.(*os.File); ok {
		if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() {
			return openFile(ctx, f, nil, StandardInput)
		}
	}
	temp, err := disk.TempFile()
	if err != nil {
		return nil, tempError("saving standard input", "read the bundle from a file: < bundle.tar", err)
	}
	if err := blob.Copy(ctx, temp, stdin); err != nil {
		return nil, errors.Join(tempError("saving standard input", "read the bundle from a file: < bundle.tar", err), temp.Close())
	}
	return openFile(ctx, temp.File, temp, StandardInput)
}

// openFile opens the layout in a file, which closer, if there is one, closes.
func openFile(ctx context.Context, f *os.File, closer io.Closer, name string) (*Layout, error) {
	l := &Layout{name: name, closer: closer}
	fi, err := f.Stat()
	if err != nil {
		return nil, errors.Join(Unopened(name, err), l.Close())
	}
	temp, err := decompressed(ctx, f, fi.Size(), name)
	if temp != nil {
		_ = l.Close() // nothing was written to it
		f, l.closer = temp.File, temp
		fi, err = f.Stat()
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l.inTar(f, fi.Size())
}

// OpenTar opens the layout in a tar of size bytes. name is for messages.
func OpenTar(r io.ReaderAt, size int64, name string) (*Layout, error) {
	return (&Layout{name: name}).inTar(r, size)
}

func (l *Layout) inTar(r io.ReaderAt, size int64) (*Layout, error) {
	t, err := scanTar(r, size)
	if err != nil {
		return nil, errors.Join(l.Explain("", err), l.Close())
	}
	l.files = t
	return l.checked()
}

func (l *Layout) checked() (*Layout, error) {
	if err := l.check(); err != nil {
		return nil, errors.Join(l.Explain("", err), l.Close())
	}
	return l, nil
}

// Unopened is the error of a path that cannot be opened, with a hint.
func Unopened(path string, err error) error {
	e := fault.New(fault.Usage, "opening %s: %w", path, disk.Reason(err))
	if errors.Is(err, fs.ErrPermission) {
		return e.WithHint("give your user read access: chmod u+rX; if another user owns it, chown first")
	}
	return e.WithHint(Hint)
}

// tempError is the error of a temporary file. Doing is the task that needs the file, instead a
// way without it.
func tempError(doing, instead string, err error) error {
	hint := "set the environment variable TMPDIR to a directory that you can write to"
	if disk.IsFull(err) {
		hint = fmt.Sprintf("free some space in %s; set the environment variable TMPDIR to a directory on a larger disk", filepath.Clean(os.TempDir()))
	}
	return fault.New(fault.Unexpected, "%s to a temporary file: %w", doing, err).WithHint("%s, or %s", hint, instead)
}

// Bounds, in bytes, on what a compressed file unpacks to: most of what is in a layout
// is compressed already.
const (
	mostRatio     = 100
	leastUnpacked = 64 << 20
)

// decompressed returns what a compressed file holds, in a temporary one; nil for what
// is no such file.
func decompressed(ctx context.Context, f *os.File, size int64, name string) (*disk.Temp, error) {
	start := make([]byte, min(size, BlockSize))
	if err := readAt(f, start, 0); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	format := compression(start)
	if format == nil || format.extension == "" {
		return nil, nil
	}
	temp, err := disk.TempFile()
	if err == nil {
		if err = archive.Decompress(ctx, temp, io.NewSectionReader(f, 0, size), format.extension, max(leastUnpacked, mostRatio*size)); err == nil {
			return temp, nil
		}
		_ = temp.Close()
	}
	if _, damaged := errors.AsType[*fault.Error](err); damaged {
		return nil, fault.New(fault.KindOf(err), "decompressing %s: %w", name, err).
			WithHint("copy %s again; compare sha256sum on both sides first", filepath.Base(name))
	}
	return nil, tempError("decompressing "+name, "decompress the file first", err)
}

type format struct{ magic, name, unpacker, extension string }

// formats with an extension are read: [archive.Decompress] takes that.
var formats = []format{
	{"\x1f\x8b", "gzip", "gunzip", "gz"},
	{"\x28\xb5\x2f\xfd", "zstd", "unzstd", "zst"},
	{"\xfd7zXZ\x00", "xz", "unxz", "xz"},
	{"BZh", "bzip2", "bunzip2", "bz2"},
	{"PK\x03\x04", "zip", "unzip", ""},
	{"PK\x05\x06", "zip", "unzip", ""},
}

// compression returns the format of a file, by its start, or nil.
func compression(start []byte) *format {
	i := slices.IndexFunc(formats, func(f format) bool { return bytes.HasPrefix(start, []byte(f.magic)) })
	if i < 0 {
		return nil
	}
	return &formats[i]
}

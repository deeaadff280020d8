package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicfile"
)

const (
	// FileContent is what oci-layout holds.
	FileContent = `{"imageLayoutVersion":"1.0.0"}`
	// FileMode is the mode of the files of a layout.
	FileMode = 0o644

	// copiedAtOnce is how much is copied between two looks at the context. A slow disk may take
	// seconds for it. writtenAtOnce is how much the disk is told to write at a time.
	copiedAtOnce  = 1 << 20
	writtenAtOnce = 16 << 20
)

// Archive is the plan of a layout's tar file: its entries, in the order in which they are added.
// The content of blobs is read while the file is written. It does not use archive/tar to write
// contents: that would prevent the kernel from copying from file to file.
type Archive struct {
	modTime time.Time
	parts   []part
	has     map[lock.SHA256]bool
	out     output
	err     error
}

// part is a part of a tar file: the content of a blob, or data.
type part struct {
	lock.Blob
	// open is nil for data, which has no digest in Blob.
	open func() (blob.File, error)
	data []byte
}

// NewArchive begins with oci-layout. Entries have the time, in seconds; that of the
// Unix epoch if it is zero.
func NewArchive(modTime time.Time) *Archive {
	a := &Archive{modTime: time.Unix(0, 0), has: map[lock.SHA256]bool{}}
	if !modTime.IsZero() {
		a.modTime = time.Unix(modTime.Unix(), 0)
	}
	a.file(FileName, []byte(FileContent))
	return a
}

// Index adds index.json.
func (a *Archive) Index(data []byte) { a.file(IndexName, data) }

// Document adds a blob that is in memory, unless it was added before.
func (a *Archive) Document(data []byte) {
	if b := BlobOf(data); a.isNew(b.SHA256) {
		a.file(BlobPath(b.SHA256), data)
	}
}

// Blob adds a blob that is read when it is written, unless it was added before.
func (a *Archive) Blob(b lock.Blob, open func() (blob.File, error)) {
	if a.isNew(b.SHA256) {
		a.header(tar.TypeReg, BlobPath(b.SHA256), FileMode, b.Size)
		a.parts = append(a.parts, part{Blob: b, open: open})
		a.bytes(make([]byte, padding(b.Size)))
	}
}

// Close adds the end of the file.
func (a *Archive) Close() error {
	a.bytes(make([]byte, 2*BlockSize))
	return a.err
}

// isNew notes a blob. The first one has the directories before it.
func (a *Archive) isNew(d lock.SHA256) bool {
	if len(a.has) == 0 {
		a.header(tar.TypeDir, "blobs/", 0o755, 0)
		a.header(tar.TypeDir, BlobsDir+"/", 0o755, 0)
	}
	had := a.has[d]
	a.has[d] = true
	return !had
}

func (a *Archive) file(name string, data []byte) {
	a.header(tar.TypeReg, name, FileMode, int64(len(data)))
	a.bytes(data)
	a.bytes(make([]byte, padding(int64(len(data)))))
}

func (a *Archive) header(kind byte, name string, mode, size int64) {
	// No format is named: archive/tar takes USTAR wherever it can, and PAX
	// for what is larger than 8 GiB.
	var block bytes.Buffer
	err := tar.NewWriter(&block).WriteHeader(&tar.Header{Typeflag: kind, Name: name, Mode: mode, Size: size, ModTime: a.modTime})
	if err != nil && a.err == nil {
		a.err = fmt.Errorf("writing the tar header of %s: %w", name, err)
	}
	a.bytes(block.Bytes())
}

func (a *Archive) bytes(data []byte) {
	if n := len(a.parts); n == 0 || a.parts[n-1].open != nil {
		a.parts = append(a.parts, part{})
	}
	last := &a.parts[len(a.parts)-1]
	last.data = append(last.data, data...)
	last.Size = int64(len(last.data))
}

// Size returns the size in bytes of what was added and not written.
func (a *Archive) Size() int64 {
	var n int64
	for _, p := range a.parts {
		n += p.Size
	}
	return n
}

// Flush writes what was added since the last call.
func (a *Archive) Flush(ctx context.Context, w io.Writer) error {
	for _, p := range a.parts {
		if err := a.out.write(ctx, w, p); err != nil {
			return err
		}
	}
	a.parts = nil
	return a.err
}

// WriteStream writes the archive to a stream. Each blob is verified before it is copied, while the
// blob before it is being copied, so that it is still in memory. After an error, the end of the
// archive is missing.
func (a *Archive) WriteStream(ctx context.Context, w io.Writer, from blob.Source) error {
	g, ctx := errgroup.WithContext(ctx)
	verified := make(chan struct{})
	g.Go(func() error {
		for _, p := range a.parts {
			if p.open == nil {
				continue
			}
			if err := p.verify(ctx, from); err != nil {
				return err
			}
			select {
			case verified <- struct{}{}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	g.Go(func() error {
		for _, p := range a.parts {
			if p.open != nil {
				select {
				case <-verified:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			if err := a.out.write(ctx, w, p); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

func (p part) verify(ctx context.Context, from blob.Source) error {
	// What is copied counts, and not once more what is compared.
	if err := from.Verify(blob.Watched(ctx, nil), p.SHA256); err != nil {
		return err
	}
	f, err := p.content()
	if err != nil {
		return err
	}
	return f.Close()
}

// content opens a part. A blob has its size.
func (p part) content() (blob.File, error) {
	if p.open == nil {
		return blob.InMemory(p.data), nil
	}
	f, err := p.open()
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil && size != p.Size {
		err = fault.New(fault.Integrity, "blob sha256:%s has %d bytes, but the lock says %d", p.SHA256, size, p.Size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// output is what is written in turn.
type output struct {
	// size is what was written, and begun what the disk was told to write.
	size, begun int64
}

// write writes a part. Between files, io.CopyN leaves the copying to the kernel.
func (o *output) write(ctx context.Context, w io.Writer, p part) error {
	content, err := p.content()
	if err != nil {
		return err
	}
	defer content.Close()
	for left := p.Size; left > 0; {
		if ctx.Err() != nil {
			return fmt.Errorf("stopped: %w", context.Cause(ctx))
		}
		n, err := io.CopyN(w, content, min(left, copiedAtOnce))
		left -= n
		o.size += n
		blob.Moved(ctx, n)
		if f, ok := w.(*os.File); ok && o.size-o.begun >= writtenAtOnce {
			disk.StartWriteback(f, o.begun, o.size-o.begun)
			o.begun = o.size
		}
		if errors.Is(err, io.EOF) {
			err = fault.New(fault.Integrity, "blob sha256:%s became shorter while it was read", p.SHA256)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CheckFile returns an error if a file cannot be written, or if the existing file cannot be from
// botkube-mirror. It leaves no files behind.
func CheckFile(path string) error {
	if err := atomicfile.Check(path); err != nil {
		return err
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Size() == 0 || MayBeTar(path) {
		return nil
	}
	return fault.New(fault.Usage, "the output %s exists, and is neither a bundle nor an image", path).
		WithHint("name another file, or remove this one")
}

// WriteFile writes a file, with a temporary name until it is complete and on disk. An existing file
// with the same bytes stays. The directory is created if necessary. If another run writes the file,
// WriteFile waits, and calls waiting if that is not nil.
func WriteFile(ctx context.Context, path string, waiting func(path string), write func(*os.File) error) (changed bool, err error) {
	out, err := atomicfile.Open(ctx, path, waiting)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	f, err := out.Create()
	if err == nil {
		err = write(f)
	}
	if err != nil {
		return false, err
	}
	same, err := out.Same(ctx)
	switch {
	case err != nil:
		return false, err
	case same:
		return false, out.Keep()
	}
	return true, out.Publish()
}

var errDiffers = errors.New("the file differs")

func (p part) compare(ctx context.Context, section io.Reader) error {
	want := p.SHA256
	if p.open == nil {
		want = lock.Sum(p.data)
	}
	h := blob.NewHash()
	err := blob.Copy(ctx, h, section)
	if err == nil && h.SHA256() != want {
		err = errDiffers
	}
	return err
}

// SourceDiffers is the error if the written bytes do not have the digest of the blob. Usually the
// source is damaged, even if it was verified earlier.
func SourceDiffers(ctx context.Context, from blob.Source, d lock.SHA256) error {
	if f, ok := from.(interface{ Forget(lock.SHA256) }); ok {
		f.Forget(d)
	}
	if err := from.Verify(ctx, d); err != nil {
		return err
	}
	return fault.New(fault.Integrity, "blob sha256:%s was written to disk with other content than was read", d).
		WithHint("run the same command again; if it fails again, check the disk and the memory of this machine")
}

// ExplainWriting adds a hint to an error of the file system. elsewhere is a step that names another
// place to write to.
func ExplainWriting(err error, elsewhere string) error {
	if _, known := errors.AsType[*fault.Error](err); known {
		return err
	}
	if hint := disk.Hint(err, elsewhere); hint != "" {
		return fault.New(fault.Unexpected, "%w", err).WithHint("%s", hint)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Usage, "%w", err).WithHint("name an output that you may write to")
	case disk.IsFull(err):
		return fault.New(fault.Unexpected, "%w", err).WithHint("free some space and run the same command again")
	}
	return err
}

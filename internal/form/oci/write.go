package oci

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
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

	// copiedAtOnce is how much is copied between two looks at the context.
	copiedAtOnce = 16 << 20
)

// Archive lays out the tar file of a layout: entries in the order in which they are
// added, the content of blobs by where it is read. It does without archive/tar's
// writer of contents, which hides from the kernel that one file is copied to another.
type Archive struct {
	modTime time.Time
	parts   []part
	has     map[lock.SHA256]bool
	out     output
	err     error
}

// part is a part of a tar file: bytes, or the content of a blob.
type part struct {
	data []byte
	// blob is nil for bytes.
	blob *lock.Blob
	open func() (blob.File, error)
}

func (p part) size() int64 {
	if p.blob != nil {
		return p.blob.Size
	}
	return int64(len(p.data))
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
		a.parts = append(a.parts, part{blob: &b, open: open})
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
	if n := len(a.parts); n > 0 && a.parts[n-1].blob == nil {
		a.parts[n-1].data = append(a.parts[n-1].data, data...)
	} else if len(data) > 0 {
		a.parts = append(a.parts, part{data: bytes.Clone(data)})
	}
}

// Size returns the size in bytes of what was added and not written.
func (a *Archive) Size() int64 {
	var n int64
	for _, p := range a.parts {
		n += p.size()
	}
	return n
}

// Flush writes what was added since the last call.
func (a *Archive) Flush(ctx context.Context, w io.Writer) error {
	a.out.ctx, a.out.w = ctx, w
	for _, p := range a.parts {
		if err := a.out.part(p); err != nil {
			return err
		}
	}
	a.parts = nil
	return a.err
}

// WriteStream writes the archive to where nothing can be taken back: each blob is
// verified before it is copied, while the one before it is, so that what was read is
// still in memory. With an error, what was written lacks its end.
func (a *Archive) WriteStream(ctx context.Context, w io.Writer, from blob.Source) error {
	g, ctx := errgroup.WithContext(ctx)
	// Room for all: neither side waits for the other once that has failed.
	verified, copied := make(chan struct{}, len(a.parts)), make(chan struct{}, len(a.parts)+1)
	copied <- struct{}{}
	wait := func(c <-chan struct{}) error {
		select {
		case <-c:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	g.Go(func() error {
		for _, p := range a.parts {
			if p.blob == nil {
				continue
			}
			if err := p.verify(ctx, from); err != nil {
				return err
			}
			verified <- struct{}{}
			if err := wait(copied); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		out := &output{ctx: ctx, w: w}
		for _, p := range a.parts {
			if p.blob != nil {
				if err := wait(verified); err != nil {
					return err
				}
			}
			if err := out.part(p); err != nil {
				return err
			}
			if p.blob != nil {
				copied <- struct{}{}
			}
		}
		return nil
	})
	return g.Wait()
}

// verify compares a blob of the source with its digest and its size.
func (p part) verify(ctx context.Context, from blob.Source) error {
	if err := from.Verify(ctx, p.blob.SHA256); err != nil {
		return err
	}
	f, err := p.openSized()
	if err != nil {
		return err
	}
	return f.Close()
}

// openSized opens a blob, and compares its size.
func (p part) openSized() (blob.File, error) {
	f, err := p.open()
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil && size != p.blob.Size {
		err = fault.New(fault.Integrity, "blob sha256:%s has %d bytes, not the %d that the lock says", p.blob.SHA256, size, p.blob.Size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// output is what is written in turn.
type output struct {
	ctx context.Context
	w   io.Writer
	// size is what was written, and begun what the disk was told to write.
	size, begun int64
	buf         []byte
}

func (o *output) part(p part) error {
	if p.blob != nil {
		return o.copy(p)
	}
	if err := o.stopped(); err != nil {
		return err
	}
	n, err := o.w.Write(p.data)
	o.grown(int64(n))
	return err
}

func (o *output) stopped() error {
	if o.ctx.Err() != nil {
		return fmt.Errorf("stopped: %w", context.Cause(o.ctx))
	}
	return nil
}

func (o *output) grown(n int64) {
	o.size += n
	if f, ok := o.w.(*os.File); ok && o.size-o.begun >= copiedAtOnce {
		disk.StartWriteback(f, o.begun, o.size-o.begun)
		o.begun = o.size
	}
}

func (o *output) copy(p part) error {
	f, err := p.openSized()
	if err != nil {
		return err
	}
	defer f.Close()
	for left := p.blob.Size; left > 0; {
		if err := o.stopped(); err != nil {
			return err
		}
		n, err := o.copyN(f, min(left, copiedAtOnce))
		left -= n
		o.grown(n)
		if errors.Is(err, io.EOF) {
			return fault.New(fault.Integrity, "blob sha256:%s became shorter while it was read", p.blob.SHA256)
		}
		if err != nil {
			return fmt.Errorf("copying blob sha256:%s: %w", p.blob.SHA256, err)
		}
	}
	return nil
}

// copyN is io.CopyN, which between files leaves the copying to the kernel, with
// a buffer of a better size for all else.
func (o *output) copyN(f blob.File, n int64) (int64, error) {
	_, fromFile := f.(*os.File)
	_, toFile := o.w.(*os.File)
	if fromFile && toFile {
		return io.CopyN(o.w, f, n)
	}
	if o.buf == nil {
		o.buf = make([]byte, 1<<20)
	}
	done, err := io.CopyBuffer(struct{ io.Writer }{o.w}, struct{ io.Reader }{io.LimitReader(f, n)}, o.buf)
	if err == nil && done < n {
		err = io.EOF
	}
	return done, err
}

// CheckFile reports why a file could not be written, or that it is one which this
// program cannot have written, before anything is done for it. It leaves nothing behind.
func CheckFile(path string) error {
	if err := atomicfile.Check(path); err != nil {
		return err
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Size() == 0 || Sniff(path) == InTar {
		return nil
	}
	return fault.New(fault.Usage, "the output %s is there, and is no bundle or image", path).
		WithHint("name another file, or remove this one")
}

// WriteFile writes a file, under a temporary name until it is whole and on disk. If
// one with the same bytes is there, that stays. The directory is created if need be.
// A run that finds another one at the file waits, and calls waiting, if that is not nil.
func WriteFile(ctx context.Context, path string, waiting func(path string), write func(*os.File) error) (changed bool, err error) {
	return replace(ctx, path, waiting, func(out *atomicfile.File) (same bool, err error) {
		f, err := out.Create()
		if err == nil {
			err = write(f)
		}
		if err != nil {
			return false, err
		}
		return out.Same(ctx)
	})
}

// WriteFile is [WriteFile] for the archive, which is compared with what is there before
// anything is written. Blobs are compared once they are in the file, and the source is
// asked if one is wrong.
func (a *Archive) WriteFile(ctx context.Context, path string, from blob.Source, waiting func(path string)) (changed bool, err error) {
	return replace(ctx, path, waiting, func(out *atomicfile.File) (same bool, err error) {
		there, err := out.OpenUsable()
		if err != nil {
			return false, err
		}
		if there != nil {
			defer there.Close()
			if same, err := a.isIn(ctx, there); same || err != nil {
				return same, err
			}
		}
		f, err := out.Create()
		if err != nil {
			return false, err
		}
		return false, a.writeCompared(ctx, f, from)
	})
}

// replace publishes what write wrote, unless what is there is the same.
func replace(ctx context.Context, path string, waiting func(string), write func(*atomicfile.File) (same bool, err error)) (changed bool, err error) {
	out, err := atomicfile.Open(ctx, path, waiting)
	if err != nil {
		return false, err
	}
	same, err := write(out)
	switch {
	case err != nil:
	case same:
		err = out.Keep()
	default:
		err = out.Publish()
	}
	err = errors.Join(err, out.Close())
	return !same && err == nil, err
}

// isIn reports whether a file has the bytes of the archive: blobs by their digests, so
// that the source need not be read.
func (a *Archive) isIn(ctx context.Context, f *os.File) (bool, error) {
	fi, err := f.Stat()
	if err != nil || fi.Size() != a.Size() {
		return false, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	var at int64
	for _, p := range a.parts {
		section := io.NewSectionReader(f, at, p.size())
		at += p.size()
		g.Go(func() error { return p.compare(ctx, section) })
	}
	err = g.Wait()
	if errors.Is(err, errDiffers) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return err == nil, err
}

// writeCompared writes the archive to a file, and compares the blobs in it with their
// digests while the next ones are written: what counts is what the file has.
func (a *Archive) writeCompared(ctx context.Context, f *os.File, from blob.Source) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	out := &output{ctx: ctx, w: f}
	var err error
	for _, p := range a.parts {
		begin := out.size
		if err = out.part(p); err != nil {
			break
		}
		if p.blob == nil {
			continue
		}
		g.Go(func() error {
			err := p.compare(ctx, io.NewSectionReader(f, begin, p.size()))
			if errors.Is(err, errDiffers) {
				return SourceDiffers(ctx, from, p.blob.SHA256)
			}
			return err
		})
	}
	// The comparison says better what is wrong.
	return cmp.Or(g.Wait(), err)
}

var errDiffers = errors.New("the file differs")

// compare returns errDiffers if a section of a file is not the part.
func (p part) compare(ctx context.Context, section io.Reader) error {
	if p.blob != nil {
		h := blob.NewHash()
		err := blob.Copy(ctx, h, section)
		if err == nil && h.SHA256() != p.blob.SHA256 {
			err = errDiffers
		}
		return err
	}
	data := make([]byte, len(p.data))
	if _, err := io.ReadFull(section, data); err != nil {
		return err
	}
	if !bytes.Equal(data, p.data) {
		return errDiffers
	}
	return nil
}

// SourceDiffers says what is wrong if what was written is not the blob of a digest:
// the source, usually, even if it remembers to have verified that.
func SourceDiffers(ctx context.Context, from blob.Source, d lock.SHA256) error {
	if f, ok := from.(interface{ Forget(lock.SHA256) }); ok {
		f.Forget(d)
	}
	if err := from.Verify(ctx, d); err != nil {
		return err
	}
	return fault.New(fault.Integrity, "what was written of blob sha256:%s is not what was read", d).
		WithHint("run the same command again; if it stays so, check the disk and the memory of this machine")
}

// ExplainWriting says what to do about errors of the file system. Elsewhere names
// another place to write to.
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

package bundle

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

const (
	layoutName    = oci.FileName
	indexName     = oci.IndexName
	blobsDir      = oci.BlobsDir
	layoutContent = `{"imageLayoutVersion":"1.0.0"}`

	blockSize = oci.BlockSize
	fileMode  = 0o644
	dirMode   = 0o755

	// copiedAtOnce is how much is copied between two looks at the context.
	copiedAtOnce = 16 << 20
)

// segment is a part of a tar file: bytes, or a blob.
type segment struct {
	data []byte
	// blob is what data is not.
	blob *lock.Blob
}

func (s segment) size() int64 {
	if s.blob != nil {
		return s.blob.Size
	}
	return int64(len(s.data))
}

// segments lays out the tar file. It is written without archive/tar's writer,
// which hides from the kernel that one file is copied to another.
func (c *Contents) segments(modTime time.Time) ([]segment, error) {
	index, err := c.indexJSON()
	if err != nil {
		return nil, err
	}
	l := &tarLayout{modTime: time.Unix(0, 0)}
	if !modTime.IsZero() {
		l.modTime = time.Unix(modTime.Unix(), 0)
	}
	l.file(layoutName, []byte(layoutContent))
	l.file(indexName, index)
	l.header(tar.TypeDir, "blobs/", dirMode, 0)
	l.header(tar.TypeDir, blobsDir+"/", dirMode, 0)
	for _, b := range c.order() {
		name := blobsDir + "/" + b.SHA256.String()
		if data, ok := c.made[b.SHA256]; ok {
			l.file(name, data)
			continue
		}
		l.header(tar.TypeReg, name, fileMode, b.Size)
		l.flush()
		l.segments = append(l.segments, segment{blob: &b})
		l.pad(b.Size)
	}
	l.pending.Write(make([]byte, 2*blockSize))
	l.flush()
	return l.segments, l.err
}

// tarLayout collects segments.
type tarLayout struct {
	modTime  time.Time
	pending  bytes.Buffer
	segments []segment
	err      error
}

func (l *tarLayout) header(kind byte, name string, mode, size int64) {
	// No format is named: archive/tar takes USTAR wherever it can, and PAX
	// for what is larger than 8 GiB.
	err := tar.NewWriter(&l.pending).WriteHeader(&tar.Header{Typeflag: kind, Name: name, Mode: mode, Size: size, ModTime: l.modTime})
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("writing the tar header of %s: %w", name, err)
	}
}

func (l *tarLayout) file(name string, data []byte) {
	l.header(tar.TypeReg, name, fileMode, int64(len(data)))
	l.pending.Write(data)
	l.pad(int64(len(data)))
}

func (l *tarLayout) pad(size int64) {
	l.pending.Write(make([]byte, padding(size)))
}

func (l *tarLayout) flush() {
	if l.pending.Len() > 0 {
		l.segments = append(l.segments, segment{data: bytes.Clone(l.pending.Bytes())})
		l.pending.Reset()
	}
}

// padding is how many zeros follow an entry's content.
func padding(size int64) int64 { return -size & (blockSize - 1) }

func sizeOf(segments []segment) int64 {
	var n int64
	for _, s := range segments {
		n += s.size()
	}
	return n
}

// Size returns the size in bytes of the bundle as a tar file.
func (c *Contents) Size() int64 {
	segments, err := c.segments(time.Time{})
	if err != nil {
		return 0 // only headers can fail, which writing tells
	}
	return sizeOf(segments)
}

// WriteStream writes the bundle as a tar file to where nothing can be taken
// back: no blob is written before it was verified. Without an error, the whole
// bundle was written; with one, what was written lacks its end.
func WriteStream(ctx context.Context, w io.Writer, c *Contents, o Options) error {
	segments, err := c.segments(o.ModTime)
	if err != nil {
		return err
	}
	if err := c.copyVerified(ctx, w, segments); err != nil {
		return fmt.Errorf("writing the bundle: %w", explain(tooLarge(err)))
	}
	return nil
}

// copyCompared writes segments to a file, and compares the blobs in it with their
// digests while the next ones are written: what counts is what the file has.
func (c *Contents) copyCompared(ctx context.Context, f *os.File, segments []segment) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	err := func() error {
		out := &output{ctx: ctx, w: f}
		var at int64
		for _, s := range segments {
			begin := at
			at += s.size()
			if s.blob == nil {
				if err := out.write(s.data); err != nil {
					return err
				}
				continue
			}
			if err := out.copy(c, *s.blob); err != nil {
				return err
			}
			g.Go(func() error { return c.compareWritten(ctx, s, io.NewSectionReader(f, begin, s.size())) })
		}
		return nil
	}()
	// The comparison says better what is wrong.
	return cmp.Or(g.Wait(), err)
}

// compareWritten says what is wrong if a section of what was written is not the
// segment: the source, usually.
func (c *Contents) compareWritten(ctx context.Context, s segment, section io.Reader) error {
	err := s.compare(ctx, section)
	if !errors.Is(err, errDiffers) {
		return err
	}
	return c.sourceDiffers(ctx, s.blob.SHA256)
}

// sourceDiffers says what is wrong if what was written is not the blob of a digest.
func (c *Contents) sourceDiffers(ctx context.Context, d lock.SHA256) error {
	if err := c.verifySource(ctx, d); err != nil {
		return err
	}
	return fault.New(fault.Integrity, "what was written of blob sha256:%s is not what was read", d).
		WithHint("run the same command again; if it stays so, check the disk and the memory of this machine")
}

// verifySource compares a blob with its digest, even if the source remembers to
// have done so.
func (c *Contents) verifySource(ctx context.Context, d lock.SHA256) error {
	if f, ok := c.blobs.(interface{ Forget(lock.SHA256) }); ok {
		f.Forget(d)
	}
	return c.blobs.Verify(ctx, d)
}

// copyVerified writes segments to where nothing can be taken back: each blob is
// verified before it is copied, while the one before it is, so that what was read
// is still in memory.
func (c *Contents) copyVerified(ctx context.Context, w io.Writer, segments []segment) error {
	g, ctx := errgroup.WithContext(ctx)
	// Room for all: neither side waits for the other once that has failed.
	verified, copied := make(chan struct{}, len(segments)), make(chan struct{}, len(segments)+1)
	copied <- struct{}{}
	g.Go(func() error {
		for _, s := range segments {
			if s.blob == nil {
				continue
			}
			if err := c.verify(ctx, *s.blob); err != nil {
				return err
			}
			verified <- struct{}{}
			select {
			case <-copied:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	g.Go(func() error {
		out := &output{ctx: ctx, w: w}
		for _, s := range segments {
			if s.blob == nil {
				if err := out.write(s.data); err != nil {
					return err
				}
				continue
			}
			select {
			case <-verified:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if err := out.copy(c, *s.blob); err != nil {
				return err
			}
			copied <- struct{}{}
		}
		return nil
	})
	return g.Wait()
}

// verify compares a blob of the source with its digest and its size.
func (c *Contents) verify(ctx context.Context, b lock.Blob) error {
	if err := c.blobs.Verify(ctx, b.SHA256); err != nil {
		return err
	}
	f, err := c.blobs.Open(b.SHA256)
	if err != nil {
		return err
	}
	defer f.Close()
	return checkSize(f, b)
}

// checkSize compares a file's size with a blob's, and goes back to the start.
func checkSize(f blob.File, b lock.Blob) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil && size != b.Size {
		err = fault.New(fault.Integrity, "blob sha256:%s has %d bytes, not the %d that the lock says", b.SHA256, size, b.Size)
	}
	return err
}

// output is what is written in turn.
type output struct {
	ctx context.Context
	w   io.Writer
	// size is what was written, and begun what the disk was told to write.
	size, begun int64
	buf         []byte
}

func (o *output) write(data []byte) error {
	if err := checkContext(o.ctx); err != nil {
		return err
	}
	n, err := o.w.Write(data)
	o.grown(int64(n))
	return err
}

func (o *output) grown(n int64) {
	o.size += n
	if f, ok := o.w.(*os.File); ok && o.size-o.begun >= copiedAtOnce {
		disk.StartWriteback(f, o.begun, o.size-o.begun)
		o.begun = o.size
	}
}

// copy writes a blob.
func (o *output) copy(c *Contents, b lock.Blob) error {
	f, err := c.blobs.Open(b.SHA256)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := checkSize(f, b); err != nil {
		return err
	}
	for left := b.Size; left > 0; {
		if err := checkContext(o.ctx); err != nil {
			return err
		}
		n, err := o.copyN(f, min(left, copiedAtOnce))
		left -= n
		o.grown(n)
		if errors.Is(err, io.EOF) {
			return fault.New(fault.Integrity, "blob sha256:%s became shorter while it was read", b.SHA256)
		}
		if err != nil {
			return fmt.Errorf("copying blob sha256:%s: %w", b.SHA256, err)
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

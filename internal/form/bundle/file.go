package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicfile"
)

// CheckFile reports why [WriteFile] could not write a file, before anything is
// done for it. It leaves nothing behind.
func CheckFile(path string) error { return atomicfile.Check(path) }

// WriteFile writes the bundle as a tar file, under a temporary name until it is
// whole and on disk. If a file with these very bytes is there, it writes nothing.
// The directory is created if need be.
func WriteFile(ctx context.Context, path string, c *Contents, o Options) (changed bool, err error) {
	segments, err := c.segments(o.ModTime)
	if err != nil {
		return false, err
	}
	out, err := atomicfile.Open(ctx, path, o.Waiting)
	if err != nil {
		return false, err
	}
	changed, err = c.writeFile(ctx, out, segments)
	if err = errors.Join(err, out.Close()); err != nil {
		return false, fmt.Errorf("writing the bundle %s: %w", path, explain(tooLarge(err)))
	}
	return changed, nil
}

// tooLarge says what to do where no file may be that large: a limit of the
// process, or FAT.
func tooLarge(err error) error {
	if _, known := errors.AsType[*fault.Error](err); known || !errors.Is(err, syscall.EFBIG) {
		return err
	}
	return fault.New(fault.Unexpected, "%w", err).
		WithHint("raise the limit of the size of files (ulimit -f), or write to a file system that takes larger ones; oci:DIR writes a directory of smaller files")
}

func (c *Contents) writeFile(ctx context.Context, out *atomicfile.File, segments []segment) (bool, error) {
	same, err := isThere(ctx, out, segments)
	if err != nil {
		return false, err
	}
	if same {
		return false, out.Keep()
	}
	f, err := out.Create()
	if err != nil {
		return false, err
	}
	if err := c.copyCompared(ctx, f, segments); err != nil {
		return false, err
	}
	return true, out.Publish()
}

// isThere reports whether the file that is there already has the bytes of the
// segments.
func isThere(ctx context.Context, out *atomicfile.File, segments []segment) (bool, error) {
	there, err := out.OpenUsable()
	if err != nil || there == nil {
		return false, err
	}
	defer there.Close()
	return holds(ctx, there, segments)
}

// holds reports whether a file has the bytes of the segments: blobs by their
// digests, so that the source need not be read.
func holds(ctx context.Context, f *os.File, segments []segment) (bool, error) {
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
func (s segment) compare(ctx context.Context, section io.Reader) error {
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
	h := blob.NewHash()
	err := blob.Copy(ctx, h, r)
	return h.SHA256(), err
}

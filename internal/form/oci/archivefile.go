package oci

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicfile"
)

// ArchiveFile writes an archive to a file, with a temporary name until it is complete and on disk.
// Blobs may be added in any order.
type ArchiveFile struct {
	out  *atomicfile.File
	from blob.Source
	// parts are those of the archive. at has their offsets, and size is its length, in bytes.
	parts []part
	at    []int64
	size  int64
	// late says that everything is written in [ArchiveFile.Publish]: the file that exists may have
	// the same bytes.
	late bool

	mu sync.Mutex
	// temp is nil before anything was written.
	temp *os.File
	// written says which parts are in the file. Blobs among them were compared with their digests.
	written []bool
}

// File prepares to write the archive to a file. It creates the directory if need be. If another run
// writes the file, it calls waiting, which may be nil, and waits. If a blob turns out to be damaged,
// the error is the one that from gives for it.
func (a *Archive) File(ctx context.Context, path string, from blob.Source, waiting func(path string)) (*ArchiveFile, error) {
	out, err := atomicfile.Open(ctx, path, waiting)
	if err != nil {
		return nil, err
	}
	f := &ArchiveFile{out: out, from: from, parts: a.parts, written: make([]bool, len(a.parts))}
	for _, p := range a.parts {
		f.at = append(f.at, f.size)
		f.size += p.Size
	}
	there, err := f.openThere()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if there != nil {
		f.late = true
		err = there.Close()
	}
	return f, err
}

// openThere opens the file that is there if it has the size of the archive. Otherwise it returns nil.
func (f *ArchiveFile) openThere() (*os.File, error) {
	there, err := f.out.OpenUsable()
	if err != nil || there == nil {
		return nil, err
	}
	if fi, err := there.Stat(); err != nil || fi.Size() != f.size {
		return nil, errors.Join(err, there.Close())
	}
	return there, nil
}

// Close removes the temporary file if it was not published, and releases the lock.
func (f *ArchiveFile) Close() error { return f.out.Close() }

// Add writes a blob. It ignores a blob that is not in the archive. It may be called concurrently.
func (f *ArchiveFile) Add(ctx context.Context, b lock.Blob) error {
	if f.late {
		return nil
	}
	for i, p := range f.parts {
		if p.open == nil || p.Blob != b || f.isWritten(i) {
			continue
		}
		if _, err := f.create(); err != nil {
			return err
		}
		to, err := f.out.OpenTemp()
		if err != nil {
			return err
		}
		defer to.Close()
		if err := f.write(ctx, to, i, &output{begun: f.at[i]}); err != nil {
			return err
		}
		disk.StartWriteback(to, f.at[i], p.Size)
		return f.compare(ctx, i)
	}
	return nil
}

func (f *ArchiveFile) create() (_ *os.File, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.temp == nil {
		f.temp, err = f.out.Create()
	}
	return f.temp, err
}

// write writes a part to where it belongs.
func (f *ArchiveFile) write(ctx context.Context, to *os.File, i int, o *output) (err error) {
	if o.size, err = to.Seek(f.at[i], io.SeekStart); err != nil {
		return err
	}
	return o.write(ctx, to, f.parts[i])
}

// compare compares a blob that was written with its digest: what counts is what the file has.
func (f *ArchiveFile) compare(ctx context.Context, i int) error {
	// What is written counts, and not once more what is compared.
	err := f.parts[i].compare(blob.Watched(ctx, nil), io.NewSectionReader(f.temp, f.at[i], f.parts[i].Size))
	if errors.Is(err, errDiffers) {
		return SourceDiffers(ctx, f.from, f.parts[i].SHA256)
	}
	if err == nil {
		f.mu.Lock()
		f.written[i] = true
		f.mu.Unlock()
	}
	return err
}

// Publish writes the rest, and gives the file its name. An existing file with the same bytes stays.
func (f *ArchiveFile) Publish(ctx context.Context) (changed bool, err error) {
	same, err := f.isThere(ctx)
	switch {
	case err != nil:
		return false, err
	case same:
		return false, f.out.Keep()
	}
	to, err := f.create()
	if err == nil {
		err = f.writeRest(ctx, to)
	}
	if err != nil {
		return false, err
	}
	return true, f.out.Publish()
}

// writeRest compares blobs while the next ones are written.
func (f *ArchiveFile) writeRest(ctx context.Context, to *os.File) (err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	var o output
	for i, p := range f.parts {
		if f.isWritten(i) {
			continue
		}
		if err = f.write(ctx, to, i, &o); err != nil {
			break
		}
		if p.open != nil {
			g.Go(func() error { return f.compare(ctx, i) })
		}
	}
	// The comparison says better what is wrong.
	return cmp.Or(g.Wait(), err)
}

func (f *ArchiveFile) isWritten(i int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.written[i]
}

// isThere reports whether the existing file has the bytes of the archive. It compares blobs with their
// digests, so that the source need not be read.
func (f *ArchiveFile) isThere(ctx context.Context) (bool, error) {
	if !f.late {
		return false, nil
	}
	there, err := f.openThere()
	if err != nil || there == nil {
		return false, err
	}
	defer there.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range f.parts {
		g.Go(func() error { return p.compare(ctx, io.NewSectionReader(there, f.at[i], p.Size)) })
	}
	err = g.Wait()
	if errors.Is(err, errDiffers) {
		return false, nil
	}
	return err == nil, err
}

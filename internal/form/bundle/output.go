package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// output is a bundle that is being written: as a whole at the end, or from the beginning if it goes
// to a file and the lock says all that it will have.
type output struct {
	path    string
	blobs   blob.Source
	options form.WriteOptions
	write   func(ctx context.Context, path string, c *Contents, o form.WriteOptions) (changed bool, err error)
	// begun takes blobs as they arrive. It is nil if they wait for the end.
	begun *file
}

// openArchive begins a file if the lock says already what it will hold.
func openArchive(ctx context.Context, path string, l *lock.Lock, from form.Content, o form.WriteOptions) (form.Writer, error) {
	out := &output{path: path, blobs: from.Blobs, options: o}
	out.write = out.writeFile
	if path == form.StandardStream || l.Check() != nil {
		return out, nil
	}
	contents, err := Plan(ctx, l, out.blobs)
	if err != nil {
		return out, nil // something that tells of the rest is still to come
	}
	if out.begun, err = openFile(ctx, path, contents, o); err != nil {
		return nil, err
	}
	return out, nil
}

func openLayout(_ context.Context, path string, _ *lock.Lock, from form.Content, o form.WriteOptions) (form.Writer, error) {
	return &output{path: path, blobs: from.Blobs, options: o, write: WriteLayout}, nil
}

// Add verifies the blobs of a stream before they are written: nothing of a stream can be taken
// back, and a damaged blob can still be downloaded again. Others are verified while they are
// written.
func (out *output) Add(ctx context.Context, a lock.Artifact) (bool, error) {
	switch {
	case out.path == form.StandardStream:
		return false, out.blobs.Verify(ctx, a.SHA256)
	case out.begun != nil:
		return false, out.begun.explain(out.begun.Add(ctx, a.Blob))
	}
	return false, nil
}

// Commit writes the bundle.
func (out *output) Commit(ctx context.Context, l *lock.Lock) (w form.Written, err error) {
	contents, err := Plan(ctx, l, out.blobs)
	if err != nil {
		return w, err
	}
	w.Tag, w.Digest, w.Size = contents.Tag, contents.Index.Blob().SHA256.OCI(), contents.Size()
	out.options.Writing(w.Size)
	w.Changed, err = out.write(ctx, out.path, contents, out.options)
	return w, err
}

// writeFile is [WriteFile], which goes on with what was begun if it is the same bundle.
func (out *output) writeFile(ctx context.Context, path string, c *Contents, o form.WriteOptions) (bool, error) {
	if out.begun == nil {
		return WriteFile(ctx, path, c, o)
	}
	if out.begun.index != c.Index.Blob() { // a server told a wrong size
		_ = out.Close()
		return WriteFile(ctx, path, c, o)
	}
	return out.begun.publish(ctx)
}

// Close removes what is unfinished.
func (out *output) Close() (err error) {
	if out.begun != nil {
		err = out.begun.Close()
		out.begun = nil
	}
	return err
}

// file is a bundle on its way to a file.
type file struct {
	*oci.ArchiveFile
	path  string
	index lock.Blob
}

func openFile(ctx context.Context, path string, c *Contents, o form.WriteOptions) (*file, error) {
	a, err := c.archive(o.ModTime)
	if err != nil {
		return nil, err
	}
	f := &file{path: path, index: c.Index.Blob()}
	f.ArchiveFile, err = a.File(ctx, path, c.blobs, o.Waiting)
	return f, f.explain(err)
}

func (f *file) explain(err error) error {
	if err != nil {
		err = fmt.Errorf("writing the bundle %s: %w", f.path, explain(err))
	}
	return err
}

func (f *file) publish(ctx context.Context) (changed bool, err error) {
	changed, err = f.Publish(ctx)
	return changed, f.explain(err)
}

// archive lays out the bundle as a tar file: what names the rest comes first.
func (c *Contents) archive(modTime time.Time) (*oci.Archive, error) {
	index, err := indexJSON(c.Index.Blob(), c.Tag)
	if err != nil {
		return nil, err
	}
	a := oci.NewArchive(modTime)
	a.Index(index)
	for _, b := range c.order() {
		if data, ok := c.made[b.SHA256]; ok {
			a.Document(data)
		} else {
			a.Blob(b, func() (blob.File, error) { return c.blobs.Open(b.SHA256) })
		}
	}
	return a, a.Close()
}

// Size returns the size in bytes of the bundle as a tar file.
func (c *Contents) Size() int64 {
	a, err := c.archive(time.Time{})
	if err != nil {
		return 0 // only headers can fail, which writing tells
	}
	return a.Size()
}

// WriteFile writes the bundle as a tar file, under a temporary name until it is
// whole and on disk. If a file with these very bytes is there, it writes nothing.
// The directory is created if need be. The path "-" is that of [WriteStream].
func WriteFile(ctx context.Context, path string, c *Contents, o form.WriteOptions) (changed bool, err error) {
	if path == form.StandardStream {
		return true, WriteStream(ctx, o.Stdout, c, o)
	}
	f, err := openFile(ctx, path, c, o)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.explain(f.Close())) }()
	return f.publish(ctx)
}

// WriteStream writes the bundle as a tar file to where nothing can be taken
// back: no blob is written before it was verified. Without an error, the whole
// bundle was written; with one, what was written lacks its end.
func WriteStream(ctx context.Context, w io.Writer, c *Contents, o form.WriteOptions) error {
	a, err := c.archive(o.ModTime)
	if err != nil {
		return err
	}
	if err := a.WriteStream(ctx, w, c.blobs); err != nil {
		return fmt.Errorf("writing the bundle: %w", explain(err))
	}
	return nil
}

func next(path string, _ form.Written, _ []agent.Platform, _ string) form.Advice {
	if path == form.StandardStream {
		return form.Advice{}
	}
	return form.Advice{Steps: []form.Step{{
		Do:       fmt.Sprintf("carry %s over the gap, and unpack or publish it there", path),
		Commands: []string{"botkube-mirror unpack " + path + " -o DIR", "botkube-mirror push " + path + " REGISTRY/PREFIX"},
	}}}
}

// needArchive returns the size in bytes of a bundle in a file, or 0 if the file already has the
// same bundle. A new file is written beside the old one.
func needArchive(ctx context.Context, path string, l *lock.Lock, from form.Content) (bytes int64, atLeast bool) {
	if isBundleOf(ctx, path, l) {
		return 0, false
	}
	contents, err := Plan(ctx, l, from.Blobs)
	if err != nil {
		// Something that tells of the rest is still to be fetched.
		return lock.SizeOf(l.Blobs()), true
	}
	return contents.Size(), slices.ContainsFunc(l.Artifacts, func(a lock.Artifact) bool { return a.Size == 0 })
}

func isBundleOf(ctx context.Context, path string, l *lock.Lock) bool {
	if !oci.MayBeTar(path) {
		return false
	}
	layout, err := oci.Open(ctx, path)
	if err != nil {
		return false
	}
	defer layout.Close()
	b, err := Open(ctx, layout, "")
	if err != nil {
		return false
	}
	there, errThere := b.contents.Lock.Marshal()
	wanted, err := l.Marshal()
	return errThere == nil && err == nil && bytes.Equal(there, wanted)
}

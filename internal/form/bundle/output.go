package bundle

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

func checkArchive(_ context.Context, path string, _ form.WriteOptions) error {
	if path == form.StandardStream {
		return nil
	}
	return oci.CheckFile(path)
}

// output is a bundle that is written as a whole in the end.
type output struct {
	path    string
	blobs   blob.Source
	options form.WriteOptions
	write   func(ctx context.Context, path string, c *Contents, o Options) (changed bool, err error)
}

func openArchive(_ context.Context, path string, _ *lock.Lock, from form.Content, o form.WriteOptions) (form.Writer, error) {
	if path == form.StandardStream {
		return &output{path, from.Blobs, o, func(ctx context.Context, _ string, c *Contents, with Options) (bool, error) {
			return true, WriteStream(ctx, o.Stdout, c, with)
		}}, nil
	}
	return &output{path, from.Blobs, o, WriteFile}, nil
}

func openLayout(_ context.Context, path string, _ *lock.Lock, from form.Content, o form.WriteOptions) (form.Writer, error) {
	return &output{path, from.Blobs, o, WriteLayout}, nil
}

// Add verifies what will be streamed, of which nothing can be taken back, while a
// damaged blob can still be fetched again. Others are verified while they are written.
func (out *output) Add(ctx context.Context, a lock.Artifact) (bool, error) {
	if out.path == form.StandardStream {
		return false, out.blobs.Verify(ctx, a.SHA256)
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
	w.Changed, err = out.write(ctx, out.path, contents, Options{ModTime: out.options.ModTime, Waiting: out.options.Waiting, Displaced: out.options.Displaced})
	return w, err
}

// Close does nothing: what is unfinished was removed by who wrote it.
func (out *output) Close() error { return nil }

func next(path string, _ form.Written, _ []agent.Platform, _ string) string {
	if path == form.StandardStream {
		return ""
	}
	return fmt.Sprintf("next: carry it over; there, unpack it (botkube-mirror unpack %s -o DIR) or publish it (botkube-mirror push %s REGISTRY/PREFIX)\n", path, path)
}

// needArchive is the size of a bundle in a file, unless that is there already: a new
// one is written beside the old one.
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

// isBundleOf reports whether a file is the bundle of a lock.
func isBundleOf(ctx context.Context, path string, l *lock.Lock) bool {
	if oci.Sniff(path) != oci.InTar {
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

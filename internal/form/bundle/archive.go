package bundle

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

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

// WriteStream writes the bundle as a tar file to where nothing can be taken
// back: no blob is written before it was verified. Without an error, the whole
// bundle was written; with one, what was written lacks its end.
func WriteStream(ctx context.Context, w io.Writer, c *Contents, o Options) error {
	a, err := c.archive(o.ModTime)
	if err != nil {
		return err
	}
	if err := a.WriteStream(ctx, w, c.blobs); err != nil {
		return fmt.Errorf("writing the bundle: %w", explain(err))
	}
	return nil
}

// WriteFile writes the bundle as a tar file, under a temporary name until it is
// whole and on disk. If a file with these very bytes is there, it writes nothing.
// The directory is created if need be.
func WriteFile(ctx context.Context, path string, c *Contents, o Options) (changed bool, err error) {
	a, err := c.archive(o.ModTime)
	if err != nil {
		return false, err
	}
	if changed, err = a.WriteFile(ctx, path, c.blobs, o.Waiting); err != nil {
		return false, fmt.Errorf("writing the bundle %s: %w", path, explain(err))
	}
	return changed, nil
}

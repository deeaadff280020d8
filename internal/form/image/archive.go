package image

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// imageName has a host that nobody can pull from.
const imageName = "localhost/botkube-plugins"

// archiveWriter is a [Sink] that writes an OCI archive, the tar file of a layout.
type archiveWriter struct {
	*oci.Archive
	to io.Writer
}

// Blob writes a blob that is not there yet.
func (a archiveWriter) Blob(ctx context.Context, b Blob) error {
	a.Archive.Blob(b.Blob, b.Open)
	return a.Flush(ctx, a.to)
}

// Manifest writes a manifest as the blob that it is.
func (a archiveWriter) Manifest(ctx context.Context, m Manifest) error {
	a.Document(m.Data)
	return a.Flush(ctx, a.to)
}

// WriteFile writes an image to a file, as an OCI archive. The file has its name
// when it is whole and on disk; its directory is created if need be. A run that
// finds another one at it waits. It reports whether the file was written: one that
// has the same bytes already is left alone.
func WriteFile(ctx context.Context, name string, l *lock.Lock, src pluginsdir.Source, o Options) (result *Result, changed bool, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, false, err
	}
	changed, err = oci.WriteFile(ctx, name, o.Waiting, func(to *os.File) error {
		result, err = buildArchive(ctx, to, l, src, o)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("writing %s: %w", name, oci.ExplainWriting(err, "write to another disk"))
	}
	return result, changed, nil
}

func buildArchive(ctx context.Context, to io.Writer, l *lock.Lock, src pluginsdir.Source, o Options) (*Result, error) {
	a := archiveWriter{oci.NewArchive(o.ModTime), to}
	result, err := Build(ctx, l, src, o, a)
	if err != nil {
		return nil, err
	}
	top, err := oci.IndexJSON(result.Index, map[string]string{oci.RefNameAnnotation: result.Tag, oci.ImageNameAnnotation: imageName + ":" + result.Tag})
	if err != nil {
		return nil, err
	}
	a.Index(top)
	if err := a.Close(); err != nil {
		return nil, err
	}
	return result, a.Flush(ctx, to)
}

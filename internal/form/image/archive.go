package image

import (
	"archive/tar"
	"context"
	"io"
	"path"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// Names in an OCI image layout, which an OCI archive is a tar of (image-spec,
// image-layout.md).
const (
	layoutFile    = oci.FileName
	layoutContent = `{"imageLayoutVersion":"1.0.0"}`
	indexFile     = oci.IndexName
	blobsDir      = oci.BlobsDir

	// imageName has a host that nobody can pull from.
	imageName = "localhost/botkube-plugins"
)

// archiveWriter is a [Sink] that writes an OCI archive.
type archiveWriter struct {
	tar     *tar.Writer
	modTime time.Time
	has     map[lock.SHA256]bool
}

func newArchiveWriter(to io.Writer, modTime time.Time) (*archiveWriter, error) {
	a := &archiveWriter{tar: tar.NewWriter(to), modTime: modTime, has: map[lock.SHA256]bool{}}
	if err := a.put(layoutFile, []byte(layoutContent)); err != nil {
		return nil, err
	}
	for _, dir := range []string{path.Dir(blobsDir), blobsDir} {
		h := &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: a.modTime}
		if err := a.tar.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *archiveWriter) begin(name string, size int64) error {
	return a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: a.modTime})
}

func (a *archiveWriter) put(name string, data []byte) error {
	if err := a.begin(name, int64(len(data))); err != nil {
		return err
	}
	_, err := a.tar.Write(data)
	return err
}

// Blob writes a blob that is not there yet.
func (a *archiveWriter) Blob(ctx context.Context, b Blob) error {
	if a.has[b.SHA256] {
		return nil
	}
	a.has[b.SHA256] = true
	content, err := b.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	if err := a.begin(oci.BlobPath(b.SHA256), b.Size); err != nil {
		return err
	}
	return blob.Copy(ctx, a.tar, content)
}

// Manifest writes a manifest as the blob that it is.
func (a *archiveWriter) Manifest(ctx context.Context, m Manifest) error {
	return a.Blob(ctx, Blob{Blob: m.Blob, Open: func() (blob.File, error) { return blob.InMemory(m.Data), nil }})
}

// finish writes what names the image.
func (a *archiveWriter) finish(r *Result) error {
	top, err := oci.IndexJSON(r.Index, map[string]string{oci.RefNameAnnotation: r.Tag, oci.ImageNameAnnotation: imageName + ":" + r.Tag})
	if err != nil {
		return err
	}
	if err := a.put(indexFile, top); err != nil {
		return err
	}
	return a.tar.Close()
}

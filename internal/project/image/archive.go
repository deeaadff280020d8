package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/project/cache"
)

// Names in an OCI image layout, which an OCI archive is a tar of (image-spec,
// image-layout.md).
const (
	layoutFile    = "oci-layout"
	layoutContent = `{"imageLayoutVersion":"1.0.0"}`
	indexFile     = "index.json"
	blobsDir      = "blobs/sha256"

	refNameKey = "org.opencontainers.image.ref.name"
	// imageNameKey is what Docker, containerd and Podman name a loaded image by.
	imageNameKey = "io.containerd.image.name"
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
	if err := a.begin(blobName(b.SHA256), b.Size); err != nil {
		return err
	}
	return cache.Copy(ctx, a.tar, content)
}

// Manifest writes a manifest as the blob that it is.
func (a *archiveWriter) Manifest(ctx context.Context, m Manifest) error {
	return a.Blob(ctx, Blob{Blob: m.Blob, Open: func() (blob.File, error) { return blob.InMemory(m.Data), nil }})
}

// finish writes what names the image.
func (a *archiveWriter) finish(r *Result) error {
	d := descriptor(types.OCIImageIndex, r.Index)
	d.Annotations = map[string]string{refNameKey: r.Tag, imageNameKey: imageName + ":" + r.Tag}
	top, err := marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{d}})
	if err != nil {
		return err
	}
	if err := a.put(indexFile, top); err != nil {
		return err
	}
	return a.tar.Close()
}

func blobName(d lock.SHA256) string { return blobsDir + "/" + d.String() }

// layout is an OCI image layout to read.
type layout interface {
	// open opens a file by its name in the layout, and says how long it is.
	open(name string) (content io.ReadCloser, size int64, err error)
	io.Closer
}

// openLayout opens the OCI layout that is an archive or a directory.
func openLayout(name string) (layout, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, fault.New(fault.Usage, "opening the image: %w", err)
	}
	if fi.IsDir() {
		root, err := os.OpenRoot(name)
		if err != nil {
			return nil, fault.New(fault.Usage, "opening the image: %w", err)
		}
		return layoutDir{root}, nil
	}
	if !fi.Mode().IsRegular() {
		return nil, fault.New(fault.Usage, "%s is neither a file nor a directory", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fault.New(fault.Usage, "opening the image: %w", err)
	}
	entries, err := scan(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return layoutArchive{f, entries}, nil
}

// layoutDir is a layout that is a directory.
type layoutDir struct{ *os.Root }

func (d layoutDir) open(name string) (io.ReadCloser, int64, error) {
	name = filepath.FromSlash(name)
	// Opening a pipe would wait for who writes it.
	if fi, err := d.Stat(name); err != nil {
		return nil, 0, err
	} else if !fi.Mode().IsRegular() {
		return nil, 0, fault.New(fault.Integrity, "%s is not a regular file", name)
	}
	f, err := d.Open(name)
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, fi.Size(), nil
}

// layoutArchive is a layout that is an archive.
type layoutArchive struct {
	file    *os.File
	entries map[string]entry
}

func (a layoutArchive) open(name string) (io.ReadCloser, int64, error) {
	e, found := a.entries[name]
	if !found {
		return nil, 0, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return section{io.NewSectionReader(a.file, e.offset, e.size)}, e.size, nil
}

func (a layoutArchive) Close() error { return a.file.Close() }

// entry is where a file lies in an archive.
type entry struct{ offset, size int64 }

// maxEntries bounds how many files of an archive are looked at: an image has a
// hundred blobs for each platform.
const maxEntries = 100_000

// scan finds the files of an archive that is not compressed.
func scan(archive io.ReadSeeker) (map[string]entry, error) {
	entries := map[string]entry{}
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, fault.New(fault.Integrity, "reading the archive: %w", err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		name := path.Clean(h.Name)
		if _, twice := entries[name]; twice {
			return nil, fault.New(fault.Integrity, "the archive holds %q twice", name)
		}
		if len(entries) == maxEntries {
			return nil, fault.New(fault.Integrity, "the archive holds more than %d files", maxEntries)
		}
		// The reader reads no further than it must.
		offset, err := archive.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		entries[name] = entry{offset, h.Size}
	}
}

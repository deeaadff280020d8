package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// Bounds, in bytes, on what a compressed bundle unpacks to: most of what is in one is
// compressed already.
const (
	mostRatio     = 100
	leastUnpacked = 64 << 20
)

// extensions are those of what [oci.Compression] names, for [archive.Decompress].
var extensions = map[string]string{"gzip": "gz", "zstd": "zst", "xz": "xz", "bzip2": "bz2"}

// openedBundle is a bundle that may lie in a temporary file.
type openedBundle struct {
	*bundle.Bundle
	temp io.Closer
}

func (b openedBundle) Close() error {
	err := b.Bundle.Close()
	if b.temp != nil {
		_ = b.temp.Close() // the bundle has closed it, but its name may be left
	}
	return err
}

// openBundle opens the bundle of a target, unless that says that it is an image. One
// that a tool compressed, as hauler store save does, is unpacked into a temporary
// file without a name. Incomplete is for a bundle that may lack blobs.
func (at located) openBundle(ctx context.Context, incomplete bool) (openedBundle, error) {
	if at.form == "image" {
		return openedBundle{}, bundle.ErrNotBundle
	}
	temp, err := decompressed(ctx, at.path)
	if err != nil {
		return openedBundle{}, err
	}
	open, openTar := bundle.OpenNamed, bundle.OpenTar
	if incomplete {
		open, openTar = bundle.OpenIncomplete, bundle.OpenIncompleteTar
	}
	if temp == nil {
		b, err := open(at.path, at.name)
		return openedBundle{Bundle: b}, err
	}
	b, err := openTar(temp.File, at.path, at.name)
	if maybeImage(err) {
		err = fault.New(fault.Usage, "%w", err).WithHint("if it is an image of plugins, unpack the file first: it is compressed")
	}
	if err != nil {
		_ = temp.Close() // its name may be left
		return openedBundle{}, err
	}
	return openedBundle{b, temp}, nil
}

// decompressed returns what a compressed file holds, in a temporary one; nil for what
// is no such file.
func decompressed(ctx context.Context, path string) (*disk.Temp, error) {
	fi, err := os.Stat(path)
	if err != nil || !fi.Mode().IsRegular() {
		return nil, nil // opening it says what is wrong
	}
	start, err := startOf(path)
	if err != nil {
		return nil, nil
	}
	format, ok := extensions[oci.Compression(start)]
	if !ok {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, unopened(path, err)
	}
	defer f.Close()
	temp, err := disk.TempFile()
	if err == nil {
		err = archive.Decompress(ctx, temp, f, format, max(leastUnpacked, mostRatio*fi.Size()))
		if err != nil {
			_ = temp.Close()
		}
	}
	if err != nil {
		return nil, unpackError(path, err)
	}
	return temp, nil
}

// unpackError says what to do about a bundle that cannot be unpacked.
func unpackError(path string, err error) error {
	if _, known := errors.AsType[*fault.Error](err); known {
		return fault.New(fault.KindOf(err), "unpacking %s, which is compressed: %w", path, err).
			WithHint("copy %s again; compare sha256sum on both sides first", filepath.Base(path))
	}
	e := fmt.Errorf("unpacking %s, which is compressed, into a temporary file: %w", path, err)
	if disk.IsFull(err) {
		return fault.New(fault.Unexpected, "%w", e).
			WithHint("the bundle needs room in %s: name another directory in the environment variable TMPDIR, or unpack the file first", filepath.Clean(os.TempDir()))
	}
	return e
}

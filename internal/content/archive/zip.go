package archive

import (
	"context"

	"github.com/klauspost/compress/zip"
	"github.com/mholt/archiver/v4"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// zip chooses by the archive's directory, and then reads the one entry.
func (x *extraction) zip() (string, error) {
	x.src.raw.budget = x.limits.DirectoryBytes
	err := archiver.Zip{}.Extract(x.ctx, x.src, func(_ context.Context, f archiver.FileInfo) error {
		_, err := x.consider(zipEntry(f))
		return x.stop(err)
	})
	x.src.raw.budget = -1
	if err := x.explain(err); err != nil {
		return "", err
	}
	name, err := x.pick.result()
	if err != nil {
		return "", err
	}
	if err := x.replace(x.pick.best); err != nil {
		return "", err
	}
	return name, nil
}

// zipEntry forbids what go-getter cannot read. Archiver could read more, with decoders
// that have no bounds on their memory.
func zipEntry(f archiver.FileInfo) entry {
	e := newEntry(f)
	h, ok := f.Header.(zip.FileHeader)
	const encrypted = 1
	switch {
	case !ok:
		e.forbid(fault.New(fault.Integrity, "archive entry %s has a header of an unknown kind", quote(e.raw)))
	case h.Flags&encrypted != 0:
		e.forbid(fault.New(fault.Integrity, "archive entry %s is encrypted", quote(e.raw)))
	case h.Method != zip.Store && h.Method != zip.Deflate:
		e.forbid(fault.New(fault.Integrity, "archive entry %s is compressed by the unsupported method %d", quote(e.raw), h.Method))
	}
	return e
}

package archive

import (
	"archive/tar"
	"context"
	"io"

	"github.com/mholt/archiver/v4"
)

// tar offers every entry to the selection. Archiver passes over what only
// describes others, as go-getter does (decompress_tar.go, untar).
func (x *extraction) tar(stream io.Reader) (string, error) {
	err := archiver.Tar{}.Extract(x.ctx, stream, func(_ context.Context, f archiver.FileInfo) error {
		return x.stop(x.visit(tarEntry(f)))
	})
	if err == nil {
		err = x.drain(stream)
	}
	if err := x.explain(err); err != nil {
		return "", err
	}
	return x.pick.result()
}

func tarEntry(f archiver.FileInfo) entry {
	e := newEntry(f)
	if h, ok := f.Header.(*tar.Header); ok && h.Typeflag == tar.TypeLink {
		e.forbid(errLink(e.raw))
	}
	return e
}

// visit counts an entry of a tar, and takes it if it is the best so far.
func (x *extraction) visit(e entry) error {
	take, err := x.consider(e)
	if err != nil || !take {
		return err
	}
	return x.replace(e)
}

// drain reads what follows the end of a tar, because the checksum of the compressed
// stream is at its very end. go-getter never reads that part, so anything else there is
// allowed.
func (x *extraction) drain(stream io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, stream, x.buf)
	if isTrailing(err) {
		return nil
	}
	return err
}

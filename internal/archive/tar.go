package archive

import (
	"context"
	"io"

	"github.com/mholt/archiver/v4"
)

func (x *extraction) tar(stream io.Reader) (string, error) {
	err := archiver.Tar{}.Extract(x.ctx, stream, func(_ context.Context, f archiver.FileInfo) error {
		return x.stop(x.visitTar(f))
	})
	if err == nil {
		err = x.drain(stream)
	}
	if err := x.explain(err); err != nil {
		return "", err
	}
	return x.chosen()
}

func (x *extraction) visitTar(f archiver.FileInfo) error {
	e, err := x.entry(f)
	if err != nil {
		return err
	}
	take, err := x.pick.offer(e)
	if err != nil || !take {
		return err
	}
	return x.replace(e)
}

// drain reads what follows the end of a tar, for the checksums of the compressed
// stream stand at its very end. Whatever else is there does not matter to
// go-getter, which never gets to see it.
func (x *extraction) drain(stream io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, stream, x.buf)
	if isTrailing(err) {
		return nil
	}
	return err
}

// chosen returns the name of the file that was selected, now that all entries are known.
func (x *extraction) chosen() (string, error) {
	if err := x.admit(x.declared, x.size); err != nil {
		return "", err
	}
	return x.pick.result()
}

package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Decompress writes the content of a compressed stream, by its extension: gz, zst, xz or
// bz2. A damaged stream, more than most bytes, a window of more than 64 MiB, and data
// behind the end are errors of kind [fault.Integrity].
func Decompress(ctx context.Context, to io.Writer, from io.Reader, format string, most int64) error {
	codec, ok := layouts[format]
	if !ok || codec.tar {
		return fmt.Errorf("%q is no format of a compressed stream", format)
	}
	content, err := codec.open(bufio.NewReader(from), usualWindow)
	if err != nil {
		return fault.New(fault.Integrity, "it cannot be unpacked: %w", err)
	}
	defer content.Close()
	sink := &writeErrors{to: to}
	in := readerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return content.Read(p)
	})
	n, err := io.CopyBuffer(sink, struct{ io.Reader }{io.LimitReader(in, most+1)}, make([]byte, 256<<10))
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case sink.err != nil:
		return sink.err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Integrity, "it is truncated: its compressed stream has no end")
	case err != nil:
		return fault.New(fault.Integrity, "it cannot be unpacked: %w", err)
	case n > most:
		return fault.New(fault.Integrity, "it unpacks to more than %d bytes", most)
	}
	return nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// writeErrors keeps errors of writing apart from errors of reading.
type writeErrors struct {
	to  io.Writer
	err error
}

func (w *writeErrors) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.err = err
	return n, err
}

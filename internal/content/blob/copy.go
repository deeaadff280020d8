package blob

import (
	"context"
	"io"
	"sync"
)

var buffers = sync.Pool{New: func() any {
	b := make([]byte, 256<<10)
	return &b
}}

// Copy copies until ctx is done.
func Copy(ctx context.Context, to io.Writer, from io.Reader) error {
	return Pieces(reader{ctx, from}, func(p []byte) error {
		_, err := to.Write(p)
		return err
	})
}

// reader fails once its context is done.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// Pieces calls take with what comes from r, piece by piece, until it ends.
func Pieces(r io.Reader, take func(p []byte) error) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := r.Read(*buf)
		if n > 0 {
			if err := take((*buf)[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

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
	return Pieces(from, func(p []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, err := to.Write(p)
		return err
	})
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

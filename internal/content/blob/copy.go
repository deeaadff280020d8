package blob

import (
	"context"
	"io"
)

// copiedAtOnce is how many bytes are copied between two looks at the context.
const copiedAtOnce = 256 << 10

// Copy copies until ctx is done.
func Copy(ctx context.Context, to io.Writer, from io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, reader{ctx, from}, make([]byte, copiedAtOnce))
	return err
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

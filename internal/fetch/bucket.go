package fetch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"

	"github.com/hashicorp/go-getter"

	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
)

// bucketGetter is one of go-getter's own getters for object stores. These
// write a file themselves, from the first byte on and without a bound that
// could be set; it is written beside the partial one, adopted when it is whole,
// and hashed then. Their client libraries repeat requests that fail to begin.
// Nothing but the growth of the file tells that something moves.
type bucketGetter struct {
	getter.Getter
	d      *download
	client *getter.Client
}

// SetClient takes the context, which is go-getter's way to pass it.
func (g *bucketGetter) SetClient(c *getter.Client) { g.client = c }

// GetFile gets u; dst is the partial file.
func (g *bucketGetter) GetFile(_ string, u *url.URL) error {
	return g.d.retry.Do(g.client.Ctx, g.d.obs.Retrying, nil, func() error { return g.attempt(u) })
}

// request has the getter write the file, and watches it.
func (g *bucketGetter) request(u *url.URL) error {
	var before int64
	w := transfer.NewWatch(g.client.Ctx, g.d.patience, func() bool {
		fi, err := os.Stat(g.d.in.Other())
		if err != nil || fi.Size() <= before {
			return false
		}
		before = fi.Size()
		return true
	})
	defer w.Stop()
	own := *g.client
	own.Ctx = w.Context()
	own.ProgressListener = &bucketProgress{g.d, w}
	g.Getter.SetClient(&own)
	err := g.Getter.GetFile(g.d.in.Other(), u)
	if ended := w.Reason(); err != nil && ended != nil {
		return ended
	}
	return bucketError(err)
}

func (g *bucketGetter) attempt(u *url.URL) error {
	if g.d.in.Size() > 0 {
		if err := g.d.restart("this kind of source cannot be resumed"); err != nil {
			return err
		}
	}
	counted := g.d.result.Transferred
	if err := g.request(u); err != nil {
		return err
	}
	fi, err := os.Stat(g.d.in.Other())
	if err != nil {
		return transfer.Local(err)
	}
	if err := g.d.checkTotal(fi.Size()); err != nil {
		return err
	}
	if err := g.d.in.Adopt(); err != nil {
		return transfer.Local(err)
	}
	// Not every getter reports progress.
	if missed := fi.Size() - (g.d.result.Transferred - counted); missed > 0 {
		g.d.result.Transferred += missed
		g.d.obs.received(int(missed))
	}
	g.d.sums.Reset()
	return transfer.Local(transfer.CopyWithContext(g.client.Ctx, g.d.sums, io.NewSectionReader(g.d.in.File(), 0, fi.Size())))
}

// bucketError sorts the errors of client libraries, which have repeated what
// is worth it: only a connection that breaks in the middle is left to us.
func bucketError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok {
		status := &transfer.StatusError{Code: e.HTTPStatusCode(), Host: "the object store"}
		return fmt.Errorf("%w (%w)", status, transfer.WithoutURL(err))
	}
	if transfer.Is[*transfer.LocalError](err) || transfer.Is[*transfer.PermanentError](err) || transfer.Is[*transfer.Mismatch](err) {
		return err
	}
	if transfer.Is[net.Error](err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return transfer.WithoutURL(err)
	}
	return transfer.Permanent(transfer.WithoutURL(err))
}

// bucketProgress is go-getter's way to report progress.
type bucketProgress struct {
	d     *download
	watch *transfer.Watch
}

func (p *bucketProgress) TrackProgress(_ string, _, total int64, body io.ReadCloser) io.ReadCloser {
	if total <= 0 {
		total = -1
	}
	p.d.begin(total)
	return &bucketBody{ReadCloser: body, d: p.d, watch: p.watch, err: p.d.checkTotal(total)}
}

// bucketBody counts, and enforces the bounds that go-getter has no setting for.
type bucketBody struct {
	io.ReadCloser
	d     *download
	watch *transfer.Watch
	size  int64
	err   error
}

func (b *bucketBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(b.d.limit.Piece(p))
	b.watch.Throttle(b.d.limit, n)
	b.size += int64(n)
	b.d.result.Transferred += int64(n)
	b.d.obs.received(n)
	if b.size > b.d.max {
		b.err = transfer.Permanent(fmt.Errorf("the file has more than the %d bytes that are downloaded at most", b.d.max))
		return n, b.err
	}
	return n, err
}

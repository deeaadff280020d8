package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ErrStalled is that nothing moves.
var ErrStalled = errors.New("the connection stalls")

// Response is an answer whose body is read under watch.
type Response struct {
	*http.Response
	client      *Client
	parent, ctx context.Context
	cancel      context.CancelCauseFunc
	timer       *time.Timer
}

// Do sends a request and returns the answer, whatever its status. Answering is
// how long the other side may take to answer once it has the whole request; 0
// stands for the usual patience.
func (c *Client) Do(req *http.Request, answering time.Duration) (*Response, error) {
	r := &Response{client: c, parent: req.Context()}
	r.ctx, r.cancel = context.WithCancelCause(r.parent)
	// Redirects, and connecting anew for each, take their time.
	r.timer = time.AfterFunc(max(answering, 4*c.patience), func() { r.cancel(ErrStalled) })
	req = req.WithContext(r.ctx)
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &sentBody{req.Body, r, req.ContentLength, max(answering, c.patience)}
	}
	var err error
	r.Response, err = c.http.Do(req)
	r.timer.Stop()
	if err != nil {
		err = r.reason(err)
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// sentBody has every read of a request's body put off the timer.
type sentBody struct {
	io.ReadCloser
	r         *Response
	left      int64
	answering time.Duration
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	patience := b.r.client.patience
	if b.left -= int64(n); b.left == 0 {
		patience = b.answering
	}
	b.r.timer.Reset(patience)
	return n, err
}

// Read reads the body. It fails when nothing comes for a while.
func (r *Response) Read(p []byte) (int, error) {
	// The time that the caller takes for what it has read does not count.
	r.timer.Reset(r.client.patience)
	n, err := r.Body.Read(p)
	r.timer.Stop()
	if err != nil {
		err = r.reason(err)
	}
	return n, err
}

// Close ends the request.
func (r *Response) Close() error {
	r.timer.Stop()
	r.cancel(nil)
	if r.Response == nil {
		return nil
	}
	return r.Body.Close()
}

func (r *Response) reason(err error) error {
	if r.parent.Err() != nil {
		return context.Cause(r.parent)
	}
	if errors.Is(context.Cause(r.ctx), ErrStalled) {
		return fmt.Errorf("%w: nothing moved for %s", ErrStalled, r.client.patience)
	}
	return r.client.reason(err)
}

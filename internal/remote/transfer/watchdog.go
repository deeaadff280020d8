package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"
)

// ErrStalled is that nothing moves.
var ErrStalled = errors.New("the connection stalls")

// starving is by how much longer one of several requests that share a
// connection may get nothing while others do.
const starving = 10

// Watchdog ends a request in which nothing moves for a while. How long the whole
// takes is of no concern to it.
type Watchdog struct {
	parent, ctx context.Context
	cancel      context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	// patience is how long nothing may move now: usual, or, once the request
	// is sent, answering.
	patience, usual, answering time.Duration
	// moved is when something last did.
	moved   time.Time
	resting bool
	// line is the connection, if it is one of ours, or that in the making. It
	// is shared if others may use it at the same time.
	line              *trackedConn
	connected, shared bool
	// sending says that the request has a body.
	sending bool
}

// NewWatchdog begins to watch.
func NewWatchdog(ctx context.Context, patience time.Duration) *Watchdog {
	w := &Watchdog{parent: ctx, patience: patience, usual: patience, answering: patience, moved: time.Now()}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(patience, w.look)
	return w
}

type watchKey struct{}

// Context is for the requests that are watched: it is done when nothing moves.
func (w *Watchdog) Context() context.Context {
	moved := w.Moved
	return httptrace.WithClientTrace(context.WithValue(w.ctx, watchKey{}, w), &httptrace.ClientTrace{
		GetConn:              func(string) { w.connect(nil) },
		DNSDone:              func(httptrace.DNSDoneInfo) { moved() },
		ConnectStart:         func(string, string) { moved() },
		ConnectDone:          func(string, string, error) { moved() },
		TLSHandshakeStart:    moved,
		TLSHandshakeDone:     func(tls.ConnectionState, error) { moved() },
		GotConn:              func(info httptrace.GotConnInfo) { w.connect(info.Conn) },
		WroteRequest:         func(httptrace.WroteRequestInfo) { w.asked() },
		GotFirstResponseByte: moved,
	})
}

// Moved puts off the end.
func (w *Watchdog) Moved() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.move()
}

func (w *Watchdog) move() {
	w.moved = time.Now()
	if !w.resting {
		w.timer.Reset(w.patience)
	}
}

// Rest stops the clock: what follows is not the other side's time.
func (w *Watchdog) Rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resting = true
	w.timer.Stop()
}

// Wake has the clock go on.
func (w *Watchdog) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resting = false
	w.move()
}

// Stop ends the request, if it has not ended.
func (w *Watchdog) Stop() {
	w.Rest()
	w.cancel(nil)
}

// Reason returns why a request ended, if it is the watch that ended it, or
// whoever asked for it; else nil.
func (w *Watchdog) Reason() error {
	if w.parent.Err() != nil {
		return context.Cause(w.parent)
	}
	if cause := context.Cause(w.ctx); errors.Is(cause, ErrStalled) {
		return cause
	}
	return nil
}

// connect is told which connection the request goes over; nil before there is one.
func (w *Watchdog) connect(conn net.Conn) {
	l, shared := lineOf(conn)
	if l != nil {
		l.established()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line, w.shared, w.connected = l, shared, conn != nil
	w.patience = w.usual // a redirect, or a new token, may have come between
	w.move()
}

// dialled is told of a connection in the making. The request may have got
// another one meanwhile.
func (w *Watchdog) dialled(l *trackedConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.connected {
		w.line = l
	}
}

// sent is told that the system has taken a piece of the request's body.
func (w *Watchdog) sent() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sending = true
	if w.line != nil {
		w.line.taken()
	}
	w.move()
}

// asked is told that the system has taken the request.
func (w *Watchdog) asked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.patience = w.answering
	w.move()
}

// answered is told that the body of the answer begins.
func (w *Watchdog) answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.patience, w.answering, w.sending = w.usual, w.usual, false
}

// look ends the request unless there are signs of life.
func (w *Watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.resting || now.Sub(w.moved) < w.patience {
		return // something moved in the last moment, and has set the timer
	}
	if more := w.pardon(now); more > 0 {
		w.timer.Reset(more)
		return
	}
	// One that others share may be fine, but for this request.
	if w.line != nil && now.Sub(w.line.lastRead()) >= w.patience {
		_ = w.line.Close()
	}
	w.cancel(fmt.Errorf("%w: nothing moved for %s", ErrStalled, w.patience))
}

// pardon returns how long there is to wait yet; 0 if there are no signs of life.
func (w *Watchdog) pardon(now time.Time) time.Duration {
	switch {
	case w.sending && w.line != nil && w.line.taken():
		return w.patience
	case w.line != nil && w.line.throttledSince(now.Add(-w.patience)):
		return w.patience
	case w.line == nil, w.shared && now.Sub(w.moved) >= starving*w.patience:
		return 0
	}
	return max(w.patience-now.Sub(w.line.lastRead()), 0)
}

// Response is an answer whose body is read under watch.
type Response struct {
	*http.Response
	client *Client
	watch  *Watchdog
	// asked is the URL of the request; that of Response may be a redirect's.
	asked *url.URL
	// refusal is the last result of [Response.Refusal].
	refusal *StatusError
}

// Do sends a request and returns the answer, whatever its status. Answering is
// how long the other side may take to answer once it has the whole request; 0
// stands for the usual patience.
func (c *Client) Do(req *http.Request, answering time.Duration) (*Response, error) {
	r := &Response{client: c, watch: NewWatchdog(req.Context(), c.patience)}
	r.watch.answering = max(answering, c.patience)
	req = req.WithContext(r.watch.Context())
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &sentBody{req.Body, r.watch}
	}
	// Cookies last for the redirects of one request.
	once := *c.http
	var err error
	if once.Jar, err = cookiejar.New(nil); err != nil {
		return nil, err
	}
	r.Response, err = once.Do(req)
	r.watch.Rest()
	if err != nil {
		err = led(req.URL, failedAt(err), r.reason(err))
		r.watch.Stop()
		return nil, err
	}
	r.asked = req.URL
	r.watch.answered()
	return r, nil
}

// failedAt returns the URL, perhaps a redirect's, at which a request failed; or nil.
func failedAt(err error) *url.URL {
	e, ok := errors.AsType[*url.Error](err)
	if !ok {
		return nil
	}
	at, _ := url.Parse(e.URL)
	return at
}

// led says of a failure at another host than that which was asked which one it is.
func led(asked, at *url.URL, err error) error {
	if at == nil || asked.Host == at.Host || Is[*RedirectError](err) || Is[*StatusError](err) {
		return err
	}
	return &LedError{at.Host, err}
}

// LedError is a failure at another host than that which was asked, which led there.
type LedError struct {
	Host string
	Err  error
}

func (e *LedError) Error() string {
	return fmt.Sprintf("at %s, to which it leads: %s", Printable(e.Host, maxHost), e.Err)
}

// Unwrap returns the failure.
func (e *LedError) Unwrap() error { return e.Err }

// sentBody tells of every read of a request's body.
type sentBody struct {
	io.ReadCloser
	watch *Watchdog
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.watch.sent()
	return n, err
}

// Read reads the body. It fails when nothing comes for a while.
func (r *Response) Read(p []byte) (int, error) {
	// The time that the caller takes for what it has read does not count.
	r.watch.Wake()
	n, err := r.Body.Read(p)
	r.watch.Rest()
	if err != nil {
		if err = r.reason(err); err != io.EOF {
			err = led(r.asked, r.Request.URL, err)
		}
	}
	return n, err
}

// Close ends the request.
func (r *Response) Close() error {
	r.watch.Stop()
	return r.Body.Close()
}

func (r *Response) reason(err error) error {
	if ended := r.watch.Reason(); ended != nil {
		return ended
	}
	return r.client.reason(err)
}

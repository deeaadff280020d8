package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptrace"
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
	// allowed is how long nothing may move now: idleTimeout or, once the request
	// is sent, answering.
	allowed, idleTimeout, answering time.Duration
	// moved is when something last did.
	moved   time.Time
	resting bool
	// conn is the connection, if it is a tracked one, or that in the making. It
	// is shared if others may use it at the same time.
	conn              *trackedConn
	connected, shared bool
	// sending says that the request has a body.
	sending bool
}

// NewWatchdog starts to watch a request, which ends once nothing moved for idleTimeout.
func NewWatchdog(ctx context.Context, idleTimeout time.Duration) *Watchdog {
	w := &Watchdog{parent: ctx, allowed: idleTimeout, idleTimeout: idleTimeout, answering: idleTimeout, moved: time.Now()}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(idleTimeout, w.look)
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
		w.timer.Reset(w.allowed)
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
	l, shared := trackedConnOf(conn)
	if l != nil {
		l.established()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn, w.shared, w.connected = l, shared, conn != nil
	w.allowed = w.idleTimeout // a redirect, or a new token, may have come between
	w.move()
}

// dialled is told of a connection in the making. The request may have got
// another one meanwhile.
func (w *Watchdog) dialled(l *trackedConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.connected {
		w.conn = l
	}
}

// sent is told that the system has taken a piece of the request's body.
func (w *Watchdog) sent() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sending = true
	if w.conn != nil {
		w.conn.ackedMore()
	}
	w.move()
}

// asked is told that the system has taken the request.
func (w *Watchdog) asked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.allowed = w.answering
	w.move()
}

// answered is told that the body of the answer begins.
func (w *Watchdog) answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.allowed, w.answering, w.sending = w.idleTimeout, w.idleTimeout, false
}

// look ends the request unless there are signs of life.
func (w *Watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.resting || now.Sub(w.moved) < w.allowed {
		return // something moved in the last moment, and has set the timer
	}
	if more := w.timeLeft(now); more > 0 {
		w.timer.Reset(more)
		return
	}
	// One that others share may be fine, but for this request.
	if w.conn != nil && now.Sub(w.conn.lastRead()) >= w.allowed {
		_ = w.conn.Close()
	}
	w.cancel(fmt.Errorf("%w: nothing moved for %s", ErrStalled, w.allowed))
}

// timeLeft returns how long there is to wait yet; 0 if there are no signs of life.
func (w *Watchdog) timeLeft(now time.Time) time.Duration {
	switch {
	case w.sending && w.conn != nil && w.conn.ackedMore():
		return w.allowed
	case w.conn != nil && w.conn.throttledSince(now.Add(-w.allowed)):
		return w.allowed
	case w.conn == nil, w.shared && now.Sub(w.moved) >= starving*w.allowed:
		return 0
	}
	return max(w.allowed-now.Sub(w.conn.lastRead()), 0)
}

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

// ErrStalled means that a connection moved no byte for the idle timeout.
var ErrStalled = errors.New("the connection stalls")

// starving is how many idle timeouts a request may get no byte while other requests on the same
// connection do.
const starving = 10

// Watchdog ends a request if its connection moves no byte for the idle timeout. It does not limit how
// long the whole request takes.
type Watchdog struct {
	parent, ctx context.Context
	cancel      context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	// allowed is the timeout that counts now: idleTimeout or, once the request is sent, answering.
	allowed, idleTimeout, answering time.Duration
	// moved is when bytes last moved.
	moved   time.Time
	resting bool
	// conn is the request's connection, maybe still being dialled; nil if it is not tracked. Shared
	// says that other requests may use it at the same time.
	conn              *trackedConn
	connected, shared bool
	// sending says that the request's body is being sent.
	sending bool
}

// NewWatchdog starts to watch a request. The caller must call [Watchdog.Stop].
func NewWatchdog(ctx context.Context, idleTimeout time.Duration) *Watchdog {
	w := &Watchdog{parent: ctx, allowed: idleTimeout, idleTimeout: idleTimeout, answering: idleTimeout, moved: time.Now()}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(idleTimeout, w.look)
	return w
}

type watchKey struct{}

// Context returns the context for the watched request. It is done once the request stalls.
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

// Moved records that bytes moved.
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

// Rest stops the clock, for time that the server does not need.
func (w *Watchdog) Rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resting = true
	w.timer.Stop()
}

// Wake starts the clock again.
func (w *Watchdog) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resting = false
	w.move()
}

// Stop ends the request if it has not ended.
func (w *Watchdog) Stop() {
	w.Rest()
	w.cancel(nil)
}

// Reason returns the cause if the caller's context or the watchdog ended the request, or nil.
func (w *Watchdog) Reason() error {
	if w.parent.Err() != nil {
		return context.Cause(w.parent)
	}
	if cause := context.Cause(w.ctx); errors.Is(cause, ErrStalled) {
		return cause
	}
	return nil
}

// connect records the request's connection; nil means that there is none yet.
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

// dialled records a connection that is being established. The request may have got another one
// meanwhile.
func (w *Watchdog) dialled(l *trackedConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.connected {
		w.conn = l
	}
}

// sent records that the system took a piece of the request's body.
func (w *Watchdog) sent() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sending = true
	if w.conn != nil {
		w.conn.ackedMore()
	}
	w.move()
}

// asked records that the system took the whole request.
func (w *Watchdog) asked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.allowed = w.answering
	w.move()
}

// answered records that the body of the answer begins.
func (w *Watchdog) answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.allowed, w.answering, w.sending = w.idleTimeout, w.idleTimeout, false
}

// look ends the request unless bytes have moved.
func (w *Watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.resting || now.Sub(w.moved) < w.allowed {
		return // bytes have moved meanwhile, and the timer is set anew
	}
	if more := w.timeLeft(now); more > 0 {
		w.timer.Reset(more)
		return
	}
	// On a shared connection, other requests may still get bytes.
	if w.conn != nil && now.Sub(w.conn.lastRead()) >= w.allowed {
		_ = w.conn.Close()
	}
	w.cancel(fmt.Errorf("%w: nothing moved for %s", ErrStalled, w.allowed))
}

// timeLeft returns how much longer to wait; 0 if the request has stalled.
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

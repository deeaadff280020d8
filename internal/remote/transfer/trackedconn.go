package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

// trackedConn is a network connection that knows what moves on it, below TLS and
// HTTP/2: a handshake, header fields, a frame of which some came.
type trackedConn struct {
	net.Conn
	idleTimeout time.Duration
	limit       *Limiter
	// closed is done once the connection is.
	closed context.Context
	close  context.CancelFunc
	// read is when something last came, and throttled when it was last kept
	// waiting here, in Unix nanoseconds; throttling is how many wait now.
	read, throttled atomic.Int64
	throttling      atomic.Int32

	mu   sync.Mutex
	open bool
	acks AckMeter
}

// dial returns a function that dials for http.Transport, and tells the watch
// of the request that it is for.
func dial(idleTimeout time.Duration, limit *Limiter) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: idleTimeout, KeepAlive: 15 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		l := newTrackedConn(conn, idleTimeout, limit)
		if w, ok := ctx.Value(watchKey{}).(*Watchdog); ok {
			w.dialled(l)
		}
		return l, nil
	}
}

func newTrackedConn(conn net.Conn, idleTimeout time.Duration, limit *Limiter) *trackedConn {
	l := &trackedConn{Conn: conn, idleTimeout: idleTimeout, limit: limit}
	l.closed, l.close = context.WithCancel(context.Background())
	l.read.Store(time.Now().UnixNano())
	return l
}

// trackedConnOf returns the tracked one that a connection of http.Transport is over, nil if
// it is none, and whether several requests may share it.
func trackedConnOf(conn net.Conn) (l *trackedConn, shared bool) {
	if t, ok := conn.(*tls.Conn); ok {
		shared = t.ConnectionState().NegotiatedProtocol == "h2"
	}
	for {
		switch c := conn.(type) {
		case *trackedConn:
			return c, shared
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil, shared
		}
	}
}

// established ends the handshake. Until then every read has a deadline, lest
// it go on for ever when the request that it is for is gone.
func (l *trackedConn) established() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		l.open = true
		_ = l.SetReadDeadline(time.Time{})
	}
}

func (l *trackedConn) Read(p []byte) (int, error) {
	l.mu.Lock()
	if !l.open {
		_ = l.SetReadDeadline(time.Now().Add(2 * l.idleTimeout))
	}
	l.mu.Unlock()
	n, err := l.Conn.Read(l.limit.Piece(p))
	if n > 0 {
		l.throttle(n)
		l.read.Store(time.Now().UnixNano())
	}
	return n, err
}

func (l *trackedConn) Write(p []byte) (n int, err error) {
	for len(p) > n && err == nil {
		var m int
		piece := l.limit.Piece(p[n:])
		l.throttle(len(piece))
		m, err = l.Conn.Write(piece)
		n += m
	}
	return n, err
}

// ReadFrom sends what net/http has of a request's body once the head is sent. The system copies
// nothing of a file: see [FileBody].
func (l *trackedConn) ReadFrom(r io.Reader) (n int64, err error) {
	limited, isLimited := r.(*io.LimitedReader)
	tcp, isTCP := l.Conn.(*net.TCPConn)
	for isLimited && isTCP && limited.N > 0 {
		body, _ := limited.R.(*sentBody)
		file, at := body.next()
		if file == nil {
			break
		}
		size := int(min(limited.N, mostAtOnce))
		if l.limit != nil {
			size = min(size, l.limit.piece)
		}
		l.throttle(size)
		m, err := SendFile(tcp, file, at, size)
		if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
			break // the file system does not support it
		}
		body.sent(m, err)
		n += int64(m)
		limited.N -= int64(m)
		if err != nil {
			return n, err
		}
	}
	m, err := io.Copy(struct{ io.Writer }{l}, r)
	return n + m, err
}

// mostAtOnce is how many bytes of a file are sent between two signs of life.
const mostAtOnce = 1 << 20

func (l *trackedConn) Close() error {
	l.close()
	return l.Conn.Close()
}

func (l *trackedConn) throttle(n int) {
	if l.limit != nil {
		l.throttling.Add(1)
		_ = l.limit.bucket.WaitN(l.closed, n) // that it is closed, the caller sees
		l.throttled.Store(time.Now().UnixNano())
		l.throttling.Add(-1)
	}
}

func (l *trackedConn) lastRead() time.Time { return time.Unix(0, l.read.Load()) }

// throttledSince reports whether the connection was kept waiting here after a time.
func (l *trackedConn) throttledSince(t time.Time) bool {
	return l.throttling.Load() > 0 || l.throttled.Load() > t.UnixNano()
}

// ackedMore reports whether the other side has taken something since it was last
// asked.
func (l *trackedConn) ackedMore() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acks.Moved(l.Conn)
}

// AckMeter tells whether the other side of a connection takes what it is sent. The
// system takes megabytes at once, which a slow line needs minutes for, without a sign
// of it in between; on Linux it says what was acknowledged.
type AckMeter struct {
	acked  int64
	looked bool
}

// Moved reports whether something was acknowledged since the last call. The first call,
// and one on a system that does not tell, reports false.
func (m *AckMeter) Moved(conn net.Conn) bool {
	acked, ok := Acknowledged(conn)
	if !ok {
		return false
	}
	moved := m.looked && acked > m.acked
	m.acked, m.looked = acked, true
	return moved
}

// Limiter bounds how many bytes a second all connections together move that
// share it, both ways. Nil bounds nothing.
type Limiter struct {
	bucket *rate.Limiter
	// piece is what is moved at a time, so that it flows evenly.
	piece int
}

// maxPiece is as much as is read or written at a time anyhow.
const maxPiece = 64 << 10

// NewLimiter returns a limiter; 0 bounds nothing.
func NewLimiter(bytesPerSecond int64) *Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	// Whoever comes late by a tenth of a second may make up for it.
	burst := int(max(min(bytesPerSecond/10, 1<<30), 1))
	return &Limiter{rate.NewLimiter(rate.Limit(bytesPerSecond), burst), min(burst, maxPiece)}
}

// Piece returns as much of p as may be moved at a time.
func (l *Limiter) Piece(p []byte) []byte {
	if l == nil {
		return p
	}
	return p[:min(len(p), l.piece)]
}

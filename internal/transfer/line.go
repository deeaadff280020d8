package transfer

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// line is a network connection that knows what moves on it, below TLS and
// HTTP/2: a handshake, header fields, a frame of which some came.
type line struct {
	net.Conn
	patience time.Duration
	// read is when something last came, in Unix nanoseconds.
	read atomic.Int64

	mu   sync.Mutex
	open bool
	// acked is how much [line.taken] last saw acknowledged.
	acked uint64
}

// dial returns a function that dials for http.Transport, and tells the watch
// of the request that it is for.
func dial(patience time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: patience, KeepAlive: 15 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		l := &line{Conn: conn, patience: patience}
		l.read.Store(time.Now().UnixNano())
		if w, ok := ctx.Value(watchKey{}).(*Watch); ok {
			w.dialled(l)
		}
		return l, nil
	}
}

// lineOf returns the line that a connection of http.Transport is over, nil if
// it is not one of ours, and whether several requests may share it.
func lineOf(conn net.Conn) (l *line, shared bool) {
	if t, ok := conn.(*tls.Conn); ok {
		shared = t.ConnectionState().NegotiatedProtocol == "h2"
	}
	for {
		switch c := conn.(type) {
		case *line:
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
func (l *line) established() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		l.open = true
		_ = l.SetReadDeadline(time.Time{})
	}
}

func (l *line) Read(p []byte) (int, error) {
	l.mu.Lock()
	if !l.open {
		_ = l.SetReadDeadline(time.Now().Add(2 * l.patience))
	}
	l.mu.Unlock()
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.read.Store(time.Now().UnixNano())
	}
	return n, err
}

func (l *line) lastRead() time.Time { return time.Unix(0, l.read.Load()) }

// taken reports whether the other side has taken something since it was last
// asked. The system takes megabytes at once, which a slow line needs minutes
// for, without a sign of it in between.
func (l *line) taken() bool {
	acked, ok := acknowledged(l.Conn)
	if !ok {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.acked
	l.acked = acked
	return acked > before
}

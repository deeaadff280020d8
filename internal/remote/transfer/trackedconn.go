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

// trackedConn is a network connection that records when bytes last came. It is below TLS and HTTP/2,
// so handshakes, header fields and parts of frames count.
type trackedConn struct {
	net.Conn
	idleTimeout time.Duration
	limit       *Limiter
	// closed is done once the connection is closed.
	closed context.Context
	close  context.CancelFunc
	// read is when bytes last came, and throttled when the speed limit last delayed any, both in Unix
	// nanoseconds. Throttling is how many goroutines the limit delays now.
	read, throttled atomic.Int64
	throttling      atomic.Int32

	mu   sync.Mutex
	open bool
	acks AckMeter
}

// dial returns the DialContext function of a transport. It tells each new connection to the watchdog
// of its request.
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

// trackedConnOf returns the trackedConn below a connection of [http.Transport], or nil, and whether
// several requests may share it.
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

// established marks the end of the handshake. Before it, each read has a deadline: otherwise a read
// could last for ever after its request is gone.
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

// ReadFrom sends a request's body. If it is a [FileBody], the system sends it straight from the file.
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

// mostAtOnce is how many bytes of a file one system call sends, so that the watchdog sees progress.
const mostAtOnce = 1 << 20

func (l *trackedConn) Close() error {
	l.close()
	return l.Conn.Close()
}

func (l *trackedConn) throttle(n int) {
	if l.limit != nil {
		l.throttling.Add(1)
		_ = l.limit.bucket.WaitN(l.closed, n) // fails if the connection is closed, as the caller will see
		l.throttled.Store(time.Now().UnixNano())
		l.throttling.Add(-1)
	}
}

func (l *trackedConn) lastRead() time.Time { return time.Unix(0, l.read.Load()) }

// throttledSince reports whether the speed limit delayed the connection after t.
func (l *trackedConn) throttledSince(t time.Time) bool {
	return l.throttling.Load() > 0 || l.throttled.Load() > t.UnixNano()
}

// ackedMore reports whether the other side has acknowledged bytes since the last call.
func (l *trackedConn) ackedMore() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acks.Moved(l.Conn)
}

// AckMeter tells whether the other side of a connection is still receiving. The system may buffer
// megabytes at once, for which a slow line needs minutes. Only the acknowledged bytes show progress
// meanwhile, and only Linux reports them.
type AckMeter struct {
	acked  int64
	looked bool
}

// Moved reports whether bytes were acknowledged since the last call. It returns false on the first
// call, and on systems other than Linux.
func (m *AckMeter) Moved(conn net.Conn) bool {
	acked, ok := Acknowledged(conn)
	if !ok {
		return false
	}
	moved := m.looked && acked > m.acked
	m.acked, m.looked = acked, true
	return moved
}

// Limiter limits the bytes a second of all connections that share it, sent and received together. A
// nil Limiter has no limit.
type Limiter struct {
	bucket *rate.Limiter
	// piece is how many bytes are moved at a time, so that they flow evenly.
	piece int
}

// maxPiece is the size in bytes of net/http's reads and writes.
const maxPiece = 64 << 10

// NewLimiter returns a limiter, or nil (no limit) for 0.
func NewLimiter(bytesPerSecond int64) *Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	// A connection that was idle may catch up on a tenth of a second.
	burst := int(max(min(bytesPerSecond/10, 1<<30), 1))
	return &Limiter{rate.NewLimiter(rate.Limit(bytesPerSecond), burst), min(burst, maxPiece)}
}

// Piece returns the part of p that may be moved at a time.
func (l *Limiter) Piece(p []byte) []byte {
	if l == nil {
		return p
	}
	return p[:min(len(p), l.piece)]
}

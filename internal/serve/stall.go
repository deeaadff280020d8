package serve

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

const (
	// stallTimeout is how long a client may accept no byte.
	stallTimeout = time.Minute
	// checksPerTimeout is how often the client's progress is checked in that time.
	checksPerTimeout = 6
	// lingerTimeout is how long a client may take to close its side.
	lingerTimeout = 5 * time.Second
)

// stallTimeoutConn is a connection that is cut if the client accepts no byte for the timeout. The
// whole transfer may take any time. It is below TLS, where acknowledged bytes can be counted.
type stallTimeoutConn struct {
	net.Conn
	timeout time.Duration
	// onClose, if not nil, is called when the connection is closed.
	onClose func()
	// address identifies the client: see [addressOf].
	address string

	// sending says that bytes are being sent, sent is how many bytes the system has accepted.
	sending atomic.Bool
	sent    atomic.Int64
	// marked is when the client had taken mark bytes; zero if it is not measured.
	marked time.Time
	mark   int64
}

// took returns how many bytes the client took within a time. This is known only if that time has
// passed since the first call. It is not known if nothing is being sent, or if the last call is long
// ago, because the client may have been idle since. Calls must not be concurrent.
func (c *stallTimeoutConn) took(within time.Duration) (n int64, known bool) {
	if !c.sending.Load() {
		c.marked = time.Time{}
		return 0, false
	}
	now := time.Now()
	elapsed := now.Sub(c.marked)
	if !c.marked.IsZero() && elapsed < within {
		return 0, false
	}
	total, ok := transfer.Acknowledged(c.Conn)
	if !ok {
		total = c.sent.Load()
	}
	n, known = int64(float64(total-c.mark)*float64(within)/float64(elapsed)), !c.marked.IsZero() && elapsed < 3*within
	c.marked, c.mark = now, total
	return n, known
}

// abandon makes the system discard unsent bytes when the connection is closed.
func (c *stallTimeoutConn) abandon() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

func (c *stallTimeoutConn) Close() error {
	err := c.Conn.Close()
	if c.onClose != nil {
		c.onClose()
	}
	return err
}

// Write continues as long as the client accepts bytes.
func (c *stallTimeoutConn) Write(p []byte) (n int, err error) {
	var w stall
	for {
		m, err := c.sendOnce(&w, func() (int, error) { return c.Conn.Write(p[n:]) })
		n += m
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// ReadFrom sends a file without copying it, if the system can. net/http calls it with the body after
// the header fields are sent.
func (c *stallTimeoutConn) ReadFrom(r io.Reader) (n int64, err error) {
	tcp, isTCP := c.Conn.(*net.TCPConn)
	limited, ok := r.(*io.LimitedReader)
	if !ok || !isTCP || !transfer.CanSendFile {
		return io.Copy(writer{c}, r)
	}
	from, ok := limited.R.(*content)
	if !ok {
		return io.Copy(writer{c}, r)
	}
	var w stall
	for limited.N > sentByCopy {
		if err := from.checkUnchanged(); err != nil {
			return n, err
		}
		file, offset := from.region()
		if file == nil {
			break
		}
		m, err := c.sendOnce(&w, func() (int, error) {
			return transfer.SendFile(tcp, file, offset, int(min(limited.N-sentByCopy, sentAtOnce)))
		})
		if m == 0 && (errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL)) {
			break // the file system does not support sendfile
		}
		n += int64(m)
		from.at += int64(m)
		limited.N -= int64(m)
		if err != nil {
			from.keepError(err)
			return n, err
		}
	}
	// The file is checked before the last bytes are sent, so that a client never gets all of a file
	// that changed meanwhile.
	m, err := io.Copy(writer{c}, limited)
	return n + m, err
}

// closeLingering ends a connection after its last answer. If a connection is closed while unread bytes
// are left, such as another request, the system discards what it still has to send. So closeLingering
// first reads until the client closes its side (RFC 9112, section 9.6).
func (c *stallTimeoutConn) closeLingering() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	_ = c.SetReadDeadline(time.Now().Add(lingerTimeout))
	unwanted := make([]byte, 512)
	for {
		if _, err := c.Read(unwanted); err != nil {
			return
		}
	}
}

type stall struct {
	// since is when the client last accepted bytes, as far as known.
	since time.Time
	acks  transfer.AckMeter
}

// sendOnce calls send until the client accepts bytes, or accepts none for the timeout. The system
// buffers megabytes, for which a slow line needs minutes. So acknowledged bytes count, if the system
// reports them.
func (c *stallTimeoutConn) sendOnce(s *stall, send func() (int, error)) (n int, err error) {
	c.sending.Store(true)
	defer func() {
		c.sending.Store(false)
		c.sent.Add(int64(n))
	}()
	for {
		now := time.Now()
		if s.since.IsZero() {
			s.since = now
		}
		if err := c.SetWriteDeadline(now.Add(c.timeout / checksPerTimeout)); err != nil {
			return 0, err
		}
		n, err := send()
		if n > 0 {
			s.since = time.Now()
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
		if s.acks.Moved(c.Conn) {
			s.since = time.Now()
		}
		if time.Since(s.since) >= c.timeout {
			c.abandon()
			return 0, err
		}
	}
}

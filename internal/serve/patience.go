package serve

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// patience is how long a client may take nothing of what it is sent.
const patience = time.Minute

// looks is how often, within its patience, it is looked at whether a client takes
// something.
const looks = 6

// patientConn is a connection that ends when the other side takes nothing for a
// while, however long the whole takes. It is below TLS, where it can be told what
// the other side took.
type patientConn struct {
	net.Conn
	patience time.Duration
	// leave, if not nil, is called once the connection is closed.
	leave func()
}

// Close closes the connection.
func (c *patientConn) Close() error {
	err := c.Conn.Close()
	if c.leave != nil {
		c.leave()
	}
	return err
}

// Write goes on as long as something moves.
func (c *patientConn) Write(p []byte) (n int, err error) {
	var w wait
	for {
		m, err := c.try(&w, func() (int, error) { return c.Conn.Write(p[n:]) })
		n += m
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// ReadFrom sends a file without copying it, where the system can. net/http hands
// over what is left of a body once the head is sent.
func (c *patientConn) ReadFrom(r io.Reader) (n int64, err error) {
	tcp, isTCP := c.Conn.(*net.TCPConn)
	limited, isLimited := r.(*io.LimitedReader)
	if !canSendFile || !isTCP || !isLimited {
		return io.Copy(writer{c}, r)
	}
	from, isContent := limited.R.(*content)
	if !isContent {
		return io.Copy(writer{c}, r)
	}
	if _, _, inFile := from.region(); !inFile {
		return io.Copy(writer{c}, r)
	}
	var w wait
	for limited.N > sentByCopy {
		if err := from.check(); err != nil {
			return n, err
		}
		file, offset, _ := from.region()
		m, err := c.try(&w, func() (int, error) {
			return sendFile(tcp, file, offset, int(min(limited.N-sentByCopy, sentAtOnce)))
		})
		if m == 0 && cannotSendFile(err) {
			rest, err := io.Copy(writer{c}, r)
			return n + rest, err
		}
		n += int64(m)
		from.at += int64(m)
		limited.N -= int64(m)
		if err != nil {
			from.blame(err)
			return n, err
		}
	}
	// The file is looked at before the last bytes leave: if what was sent was changed
	// meanwhile, the client does not get the whole.
	m, err := io.Copy(writer{c}, limited)
	return n + m, err
}

// finish ends a connection whose last answer was sent. The system drops what it
// still has to send if a connection is closed while there is something to read, such
// as another request: so that is read, until the client closes its side (RFC 9112,
// section 9.6).
func (c *patientConn) finish() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	_ = c.SetReadDeadline(time.Now().Add(finishPatience))
	unwanted := make([]byte, 512)
	for {
		if _, err := c.Read(unwanted); err != nil {
			return
		}
	}
}

// finishPatience is how long a client may take to close its side.
const finishPatience = 5 * time.Second

// wait is how long a client took nothing.
type wait struct {
	// since is when it last took something, as far as is known.
	since time.Time
	// acked is what it had acknowledged when that was last looked at.
	acked  uint64
	looked bool
}

// try sends once, and has patience for as long as the other side takes something.
// The system takes megabytes at once, which a slow line needs minutes for, so what
// counts, where it is known, is what was acknowledged.
func (c *patientConn) try(w *wait, send func() (int, error)) (int, error) {
	for {
		now := time.Now()
		if w.since.IsZero() {
			w.since = now
		}
		if err := c.SetWriteDeadline(now.Add(c.patience / looks)); err != nil {
			return 0, err
		}
		n, err := send()
		if n > 0 {
			w.since = time.Now()
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
		if c.look(w); time.Since(w.since) >= c.patience {
			c.abandon()
			return 0, err
		}
	}
}

// look finds out whether the other side took something since the last look.
func (c *patientConn) look(w *wait) {
	acked, ok := transfer.Acknowledged(c.Conn)
	if !ok {
		return
	}
	if w.looked && acked > w.acked {
		w.since = time.Now()
	}
	w.acked, w.looked = acked, true
}

// abandon has the system drop what it still holds for a client that takes nothing.
func (c *patientConn) abandon() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing waits for nothing then
	}
}

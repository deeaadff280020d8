package serve

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
)

// patience is how long a client may take nothing of what it is sent.
const patience = time.Minute

// patientListener accepts connections that end when the other side takes nothing
// for a while, however long the whole takes.
type patientListener struct{ net.Listener }

func (l patientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &patientConn{Conn: conn, patience: patience}, nil
}

// patientConn is below TLS, where it can be told what the other side took.
type patientConn struct {
	net.Conn
	patience time.Duration

	mu    sync.Mutex
	acked uint64
}

// Write goes on as long as something moves. The system takes megabytes at once,
// which a slow line needs minutes for, so what counts, where it is known, is what
// was acknowledged.
func (c *patientConn) Write(p []byte) (n int, err error) {
	c.taken() // what was taken before does not count
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(p[n:])
		n += m
		if !errors.Is(err, os.ErrDeadlineExceeded) || !c.taken() && m == 0 {
			return n, err
		}
	}
}

// taken reports whether the other side has taken something since it was last
// asked.
func (c *patientConn) taken() bool {
	acked, ok := transfer.Acknowledged(c.Conn)
	if !ok {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.acked
	c.acked = acked
	return acked > before
}

package serve

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

const (
	// maxConnections bounds the open connections, and so the memory. maxIdle bounds
	// those that wait for another request, maxNew those that wait for their first.
	maxConnections = 4096
	maxIdle        = 512
	maxNew         = 2048
	// spareFiles are descriptors for anything but connections and the files sent.
	spareFiles = 32
	// firstRequestTimeout is how long a new connection is safe from being closed for
	// another one: its request may be on the way, or wait to be read.
	firstRequestTimeout = 25 * time.Millisecond
)

// connections is a [net.Listener] that bounds its connections. For a new one it closes
// the one that has waited longest for a request.
type connections struct {
	net.Listener
	// most bounds the open connections.
	most int
	// firstRequest is [firstRequestTimeout], except in tests.
	firstRequest time.Duration

	mu   sync.Mutex
	open int
	// idle wait for another request, fresh for their first.
	idle, fresh waiters
	// freed is signalled when a connection is closed, or begins to wait.
	freed  *sync.Cond
	closed bool
}

type waiters struct {
	most  int
	since map[net.Conn]time.Time
}

// longest returns the one that waits the longest, and for how long, or nil.
func (w waiters) longest() (longest net.Conn, waited time.Duration) {
	for conn, since := range w.since {
		if longest == nil || since.Before(w.since[longest]) {
			longest, waited = conn, time.Since(since)
		}
	}
	return longest, waited
}

func newConnections(l net.Listener) *connections {
	most := maxConnections
	if files, known := disk.MaxOpenFiles(); known {
		// Each may have a file open.
		most = int(max(1, min(int64(most), (files-spareFiles)/2)))
	}
	c := &connections{
		Listener: l, most: most, firstRequest: firstRequestTimeout,
		idle:  waiters{min(maxIdle, most), map[net.Conn]time.Time{}},
		fresh: waiters{min(maxNew, most), map[net.Conn]time.Time{}},
	}
	c.freed = sync.NewCond(&c.mu)
	return c
}

// Accept waits for a connection, and then for room for it. So no connection is closed
// before another one arrived.
func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		switch {
		case (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) && c.evict():
		case err != nil:
			return nil, err
		case !c.enter():
			return nil, errors.Join(net.ErrClosed, conn.Close())
		default:
			return &stallTimeoutConn{Conn: conn, timeout: stallTimeout, onClose: sync.OnceFunc(c.leave)}, nil
		}
	}
}

// enter makes room for a connection. It returns false if the listener is closed meanwhile.
func (c *connections) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && c.open >= c.most {
		if !c.drop(c.firstRequest) {
			c.await()
		}
	}
	if c.closed {
		return false
	}
	c.open++
	return true
}

// await waits until there is room, or a connection that may be closed. c is locked.
func (c *connections) await() {
	if conn, waited := c.fresh.longest(); conn != nil {
		timer := time.AfterFunc(c.firstRequest-waited, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.freed.Signal()
		})
		defer timer.Stop()
	}
	c.freed.Wait()
}

func (c *connections) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	c.freed.Signal()
}

// Close ends Accept, also where that waits for room.
func (c *connections) Close() error {
	c.mu.Lock()
	c.closed = true
	c.freed.Broadcast()
	c.mu.Unlock()
	return c.Listener.Close()
}

func (c *connections) evict() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drop(0)
}

// drop closes the connection that has waited longest for another request or, if there
// is none, for its first, if that has waited for atLeast. c is locked.
func (c *connections) drop(atLeast time.Duration) bool {
	victim, _ := c.idle.longest()
	if victim == nil {
		conn, waited := c.fresh.longest()
		if conn == nil || waited < atLeast {
			return false
		}
		victim = conn
	}
	c.close(victim)
	return true
}

// close closes a connection. c is locked before and after, but not meanwhile, because
// closing calls leave.
func (c *connections) close(conn net.Conn) {
	delete(c.idle.since, conn)
	delete(c.fresh.since, conn)
	c.mu.Unlock()
	_ = conn.Close()
	c.mu.Lock()
}

// changed is [http.Server.ConnState].
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.idle.since, conn)
	delete(c.fresh.since, conn)
	var w waiters
	switch state {
	case http.StateNew:
		w = c.fresh
	case http.StateIdle:
		w = c.idle
	default:
		return
	}
	w.since[conn] = time.Now()
	c.freed.Signal() // this one may be closed for another
	if len(w.since) > w.most {
		longest, _ := w.longest()
		c.close(longest)
	}
}

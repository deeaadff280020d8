package serve

import (
	"container/list"
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
	// maxConnections bounds how many connections there are at a time, maxIdle how
	// many of them may wait for another request, and maxNew for their first: they
	// bound the memory.
	maxConnections = 4096
	maxIdle        = 512
	maxNew         = 2048
	// spareFiles are descriptors for all but connections and what is sent over them.
	spareFiles = 32
	// requestPatience is how long a new connection may be silent before it is closed
	// for another one: its request may be on the way, or wait to be read.
	requestPatience = 25 * time.Millisecond
)

// connections bounds connections. Those that wait for a request, the longest of
// them first, are closed for new ones. It is a [net.Listener].
type connections struct {
	net.Listener
	// most bounds how many there are.
	most int
	// patience is how long a new one may be silent at least.
	patience time.Duration

	mu   sync.Mutex
	open int
	// idle wait for another request, fresh for their first.
	idle, fresh waiting
	// left is told when a connection is closed, or waits.
	left   *sync.Cond
	closed bool
}

// waiting are connections that wait for a request, the longest first.
type waiting struct {
	most  int
	order *list.List
	at    map[net.Conn]*list.Element
}

// waiter is a connection that waits since a time.
type waiter struct {
	net.Conn
	since time.Time
}

func newWaiting(most int) waiting {
	return waiting{most, list.New(), map[net.Conn]*list.Element{}}
}

func (w waiting) add(conn net.Conn) { w.at[conn] = w.order.PushBack(waiter{conn, time.Now()}) }

func (w waiting) remove(conn net.Conn) {
	if e, there := w.at[conn]; there {
		w.order.Remove(e)
		delete(w.at, conn)
	}
}

// takeLongest removes and returns the one that waits the longest, or nil.
func (w waiting) takeLongest() net.Conn {
	first := w.order.Front()
	if first == nil {
		return nil
	}
	conn := first.Value.(waiter).Conn
	w.remove(conn)
	return conn
}

// longest returns how long the one that waits the longest does so.
func (w waiting) longest() (waited time.Duration, ok bool) {
	if first := w.order.Front(); first != nil {
		return time.Since(first.Value.(waiter).since), true
	}
	return 0, false
}

func newConnections(l net.Listener) *connections {
	most := maxConnections
	if files, known := disk.MaxOpenFiles(); known {
		// Each may have a file open.
		most = int(max(1, min(int64(most), (files-spareFiles)/2)))
	}
	c := &connections{Listener: l, most: most, patience: requestPatience, idle: newWaiting(min(maxIdle, most)), fresh: newWaiting(min(maxNew, most))}
	c.left = sync.NewCond(&c.mu)
	return c
}

// Accept waits for a connection, and then for room for it: only for one that is
// there is another one closed.
func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		switch {
		case err != nil && tooManyFiles(err) && c.evict():
		case err != nil:
			return nil, err
		case !c.enter():
			return nil, errors.Join(net.ErrClosed, conn.Close())
		default:
			return &patientConn{Conn: conn, patience: patience, leave: sync.OnceFunc(c.leave)}, nil
		}
	}
}

// enter makes room for a connection. It returns false if the listener is closed
// meanwhile.
func (c *connections) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && c.open >= c.most {
		if !c.drop(c.patience) {
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
	if waited, ok := c.fresh.longest(); ok {
		timer := time.AfterFunc(c.patience-waited, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.left.Signal()
		})
		defer timer.Stop()
	}
	c.left.Wait()
}

func (c *connections) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	c.left.Signal()
}

// Close ends Accept, also where that waits for room.
func (c *connections) Close() error {
	c.mu.Lock()
	c.closed = true
	c.left.Broadcast()
	c.mu.Unlock()
	return c.Listener.Close()
}

// evict closes a connection that waits for a request, if there is one.
func (c *connections) evict() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drop(0)
}

// drop closes the connection that waits the longest for another request or, if
// there is none, for its first, after some patience. c is locked.
func (c *connections) drop(patience time.Duration) bool {
	victim := c.idle.takeLongest()
	if waited, ok := c.fresh.longest(); victim == nil && ok && waited >= patience {
		victim = c.fresh.takeLongest()
	}
	if victim != nil {
		c.close(victim)
	}
	return victim != nil
}

// close closes a connection. c is locked, but not meanwhile, because closing comes
// back to it.
func (c *connections) close(conn net.Conn) {
	c.mu.Unlock()
	_ = conn.Close()
	c.mu.Lock()
}

// changed is told by net/http what becomes of a connection.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle.remove(conn)
	c.fresh.remove(conn)
	var w waiting
	switch state {
	case http.StateNew:
		w = c.fresh
	case http.StateIdle:
		w = c.idle
	default:
		return
	}
	w.add(conn)
	c.left.Signal() // there is one that may go now
	if w.order.Len() > w.most {
		c.close(w.takeLongest())
	}
}

// tooManyFiles reports whether there is no descriptor left for a connection.
func tooManyFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

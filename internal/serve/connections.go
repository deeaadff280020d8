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
	idle, fresh waitQueue
	// freed is signalled when a connection is closed, or begins to wait.
	freed  *sync.Cond
	closed bool
}

// waitQueue has the connections that wait for a request, the longest first.
type waitQueue struct {
	most  int
	order *list.List
	at    map[net.Conn]*list.Element
}

// waiter is a connection that waits for a request.
type waiter struct {
	net.Conn
	since time.Time
}

func newWaitQueue(most int) waitQueue {
	return waitQueue{most, list.New(), map[net.Conn]*list.Element{}}
}

func (w waitQueue) add(conn net.Conn) { w.at[conn] = w.order.PushBack(waiter{conn, time.Now()}) }

func (w waitQueue) remove(conn net.Conn) {
	if e, there := w.at[conn]; there {
		w.order.Remove(e)
		delete(w.at, conn)
	}
}

// takeLongest removes and returns the one that waits the longest, or nil.
func (w waitQueue) takeLongest() net.Conn {
	first := w.order.Front()
	if first == nil {
		return nil
	}
	conn := first.Value.(waiter).Conn
	w.remove(conn)
	return conn
}

// longest returns how long the one that waits the longest does so.
func (w waitQueue) longest() (waited time.Duration, ok bool) {
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
	c := &connections{Listener: l, most: most, firstRequest: firstRequestTimeout, idle: newWaitQueue(min(maxIdle, most)), fresh: newWaitQueue(min(maxNew, most))}
	c.freed = sync.NewCond(&c.mu)
	return c
}

// Accept waits for a connection, and then for room for it. So no connection is closed
// before another one arrived.
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
			return &stallTimeoutConn{Conn: conn, timeout: stallTimeout, onClose: sync.OnceFunc(c.leave)}, nil
		}
	}
}

// enter makes room for a connection. It returns false if the listener is closed
// meanwhile.
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
	if waited, ok := c.fresh.longest(); ok {
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

// evict closes a connection that waits for a request, if there is one.
func (c *connections) evict() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drop(0)
}

// drop closes the connection that has waited longest for another request or, if there
// is none, for its first, if that has waited for atLeast. c is locked.
func (c *connections) drop(atLeast time.Duration) bool {
	victim := c.idle.takeLongest()
	if waited, ok := c.fresh.longest(); victim == nil && ok && waited >= atLeast {
		victim = c.fresh.takeLongest()
	}
	if victim != nil {
		c.close(victim)
	}
	return victim != nil
}

// close closes a connection. c is locked before and after, but not meanwhile, because
// closing calls leave.
func (c *connections) close(conn net.Conn) {
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
	c.idle.remove(conn)
	c.fresh.remove(conn)
	var w waitQueue
	switch state {
	case http.StateNew:
		w = c.fresh
	case http.StateIdle:
		w = c.idle
	default:
		return
	}
	w.add(conn)
	c.freed.Signal() // this one may be closed for another
	if w.order.Len() > w.most {
		c.close(w.takeLongest())
	}
}

// tooManyFiles reports whether there is no descriptor left for a connection.
func tooManyFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

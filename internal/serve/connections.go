package serve

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

const (
	// maxConnections is how many connections may be open, which limits memory. maxIdle is how many
	// may wait for another request, maxNew how many for their first.
	maxConnections = 4096
	maxIdle        = 512
	maxNew         = 2048
	// spareFiles is how many file descriptors are kept for other uses than connections and files that
	// are sent.
	spareFiles = 32
	// monitorConnections is how many connections to the metrics may be open.
	monitorConnections = 64
	// If there is no room, the connection of a client that takes less than slowBytes within slowWindow
	// is closed.
	slowWindow = 10 * time.Second
	slowBytes  = 10 << 10
	// firstRequestTimeout is how long a new connection is not closed for another one: its request may
	// be on the way.
	firstRequestTimeout = 25 * time.Millisecond
)

// connections is a [net.Listener] that limits the number of its connections. If there is no room for
// a new one, it closes the connection that has waited longest for a request, or one whose client
// takes almost nothing.
type connections struct {
	net.Listener
	// most is how many connections may be open, mostOfAddress how many from one address.
	most, mostOfAddress int
	// firstRequest is [firstRequestTimeout] and slow is [slowWindow], except in tests.
	firstRequest, slow time.Duration
	metrics            *metrics

	mu sync.Mutex
	// open has all connections, byAddress their number by address.
	open      map[*stallTimeoutConn]bool
	byAddress map[string]int
	// idle has the connections that wait for another request, fresh those that wait for their first.
	idle, fresh waiters
	// freed is signalled when a connection is closed or begins to wait.
	freed  *sync.Cond
	closed bool
}

type waiters struct {
	most  int
	since map[net.Conn]time.Time
}

// longest returns the connection that has waited longest, and how long, or nil.
func (w waiters) longest() (longest net.Conn, waited time.Duration) { return w.longestOf("") }

// longestOf is longest for the connections from an address, or from any if that is empty.
func (w waiters) longestOf(address string) (longest net.Conn, waited time.Duration) {
	for conn, since := range w.since {
		if bounded, ok := conn.(*stallTimeoutConn); address != "" && (!ok || bounded.address != address) {
			continue
		}
		if longest == nil || since.Before(w.since[longest]) {
			longest, waited = conn, time.Since(since)
		}
	}
	return longest, waited
}

// newConnections returns a listener that allows most connections, and mostOfAddress from one address;
// 0 means the default.
func newConnections(l net.Listener, most, mostOfAddress int, m *metrics) *connections {
	most = cmp.Or(most, maxConnections)
	if files, known := disk.MaxOpenFiles(); known {
		// Each connection may need a file, too.
		most = int(max(1, min(int64(most), (files-spareFiles)/2)))
	}
	c := &connections{
		Listener: l, most: most, mostOfAddress: cmp.Or(mostOfAddress, (3*most+3)/4), metrics: m,
		firstRequest: firstRequestTimeout, slow: slowWindow,
		open: map[*stallTimeoutConn]bool{}, byAddress: map[string]int{},
		idle:  waiters{min(maxIdle, most), map[net.Conn]time.Time{}},
		fresh: waiters{min(maxNew, most), map[net.Conn]time.Time{}},
	}
	c.freed = sync.NewCond(&c.mu)
	return c
}

// Accept waits for a connection, and then for room for it. So no connection is closed for another one
// that does not come.
func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		switch {
		case (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) && c.evict():
			continue
		case err != nil:
			return nil, err
		}
		bounded := &stallTimeoutConn{Conn: conn, timeout: stallTimeout, address: addressOf(conn.RemoteAddr().String())}
		bounded.onClose = sync.OnceFunc(func() { c.leave(bounded) })
		accepted, err := c.enter(bounded)
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		if accepted {
			return bounded, nil
		}
		_ = conn.Close() // nothing was sent to it
	}
}

// addressOf returns a client's IPv4 address, or the /64 network of its IPv6 address: one client can
// use all addresses of that network.
func addressOf(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	a := at.Addr().Unmap()
	if a.Is4() {
		return a.String()
	}
	network, _ := a.Prefix(64) // every address has one
	return network.String()
}

// enter makes room for a connection. It returns false if its address has reached its limit, and an
// error if the listener is closed meanwhile.
func (c *connections) enter(conn *stallTimeoutConn) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.mostOfAddress < c.most && c.byAddress[conn.address] >= c.mostOfAddress {
		if !c.drop(c.firstRequest, conn.address) && !c.dropSlow(conn.address) {
			c.metrics.refused.Add(1)
			return false, nil
		}
	}
	for !c.closed && len(c.open) >= c.most {
		if !c.drop(c.firstRequest, "") && !c.dropSlow("") {
			c.await()
		}
	}
	if c.closed {
		return false, net.ErrClosed
	}
	c.open[conn] = true
	c.byAddress[conn.address]++
	c.metrics.accepted.Add(1)
	return true, nil
}

// await waits until there is room, or until a connection may be closed. c is locked.
func (c *connections) await() {
	wait := c.slow
	if conn, waited := c.fresh.longest(); conn != nil {
		wait = min(wait, c.firstRequest-waited)
	}
	timer := time.AfterFunc(wait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.freed.Signal()
	})
	defer timer.Stop()
	c.freed.Wait()
}

// dropSlow closes the connection whose client took the least, if that is less than slowBytes. If an
// address is given, the connection must be from there. Clients are measured only from the first call
// on, when there is no room. c is locked.
func (c *connections) dropSlow(address string) bool {
	var slowest *stallTimeoutConn
	least := int64(slowBytes)
	for conn := range c.open {
		if address != "" && conn.address != address {
			continue
		}
		if took, known := conn.took(c.slow); known && took < least {
			slowest, least = conn, took
		}
	}
	if slowest == nil {
		return false
	}
	c.metrics.droppedSlow.Add(1)
	slowest.abandon()
	c.close(slowest)
	return true
}

func (c *connections) leave(conn *stallTimeoutConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open[conn] {
		return // it was never let in
	}
	delete(c.open, conn)
	if c.byAddress[conn.address]--; c.byAddress[conn.address] == 0 {
		delete(c.byAddress, conn.address)
	}
	c.freed.Signal()
}

// Close ends Accept, also if it waits for room.
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
	return c.drop(0, "")
}

// drop closes the connection that has waited longest for another request. If there is none, it closes
// the one that has waited longest for its first, if that is at least atLeast. If an address is given,
// the connection must be from there. c is locked.
func (c *connections) drop(atLeast time.Duration, address string) bool {
	victim, _ := c.idle.longestOf(address)
	if victim == nil {
		conn, waited := c.fresh.longestOf(address)
		if conn == nil || waited < atLeast {
			return false
		}
		victim = conn
	}
	c.metrics.droppedIdle.Add(1)
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
		c.metrics.droppedIdle.Add(1)
		c.close(longest)
	}
}

package serve

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// listening runs a handler behind bounds.
func listening(t *testing.T, w *world, most, idlest, freshest int) (c *connections, address string) {
	t.Helper()
	return listeningTo(t, w.handler(t, nil), most, idlest, freshest)
}

func listeningTo(t *testing.T, h *Handler, most, idlest, freshest int) (c *connections, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c = newConnections(l, most, most, &h.metrics)
	c.idle.most, c.fresh.most = idlest, freshest
	server := &http.Server{Handler: h, ConnState: c.changed, ConnContext: withConnection}
	go server.Serve(c)
	t.Cleanup(func() { server.Close() })
	return c, l.Addr().String()
}

// client is a connection that requests are sent over one by one.
type client struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, address string) client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return client{conn, bufio.NewReader(conn)}
}

// get sends a request, and reads the head of the answer.
func (c client) get(path string) (*http.Response, error) {
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: mirror\r\n\r\n", path); err != nil {
		return nil, err
	}
	return http.ReadResponse(c.in, nil)
}

// whole sends a request, and reads the whole answer.
func (c client) whole(t *testing.T, path string) {
	t.Helper()
	resp, err := c.get(path)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// gone waits until the server closes a connection.
func (c client) gone() bool {
	_, err := c.in.ReadByte()
	return err == io.EOF || err != nil && strings.Contains(err.Error(), "reset")
}

// waitIdle waits until so many connections are idle: net/http says so after it has
// answered.
func (c *connections) waitIdle(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		there := len(c.idle.since)
		c.mu.Unlock()
		switch {
		case there == n:
			return
		case time.Now().After(deadline):
			t.Fatalf("%d connections are idle, not %d", there, n)
		}
	}
}

// TestIdle wants idle clients to be dropped for others, the longest idle first, and
// downloads not to be.
func TestIdle(t *testing.T) {
	w := newWorld(t, strings.Repeat("0123456789abcdef", 2<<20), "tool")
	server, address := listening(t, w, 4, 4, 4)
	download := dial(t, address)
	resp, err := download.get("/" + w.binary.Path)
	if err != nil {
		t.Fatal(err)
	}
	var idle []client
	for range 3 {
		c := dial(t, address)
		c.whole(t, healthPath)
		idle = append(idle, c)
		server.waitIdle(t, len(idle)) // the order in which they are idle counts
	}
	for i := range idle {
		c := dial(t, address)
		c.whole(t, healthPath)
		if !idle[i].gone() {
			t.Errorf("idle client %d was not dropped for a new one", i)
		}
		server.waitIdle(t, len(idle))
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != w.binary.Size {
		t.Errorf("the download came to %d bytes, %v", n, err)
	}
}

// TestFull wants a client to wait as long as all others download, and then to be answered.
func TestFull(t *testing.T) {
	w := newWorld(t, strings.Repeat("0123456789abcdef", 2<<20), "tool")
	_, address := listening(t, w, 1, 1, 1)
	download := dial(t, address)
	resp, err := download.get("/" + w.binary.Path)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	waiting := dial(t, address)
	go func() {
		resp, err := waiting.get(healthPath)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		answered <- err
	}()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	download.Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// TestSilent wants clients that send nothing to be dropped for others.
func TestSilent(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	c, address := listening(t, w, 100, 100, 3)
	silent := []client{dial(t, address), dial(t, address), dial(t, address)}
	dial(t, address).whole(t, healthPath)
	if !silent[0].gone() {
		t.Error("a silent client was not dropped")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.fresh.since); n > 3 {
		t.Errorf("%d silent clients are left", n)
	}
}

// TestSentDirectly downloads a file that is sent past net/http.
func TestSentDirectly(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", sentDirectly/8)
	w := newWorld(t, content, "tool")
	_, address := listening(t, w, 10, 10, 10)
	resp, err := dial(t, address).get("/" + w.binary.Path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil || string(data) != content || resp.ContentLength != int64(len(content)) {
		t.Errorf("%d bytes of %d, %v", len(data), resp.ContentLength, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.accesses); n > 0 && w.accesses[n-1].Bytes != int64(len(content)) {
		t.Errorf("logged as %d bytes", w.accesses[n-1].Bytes)
	}
}

// TestRequestsWhileSent wants a client that asks for more while a large file is sent
// to have that file whole: closing a connection with something unread drops what is
// still to be sent.
func TestRequestsWhileSent(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", sentDirectly/16)
	w := newWorld(t, content, "tool")
	_, address := listening(t, w, 10, 10, 10)
	c := dial(t, address)
	resp, err := c.get("/" + w.binary.Path)
	if err != nil {
		t.Fatal(err)
	}
	more := strings.Repeat("GET /"+w.dependency.Path+" HTTP/1.1\r\nHost: mirror\r\n\r\n", 200)
	if _, err := io.WriteString(c, more); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // the server may be done by then, and close
	if data, err := io.ReadAll(resp.Body); err != nil || string(data) != content {
		t.Errorf("%d bytes of %d, %v", len(data), resp.ContentLength, err)
	}
}

// TestLargeFileWithoutBody wants a connection to go on if nothing of a large file was
// asked for but what is known of it.
func TestLargeFileWithoutBody(t *testing.T) {
	w := newWorld(t, strings.Repeat("0123456789abcdef", sentDirectly/16), "tool")
	_, address := listening(t, w, 10, 10, 10)
	c := dial(t, address)
	for _, request := range []string{
		"HEAD /%s HTTP/1.1\r\nHost: mirror\r\n\r\n",
		"GET /%s HTTP/1.1\r\nHost: mirror\r\nIf-None-Match: *\r\n\r\n",
		"GET /%s HTTP/1.1\r\nHost: mirror\r\nRange: bytes=-0\r\n\r\n",
		"GET /%s HTTP/1.1\r\nHost: mirror\r\nRange: bytes=7-9\r\n\r\n",
	} {
		if _, err := fmt.Fprintf(c, request, w.binary.Path); err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		method, _, _ := strings.Cut(request, " ")
		resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Close {
			t.Errorf("%q: the connection ends: %t, %v", request, resp.Close, err)
		}
	}
}

// TestWaitingRequests wants requests that came while all others downloaded to be
// answered one after the other: none is dropped for the next before it was read.
func TestWaitingRequests(t *testing.T) {
	w := newWorld(t, strings.Repeat("0123456789abcdef", 2<<20), "tool")
	server, address := listening(t, w, 1, 1, 1)
	server.mu.Lock()
	server.firstRequest = time.Minute // the machine may be busy
	server.mu.Unlock()
	download := dial(t, address)
	resp, err := download.get("/" + w.binary.Path)
	if err != nil {
		t.Fatal(err)
	}
	var waiting []client
	for range 20 {
		c := dial(t, address)
		if _, err := fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n", w.dependency.Path); err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, c)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	download.Close()
	for i, c := range waiting {
		resp, err := http.ReadResponse(c.in, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		if err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
}

// exhausted is a listener that has no descriptors for a while.
type exhausted struct {
	net.Listener
	failures atomic.Int64
}

func (l *exhausted) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// TestNoDescriptors wants an idle client to be dropped where there is no descriptor for a new one.
func TestNoDescriptors(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has no such limit")
	}
	w := newWorld(t, "binary", "tool")
	l := &exhausted{}
	var err error
	if l.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	c := newConnections(l, 0, 0, new(metrics))
	server := &http.Server{Handler: w.handler(t, nil), ConnState: c.changed}
	go server.Serve(c)
	t.Cleanup(func() { server.Close() })
	idle := dial(t, l.Addr().String())
	idle.whole(t, healthPath)
	c.waitIdle(t, 1)
	// The next one is accepted already by a call that waits; the one after is not.
	l.failures.Store(1)
	dial(t, l.Addr().String()).whole(t, healthPath)
	dial(t, l.Addr().String()).whole(t, healthPath)
	if !idle.gone() {
		t.Error("the idle client was not dropped")
	}
}

// drip begins a download and takes next to nothing of it.
func drip(t *testing.T, address, path string) {
	t.Helper()
	c := dial(t, address)
	if err := c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := c.get(path); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, err := c.in.ReadByte(); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
}

// TestDrippingClients wants a client that takes next to nothing to be dropped for another one, and
// one that takes more to be left.
func TestDrippingClients(t *testing.T) {
	tier.SkipUnlessThorough(t)
	w := newWorld(t, strings.Repeat("0123456789abcdef", 4<<20), "tool")
	server, address := listening(t, w, 2, 2, 2)
	server.mu.Lock()
	server.slow = 200 * time.Millisecond
	server.mu.Unlock()
	drip(t, address, "/"+w.binary.Path)
	steady := dial(t, address)
	resp, err := steady.get("/" + w.binary.Path)
	if err != nil {
		t.Fatal(err)
	}
	whole := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		_, err := io.CopyN(io.Discard, resp.Body, 1<<20)
		for done := false; err == nil && !done; time.Sleep(5 * time.Millisecond) {
			select {
			case <-stop:
				done = true
			default:
				_, err = io.CopyN(io.Discard, resp.Body, 32<<10)
			}
		}
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		whole <- err
	}()
	dial(t, address).whole(t, healthPath)
	close(stop)
	if err := <-whole; err != nil {
		t.Errorf("the steady client was cut: %v", err)
	}
	if n := server.metrics.droppedSlow.Load(); n != 1 {
		t.Errorf("%d clients were dropped", n)
	}
}

// TestTook measures a client only where it was waited for.
func TestTook(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	defer here.Close()
	c := &stallTimeoutConn{Conn: here}
	now := time.Now()
	for name, test := range map[string]struct {
		sending bool
		marked  time.Time
		known   bool
	}{
		"not waited for":     {false, now.Add(-15 * time.Second), false},
		"for the first time": {true, time.Time{}, false},
		"too soon":           {true, now.Add(-5 * time.Second), false},
		"in time":            {true, now.Add(-20 * time.Second), true},
		"long ago":           {true, now.Add(-time.Hour), false},
	} {
		c.sending.Store(test.sending)
		c.sent.Store(1000)
		c.marked, c.mark = test.marked, 0
		n, known := c.took(10 * time.Second)
		if known != test.known || known && (n < 450 || n > 500) {
			t.Errorf("%s: %d, %t", name, n, known)
		}
	}
}

// TestOneAddress wants the clients of an address not to take all connections.
func TestOneAddress(t *testing.T) {
	w := newWorld(t, strings.Repeat("0123456789abcdef", 2<<20), "tool")
	server, address := listening(t, w, 8, 8, 8)
	server.mu.Lock()
	server.mostOfAddress = 2
	server.firstRequest = 0
	server.mu.Unlock()
	path := "/" + w.binary.Path
	idle := dial(t, address)
	idle.whole(t, healthPath)
	server.waitIdle(t, 1)
	for range 2 {
		if _, err := dial(t, address).get(path); err != nil {
			t.Fatal(err)
		}
	}
	if !idle.gone() {
		t.Error("the idle client of the address was not dropped for the next one")
	}
	if _, err := dial(t, address).get(path); err == nil || server.metrics.refused.Load() != 1 {
		t.Errorf("a third download of the address: %v, refused: %d", err, server.metrics.refused.Load())
	}
	// Another address has room.
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	conn, err := other.Dial("tcp", address)
	if err != nil {
		t.Skip("there is no other address: ", err)
	}
	defer conn.Close()
	client{conn, bufio.NewReader(conn)}.whole(t, healthPath)
}

// TestAddressOf counts the networks of IPv6 as one client each.
func TestAddressOf(t *testing.T) {
	for at, want := range map[string]string{
		"192.0.2.7:80": "192.0.2.7", "[::ffff:192.0.2.7]:80": "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64", "[fe80::1%eth0]:80": "fe80::/64",
	} {
		if got := addressOf(at); got != want {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
}

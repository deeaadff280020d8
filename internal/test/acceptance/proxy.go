package acceptance

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
)

// Proxy is an HTTP proxy on loopback behind which lies not the internet but a handler. It ends TLS itself, so it
// sees, and writes down, every request whole.
type Proxy struct {
	ca      *authority
	outer   *http.Server // speaks to clients: CONNECT, and plain HTTP in absolute form
	inner   *http.Server // speaks inside the tunnels
	tunnels *tunnels
	address string

	mu       sync.Mutex
	requests []Request
}

// Request is one request that came by. The URL has no query: what go-getter and signed redirects put there is noise.
type Request struct {
	Method string
	URL    string
}

func (r Request) String() string { return r.Method + " " + r.URL }

// NewProxy starts a proxy in front of handler. A nil handler refuses everything: a network that is down.
func NewProxy(handler http.Handler) (*Proxy, error) {
	if handler == nil {
		handler = http.HandlerFunc(refuse)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{ca: newAuthority(), address: listener.Addr().String()}
	p.tunnels = newTunnels(listener.Addr())
	// Clients that stop in the middle of a handshake are no news.
	quiet := log.New(io.Discard, "", 0)
	p.outer = &http.Server{Handler: p.serveClient(handler), ErrorLog: quiet}
	p.inner = &http.Server{Handler: p.recorded("https", handler), ErrorLog: quiet}
	go p.outer.Serve(listener)
	go p.inner.Serve(p.tunnels)
	return p, nil
}

func refuse(w http.ResponseWriter, r *http.Request) {
	http.Error(w, "no network", http.StatusBadGateway)
}

// Close cuts every connection.
func (p *Proxy) Close() error {
	return errors.Join(p.outer.Close(), p.inner.Close())
}

// URL is the value of HTTPS_PROXY.
func (p *Proxy) URL() string { return "http://" + p.address }

// PEM is the certificate that a client must trust.
func (p *Proxy) PEM() []byte { return p.ca.PEM() }

// Requests returns what came by so far, in order.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Fetched returns the URLs that clients asked for, sorted, each once: redirects are not followed twice in it, for
// what lies on the storage host was asked for under another name before.
func (p *Proxy) Fetched() []string {
	urls := []string{}
	for _, r := range p.Requests() {
		if !isStorage(r.URL) {
			urls = append(urls, r.URL)
		}
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}

func (p *Proxy) serveClient(handler http.Handler) http.HandlerFunc {
	plain := p.recorded("http", handler)
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			plain.ServeHTTP(w, r)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			conn.Close()
			return
		}
		p.tunnels.open(tls.Server(conn, &tls.Config{
			GetCertificate: p.ca.issue,
			NextProtos:     []string{"http/1.1"},
		}))
	}
}

func (p *Proxy) recorded(scheme string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, Request{r.Method, scheme + "://" + r.Host + r.URL.Path})
		p.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// tunnels hands the connections that clients opened by CONNECT to an [http.Server].
type tunnels struct {
	address net.Addr
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newTunnels(address net.Addr) *tunnels {
	return &tunnels{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (t *tunnels) open(conn net.Conn) {
	select {
	case t.conns <- conn:
	case <-t.closed:
		conn.Close()
	}
}

func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case conn := <-t.conns:
		return conn, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

func (t *tunnels) Close() error {
	t.once.Do(func() { close(t.closed) })
	return nil
}

func (t *tunnels) Addr() net.Addr { return t.address }

//go:build unix

package reliability

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/proxytest"
)

// site is a web server that makes trouble around one file until it is healed,
// and keeps account of what it sends.
type site struct {
	// url begins the URLs of its files.
	url string
	// fault happens to the file at victim; it may be nil.
	fault  *fault
	victim string

	port net.Listener
	// busy is held for reading by each request that is being answered.
	busy sync.RWMutex
	mu   sync.Mutex
	// files are by path.
	files    map[string][]byte
	healed   bool
	requests map[string]int // by method and path
	sent     map[string][]span
}

// span is a part of a file that was sent.
type span struct{ start, end int64 }

// startSite runs a site for as long as a test. It speaks http, but for a fault
// that is about https.
func startSite(t testing.TB, f *fault, victim string) *site {
	t.Helper()
	s := &site{fault: f, victim: victim, files: map[string][]byte{}, requests: map[string]int{}, sent: map[string][]span{}}
	var err error
	s.port, err = net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	s.url = "http://" + s.port.Addr().String()
	server := &http.Server{
		Handler: s, ErrorLog: log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connection{}, conn)
		},
	}
	if f != nil && f.over != plainHTTP {
		s.url = "https://" + s.port.Addr().String()
		server.TLSConfig = s.tls()
	}
	if f != nil && f.host != "" {
		scheme, _, _ := strings.Cut(s.url, "://")
		s.url = scheme + "://" + f.host
	}
	go func() { _ = server.Serve(&entrance{s.port, s, server.TLSConfig}) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

// entrance accepts a site's connections.
type entrance struct {
	net.Listener
	site *site
	tls  *tls.Config
}

func (e *entrance) Accept() (net.Conn, error) {
	conn, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// What a reset throws away with the connection shall be little.
		_ = tcp.SetWriteBuffer(64 << 10)
	}
	if e.tls == nil || e.site.certificate() == certNone {
		return conn, nil
	}
	return tls.Server(conn, e.tls), nil
}

func (s *site) tls() *tls.Config {
	protocols := []string{"http/1.1"}
	if s.fault.over == http2 {
		protocols = []string{"h2", "http/1.1"}
	}
	return &tls.Config{
		NextProtos: protocols,
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return certificates()[s.certificate()], nil
		},
	}
}

// certificate says which one the site shows.
func (s *site) certificate() certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.healed || s.fault == nil {
		return certGood
	}
	return s.fault.certificate
}

// heal ends the trouble.
func (s *site) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healed = true
}

// again returns how many bytes of a file were sent more than once. Nobody must be
// asking any longer: what was sent is accounted for a little later.
func (s *site) again(file string) int64 {
	s.busy.Lock()
	defer s.busy.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	var total int64
	times := make([]bool, len(s.files[file]))
	for _, sent := range s.sent[file] {
		for i := sent.start; i < sent.end; i++ {
			if i < int64(len(times)) && !times[i] {
				times[i] = true
				continue
			}
			total++
		}
	}
	return total
}

// asked returns how often a file was asked for.
func (s *site) asked(file string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests["GET "+file] + s.requests["HEAD "+file]
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.busy.RLock()
	defer s.busy.RUnlock()
	s.mu.Lock()
	data, found := s.files[r.URL.Path]
	a := &answer{ResponseWriter: w, request: r, site: s, data: data, etag: etag(data), left: -1, n: s.requests[r.Method+" "+r.URL.Path]}
	s.requests[r.Method+" "+r.URL.Path]++
	troubled := !s.healed && s.fault != nil && s.fault.answer != nil && r.URL.Path == s.victim
	s.mu.Unlock()
	switch {
	case !found:
		http.NotFound(w, r)
	case troubled:
		s.fault.answer(a)
	default:
		a.right()
	}
}

func etag(data []byte) string { return fmt.Sprintf(`"%x"`, sha256.Sum256(data)) }

// answer is one to a request. What passes through it is accounted for.
type answer struct {
	http.ResponseWriter
	request *http.Request
	site    *site
	data    []byte
	etag    string
	// n is how many requests of the method there were for the file before.
	n int

	// left is how many bytes may pass before end is called; negative for all.
	left int
	end  func()
	// every is called before each write.
	every func()
	// at is where in the file things stand; -1 if it is no content.
	at int64
}

// right answers as a good server does.
func (a *answer) right() {
	if a.etag != "" {
		a.Header().Set("ETag", a.etag)
	}
	a.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(a, a.request, "", time.Time{}, bytes.NewReader(a.data))
}

// whole answers with the whole file, whatever is asked for.
func (a *answer) whole() {
	a.request.Header.Del("Range")
	a.right()
}

func (a *answer) get() bool { return a.request.Method == http.MethodGet }

// WriteHeader is for http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.at = -1
	switch status {
	case http.StatusOK:
		a.at = 0
	case http.StatusPartialContent:
		_, _ = fmt.Sscanf(a.Header().Get("Content-Range"), "bytes %d-", &a.at)
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write is for http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.every != nil {
		a.every()
	}
	if a.left >= 0 {
		p = p[:min(len(p), a.left)]
	}
	n, err := a.ResponseWriter.Write(p)
	a.account(n)
	if a.left >= 0 {
		if a.left -= n; a.left == 0 && err == nil {
			_ = http.NewResponseController(a.ResponseWriter).Flush()
			a.end()
		}
	}
	return n, err
}

// account notes that n bytes were sent.
func (a *answer) account(n int) {
	if a.at < 0 || n == 0 {
		return
	}
	a.site.mu.Lock()
	defer a.site.mu.Unlock()
	file := a.request.URL.Path
	a.site.sent[file] = append(a.site.sent[file], span{a.at, a.at + int64(n)})
	a.at += int64(n)
}

// drop answers rightly, but breaks the connection after n bytes.
func (a *answer) drop(n int) {
	a.left, a.end = n, func() { panic(http.ErrAbortHandler) }
	a.right()
}

// reset answers rightly, but resets the connection after n bytes.
func (a *answer) reset(n int) {
	a.left, a.end = n, func() {
		if tcp := tcpOf(a.request.Context().Value(connection{}).(net.Conn)); tcp != nil {
			_ = tcp.SetLinger(0)
			_ = tcp.Close()
		}
		panic(http.ErrAbortHandler)
	}
	a.right()
}

// connection is the key of a request's connection in its context.
type connection struct{}

func tcpOf(conn net.Conn) *net.TCPConn {
	if c, ok := conn.(*tls.Conn); ok {
		conn = c.NetConn()
	}
	tcp, _ := conn.(*net.TCPConn)
	return tcp
}

// stall answers rightly, but sends nothing more after n bytes.
func (a *answer) stall(n int) {
	a.left, a.end = n, func() {
		<-a.request.Context().Done()
		panic(http.ErrAbortHandler)
	}
	a.right()
}

// slow answers rightly, with pauses that together are longer than any may be.
func (a *answer) slow() {
	pauses := 12
	a.every = func() {
		if pauses > 0 {
			_ = http.NewResponseController(a.ResponseWriter).Flush()
			time.Sleep(400 * time.Millisecond)
		}
		pauses--
	}
	a.right()
}

// corrupt answers with a digit or a bit changed, where somebody might notice.
func (a *answer) corrupt() {
	a.data = damaged(path.Base(a.request.URL.Path), a.data)
	a.right()
}

// damaged changes a document's first checksum, or a bit in the middle of
// anything else.
func damaged(name string, data []byte) []byte {
	data = bytes.Clone(data)
	at := len(data) / 2
	switch {
	case strings.HasSuffix(name, ".sha256"):
		at = 0
	case strings.HasSuffix(name, ".yaml"):
		at = bytes.Index(data, []byte("checksum: ")) + len("checksum: ")
	}
	if data[at] == '0' {
		data[at] = '1'
	} else {
		data[at] = '0'
	}
	return data
}

// status answers with a status and header fields.
func (a *answer) status(code int, header ...string) {
	for i := 0; i+1 < len(header); i += 2 {
		a.Header().Set(header[i], header[i+1])
	}
	a.WriteHeader(code)
	_, _ = io.WriteString(a.ResponseWriter, "no")
}

// redirect leads elsewhere.
func (a *answer) redirect(to string) {
	http.Redirect(a.ResponseWriter, a.request, to, http.StatusFound)
}

// raw answers with what no good server sends: header fields and a body as they are given.
func (a *answer) raw(header string, body []byte) {
	conn, _, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n"+header+"\r\n\r\n")
	n, _ := conn.Write(body)
	a.account(n)
	if tcp := tcpOf(conn); tcp != nil {
		_ = tcp.CloseWrite()
	}
	// To close while the other side sends would be to reset.
	_, _ = io.Copy(io.Discard, conn)
}

// gate is a proxy before a site, which refuses until the site is healed.
type gate struct {
	site *site
	url  string
}

func startGate(t testing.TB, s *site) *gate {
	t.Helper()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	g := &gate{s, "http://" + port.Addr().String()}
	server := &http.Server{Handler: g, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(port) }()
	t.Cleanup(func() { _ = server.Close() })
	return g
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.site.mu.Lock()
	healed := g.site.healed
	g.site.mu.Unlock()
	switch {
	case !healed:
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
	case r.Method == http.MethodConnect:
		proxytest.Tunnel(w, g.site.port.Addr().String())
	default:
		g.site.ServeHTTP(w, r)
	}
}

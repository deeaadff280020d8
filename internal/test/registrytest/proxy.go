package registrytest

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// Action is what a [Fault] does.
type Action int

// The actions. Positions count bytes of the request's or the answer's body.
const (
	// Answer answers with Status, Header and Body; the registry sees nothing.
	Answer Action = iota
	// CutRequest breaks both connections once At bytes of the request have
	// reached the registry.
	CutRequest
	// StallRequest takes no more of the request after At bytes.
	StallRequest
	// CutResponse breaks the connection after At bytes of the answer.
	CutResponse
	// StallResponse sends no more of the answer after At bytes.
	StallResponse
	// FlipResponse changes a bit of the byte at At of the answer.
	FlipResponse
	// DropResponse breaks the connection once the registry has answered,
	// without a word of it.
	DropResponse
	// WholeResponse has the registry send all of it, whatever part is asked for.
	WholeResponse
	// Alter gives an answer that is no refusal another Status, unless that is 0,
	// and other header fields: those of Header, where no value takes a field away.
	Alter
)

// Fault is what happens to requests of a method whose path and query contain
// Path. Of the first fault that is not used up, it happens.
type Fault struct {
	// Method is empty for any.
	Method, Path string
	// Unless is the header field Authorization of requests to which it does not
	// happen; those that have none are not spared.
	Unless string
	// Sending is what the body of the request of a manifest contains.
	Sending string
	// Min is the smallest body, in bytes, of a request that it happens to.
	Min int64
	// Skip is how many matching requests go through before it begins.
	Skip int
	// Times is how many it happens to; 0 stands for all.
	Times int
	Do    Action
	At    int64

	// Status, Header and Body are those of the answer. In values of Header and in
	// Body, $URL stands for the proxy's URL, $HOST for its host with the port,
	// $BAREHOST for that without it, and $LOCATION for the path and the query of
	// the registry's own Location.
	Status int
	Header http.Header
	Body   string
}

// Request is one that a [Proxy] has seen.
type Request struct {
	Method, Path string
	Header       http.Header
	// Status is 0 where there was no answer.
	Status int
	// In and Out are the sizes of what went through of its body and of the answer's.
	In, Out int64
}

// Proxy stands before a registry, makes trouble, and counts.
type Proxy struct {
	// Host is 127.0.0.1:PORT, URL that with the registry's scheme.
	Host, URL string

	server *http.Server
	proxy  *httputil.ReverseProxy
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex
	faults   []*Fault
	requests []*Request
}

// StartProxy starts a proxy before the registry, with its scheme and
// certificate. It ends with the registry at the latest.
func (r *Registry) StartProxy(faults ...Fault) (*Proxy, error) {
	target, err := url.Parse(r.URL)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Host: ln.Addr().String(), URL: r.scheme() + "://" + ln.Addr().String(), closed: make(chan struct{})}
	for _, f := range faults {
		p.faults = append(p.faults, &f)
	}
	// What is cut must have reached the registry until then: nothing is buffered.
	transport := &http.Transport{WriteBufferSize: 1, DisableCompression: true}
	if r.pair != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: r.pair.roots, MinVersion: tls.VersionTLS12}
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{r.pair.cert}, MinVersion: tls.VersionTLS12})
	}
	silent := log.New(io.Discard, "", 0)
	p.proxy = &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: silent,
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.SetXForwarded()
			pr.Out.Host = pr.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = &http.Server{Handler: p, ErrorLog: silent} //nolint:gosec // a test's
	go func() { _ = p.server.Serve(ln) }()
	r.mu.Lock()
	r.close = append(r.close, p.Close)
	r.mu.Unlock()
	return p, nil
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	p.once.Do(func() {
		close(p.closed)
		_ = p.server.Close()
	})
}

// Requests returns those that were seen, of a method (or all, if it is empty)
// and whose path and query contain something.
func (p *Proxy) Requests(method, path string) []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []Request
	for _, r := range p.requests {
		if matches(method, path, r.Method, r.Path) {
			found = append(found, *r)
		}
	}
	return found
}

// BytesIn returns how many bytes of bodies came with the requests of a method.
func (p *Proxy) BytesIn(method string) int64 {
	var n int64
	for _, r := range p.Requests(method, "") {
		n += r.In
	}
	return n
}

func matches(method, path, gotMethod, gotPath string) bool {
	return (method == "" || method == gotMethod) && strings.Contains(gotPath, path)
}

// ServeHTTP passes a request on, or makes trouble.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	seen := &Request{Method: req.Method, Path: req.URL.RequestURI(), Header: req.Header.Clone()}
	f := p.note(seen, req.ContentLength, manifestIn(req))
	if f != nil && f.Do == Answer {
		f.answer(w, p.names(""))
		p.update(func() { seen.Status = f.Status })
		return
	}
	if f != nil && f.Do == WholeResponse {
		req.Header.Del("Range")
	}
	req.Body = &body{ReadCloser: req.Body, proxy: p, seen: seen, fault: f, done: req.Context().Done()}
	p.proxy.ServeHTTP(&writer{ResponseWriter: w, proxy: p, seen: seen, fault: f, done: req.Context().Done()}, req)
}

func (p *Proxy) update(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// maxManifest bounds a manifest that is looked into.
const maxManifest = 4 << 20

// manifestIn returns the manifest that a request brings, if it brings one.
func manifestIn(req *http.Request) string {
	if req.Method != http.MethodPut || !strings.Contains(req.URL.Path, "/manifests/") {
		return ""
	}
	data, _ := io.ReadAll(io.LimitReader(req.Body, maxManifest))
	req.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(data), req.Body), req.Body}
	return string(data)
}

// names returns what stands for what in an answer.
func (p *Proxy) names(location string) *strings.Replacer {
	bare, _, _ := net.SplitHostPort(p.Host)
	if u, err := url.Parse(location); err == nil {
		location = u.RequestURI()
	}
	return strings.NewReplacer("$URL", p.URL, "$HOST", p.Host, "$BAREHOST", bare, "$LOCATION", location)
}

// note remembers a request, and returns what is to happen to it.
func (p *Proxy) note(seen *Request, size int64, manifest string) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, seen)
	for _, f := range p.faults {
		if f.Times < 0 || size < f.Min || !matches(f.Method, f.Path, seen.Method, seen.Path) || !strings.Contains(manifest, f.Sending) {
			continue
		}
		if f.Unless != "" && seen.Header.Get("Authorization") == f.Unless {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			return nil
		}
		if f.Times == 1 {
			f.Times = -1 // used up
		} else if f.Times > 1 {
			f.Times--
		}
		return f
	}
	return nil
}

func (f *Fault) answer(w http.ResponseWriter, names *strings.Replacer) {
	f.dress(w.Header(), names)
	w.WriteHeader(f.Status)
	_, _ = names.WriteString(w, f.Body)
}

// dress gives an answer its header fields.
func (f *Fault) dress(h http.Header, names *strings.Replacer) {
	for name, values := range f.Header {
		name = http.CanonicalHeaderKey(name)
		h.Del(name)
		for _, value := range values {
			h.Add(name, names.Replace(value))
		}
	}
}

// body is what a client sends.
type body struct {
	io.ReadCloser
	proxy *Proxy
	seen  *Request
	fault *Fault
	done  <-chan struct{}
	n     int64
}

var errCut = errors.New("cut on purpose")

func (b *body) Read(p []byte) (int, error) {
	if b.fault != nil && (b.fault.Do == CutRequest || b.fault.Do == StallRequest) {
		left := b.fault.At - b.n
		if left <= 0 && b.fault.Do == StallRequest {
			wait(b.done, b.proxy.closed)
		}
		if left <= 0 {
			return 0, errCut
		}
		p = p[:min(int64(len(p)), left)]
	}
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	b.proxy.update(func() { b.seen.In += int64(n) })
	return n, err
}

func wait(a, b <-chan struct{}) {
	select {
	case <-a:
	case <-b:
	}
}

// writer is what the registry answers.
type writer struct {
	http.ResponseWriter
	proxy *Proxy
	seen  *Request
	fault *Fault
	done  <-chan struct{}
	n     int64
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	if w.fault != nil && w.fault.Do == DropResponse {
		panic(http.ErrAbortHandler)
	}
	if f := w.fault; f != nil && f.Do == Alter && status < 300 {
		f.dress(w.Header(), w.proxy.names(w.Header().Get("Location")))
		status = cmp.Or(f.Status, status)
	}
	w.proxy.update(func() { w.seen.Status = status })
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	if f := w.fault; f != nil {
		at := f.At - w.n
		inside := at >= 0 && at < int64(len(p))
		switch {
		case f.Do == FlipResponse && inside:
			p = append([]byte(nil), p...)
			p[at] ^= 1
		case f.Do == CutResponse && inside:
			w.pass(p[:at])
			panic(http.ErrAbortHandler)
		case f.Do == StallResponse && inside:
			w.pass(p[:at])
			wait(w.done, w.proxy.closed)
			panic(http.ErrAbortHandler)
		}
	}
	return w.pass(p)
}

func (w *writer) pass(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	w.n += int64(n)
	w.proxy.update(func() { w.seen.Out += int64(n) })
	return n, err
}

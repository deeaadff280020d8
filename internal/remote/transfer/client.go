// Package transfer has what all HTTP transfers share: timeouts, a speed limit, retries, resumed
// downloads, redirects, --via rules, TLS settings, and the errors and hints that users see.
package transfer

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"time"
)

// Client sends HTTP requests. A request fails if its connection moves no byte for the idle timeout.
type Client struct {
	// Via has the rules that also apply to redirects; nil means none.
	Via         *Via
	http        *http.Client
	server      string
	idleTimeout time.Duration
	traffic     *Traffic
}

// NewClient returns a client. Messages call the other side by the name in server, such as "the
// server" or "the registry". Of the options, it uses IdleTimeout and Traffic.
func NewClient(transport http.RoundTripper, server string, o Options) *Client {
	c := &Client{server: server, idleTimeout: o.IdleTimeout, traffic: o.Traffic}
	c.http = &http.Client{Transport: transport, CheckRedirect: c.checkRedirect}
	return c
}

// Response is an answer. Reading its body fails if no byte comes for the idle timeout. The caller
// must call [Response.Close].
type Response struct {
	*http.Response
	watch   *Watchdog
	traffic *Traffic
	ended   func()
	asked   *url.URL     // the URL before redirects
	refusal *StatusError // what [Response.Refusal] returned
}

// Do sends a request and returns the answer, whatever its status. Answering is how long the server
// may take to begin its answer after it has the whole request. It is at least the idle timeout.
func (c *Client) Do(req *http.Request, answering time.Duration) (*Response, error) {
	r := &Response{watch: NewWatchdog(req.Context(), c.idleTimeout), traffic: c.traffic, ended: c.traffic.Ask(req.URL.Host)}
	r.watch.answering = max(answering, c.idleTimeout)
	req = req.WithContext(r.watch.Context())
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &sentBody{req.Body, r.watch, c.traffic}
	}
	// Cookies are kept for the redirects of this request only.
	once := *c.http
	var err error
	if once.Jar, err = cookiejar.New(nil); err != nil {
		return nil, err
	}
	r.Response, err = once.Do(req)
	r.watch.Rest()
	if err != nil {
		err = redirected(req.URL, failedAt(err), r.reason(err))
		r.watch.Stop()
		r.ended()
		return nil, err
	}
	if host := r.Request.URL.Host; host != req.URL.Host { // a redirect led there
		r.ended()
		r.ended = c.traffic.Ask(host)
	}
	r.asked = req.URL
	r.watch.answered()
	return r, nil
}

// FileBody is a request body that may be read from a file. On a connection without TLS, the
// operating system sends it straight from the file.
type FileBody interface {
	// Next returns the file and the offset of the next byte, or nil if it is in no file.
	Next() (file *os.File, offset int64)
	// Sent reports that n bytes were sent from the file. err is why it were fewer, or nil.
	Sent(n int, err error)
}

// sentBody reports each piece of a request's body to the watchdog and to the traffic counter.
type sentBody struct {
	io.ReadCloser
	watch   *Watchdog
	traffic *Traffic
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.traffic.Move(n)
	b.watch.sent()
	return n, err
}

func (b *sentBody) next() (file *os.File, offset int64) {
	if b != nil {
		if body, ok := b.ReadCloser.(FileBody); ok {
			return body.Next()
		}
	}
	return nil, 0
}

func (b *sentBody) sent(n int, err error) {
	b.ReadCloser.(FileBody).Sent(n, err)
	b.traffic.Move(n)
	b.watch.sent()
}

// Read reads the body. It fails with [ErrStalled] if no byte comes for the idle timeout.
func (r *Response) Read(p []byte) (int, error) {
	// Only the time inside Read counts, not what the caller does between two calls.
	r.watch.Wake()
	n, err := r.Body.Read(p)
	r.watch.Rest()
	r.traffic.Move(n)
	if err != nil {
		if err = r.reason(err); err != io.EOF {
			err = redirected(r.asked, r.Request.URL, err)
		}
	}
	return n, err
}

// maxDrained is how many unwanted bytes of a body are read at most before it is closed.
const maxDrained = 16 << 10

// Close ends the request. It first reads the rest of the body if that is at most 16 KiB and comes
// within a second: then the connection can be used again.
func (r *Response) Close() error {
	if r.ContentLength <= maxDrained && r.watch.ctx.Err() == nil {
		impatient := time.AfterFunc(time.Second, r.watch.Stop)
		_, _ = io.CopyN(io.Discard, r, maxDrained)
		impatient.Stop()
	}
	r.watch.Stop()
	r.ended()
	return r.Body.Close()
}

func (r *Response) reason(err error) error {
	if ended := r.watch.Reason(); ended != nil {
		return ended
	}
	return PlainReason(err)
}

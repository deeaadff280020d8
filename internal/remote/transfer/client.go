// Package transfer is what every transfer over HTTP has in common, whoever is
// at the other end: how patient it is, how fast, how it is repeated and resumed,
// and what its failures mean.
package transfer

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"time"
)

// Client sends requests, and watches that something moves.
type Client struct {
	// Via says where redirects lead instead; nil stands for where they say.
	Via         *Via
	http        *http.Client
	who         string
	idleTimeout time.Duration
	traffic     *Traffic
}

// NewClient returns a client. Who is what messages call the other side: "the server". It uses the
// idle timeout and the traffic of the options.
func NewClient(transport http.RoundTripper, who string, o Options) *Client {
	c := &Client{who: who, idleTimeout: o.IdleTimeout, traffic: o.Traffic}
	c.http = &http.Client{Transport: transport, CheckRedirect: c.checkRedirect}
	return c
}

// Response is an answer whose body is read under watch.
type Response struct {
	*http.Response
	watch   *Watchdog
	traffic *Traffic
	ended   func()
	asked   *url.URL     // that of Response may be a redirect's
	refusal *StatusError // once [Response.Refusal] was called
}

// Do sends a request and returns the answer, whatever its status. Answering is
// how long the other side may take to answer once it has the whole request; 0
// stands for the idle timeout.
func (c *Client) Do(req *http.Request, answering time.Duration) (*Response, error) {
	r := &Response{watch: NewWatchdog(req.Context(), c.idleTimeout), traffic: c.traffic, ended: c.traffic.Ask(req.URL.Host)}
	r.watch.answering = max(answering, c.idleTimeout)
	req = req.WithContext(r.watch.Context())
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &sentBody{req.Body, r.watch, c.traffic}
	}
	// Cookies last for the redirects of one request.
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

// FileBody is the body of a request that may lie in a file. A connection without TLS has the system
// send it from there.
type FileBody interface {
	// Next returns where the next byte is, or no file.
	Next() (file *os.File, offset int64)
	// Sent is told how many bytes were sent from there, and why it were no more.
	Sent(n int, err error)
}

// sentBody tells of every piece of a request's body.
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

// Read reads the body. It fails when nothing comes for a while.
func (r *Response) Read(p []byte) (int, error) {
	// The time that the caller takes for what it has read does not count.
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

// maxDrained bounds what is read of a body that nobody wants, in bytes.
const maxDrained = 16 << 10

// Close ends the request. What is left of the body is read if it is short and comes
// within a second, so that the connection can be used again.
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

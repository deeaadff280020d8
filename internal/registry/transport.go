package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
)

// door is what every request to a registry goes through, those of the
// handshake included: it alone decides on the scheme, whatever a challenge, a
// redirect or the library's heuristics for hosts that look local say.
type door struct {
	inner     http.RoundTripper
	userAgent string
	plainHTTP bool
	host      string

	mu    sync.Mutex
	err   error
	limit transfer.RateLimit
	// inside says that the handshake is over.
	inside bool
}

// maxGreeting bounds an answer of the handshake: the library reads that to its
// first question to the end, however long it is.
const maxGreeting = 1 << 20

var (
	errInClear   = &transfer.RedirectError{Reason: "the registry leads to plain http, which would send credentials and content in the clear"}
	errNotSpoken = errors.New("https is not spoken")
)

// RoundTrip sends a request as http.Transport does.
func (d *door) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := d.refuse(req.URL); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	sent := *req // the request is the caller's, and a retry may go another way
	sent.Header = req.Header.Clone()
	sent.Header.Set("User-Agent", d.userAgent)
	resp, err := d.inner.RoundTrip(&sent)
	d.mu.Lock()
	d.err, d.limit = err, transfer.RateLimit{}
	if err == nil {
		d.limit = transfer.NewStatusError(resp).RateLimit
		resp.Request = req
		if !d.inside {
			resp.Body = bounded{io.LimitReader(resp.Body, maxGreeting), resp.Body}
		}
	}
	d.mu.Unlock()
	return resp, err
}

type bounded struct {
	io.Reader
	io.Closer
}

// enter ends the handshake.
func (d *door) enter() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside = true
}

func (d *door) refuse(u *url.URL) error {
	switch {
	case u.Scheme == "https" && d.plainHTTP && u.Host == d.host:
		return errNotSpoken // the library tries https before http
	case u.Scheme == "https", u.Scheme == "http" && d.plainHTTP:
		return nil
	}
	return errInClear
}

// failure returns why the last request failed.
func (d *door) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// lastLimit returns what the last answer says of when to come back.
func (d *door) lastLimit() transfer.RateLimit {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.limit
}

// request is what to send.
type request struct {
	method string
	url    *url.URL
	header http.Header
	// body may be nil.
	body *upload
	// data is a short body.
	data []byte
	// patience is how long the registry may take to answer; 0 stands for the usual.
	patience time.Duration
}

// do sends a request and returns the answer, whatever its status.
func (r *Repository) do(ctx context.Context, q request) (*transfer.Response, error) {
	req, err := q.http(ctx)
	if err != nil {
		return nil, err
	}
	return r.http.Do(req, q.patience)
}

// http returns the request as net/http wants it.
func (q request) http(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, q.method, q.url.String(), nil)
	if err != nil {
		return nil, transfer.Permanent(errors.New("the registry names a URL that is none"))
	}
	for name, values := range q.header {
		req.Header[name] = values
	}
	req.Header.Set("Accept-Encoding", "identity")
	switch {
	case q.body != nil:
		req.Body, req.ContentLength = q.body, q.body.left()
	case q.data != nil:
		setBody(req, q.data)
	}
	return req, nil
}

package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// authTransport is what every request to a registry goes through, those of the
// handshake included: it alone decides on the scheme, whatever a challenge, a
// redirect or the library's heuristics for hosts that look local say.
type authTransport struct {
	inner     http.RoundTripper
	userAgent string
	plainHTTP bool
	host      string

	mu sync.Mutex
	// err is why the last request failed, which was to at.
	err error
	at  string
	// refused is why the first request was not sent that was not.
	refused error
	last    answer
	// greeting is the answer to the first question.
	greeting answer
	// realm is where the token server is, if the library was told another place.
	realm *url.URL
	// established says that the handshake is over.
	established bool
}

// answer is what is remembered of an answer.
type answer struct {
	host  string
	code  int
	limit transfer.RateLimit
	// page says that it is a web page.
	page bool
	// offers are the schemes by which a registry lets itself be told who asks.
	offers []string
}

// maxGreeting bounds an answer of the handshake: the library reads that to its
// first question to the end, however long it is.
const maxGreeting = 1 << 20

var (
	errInClear   = &transfer.RedirectError{Reason: "the registry leads to plain http, which would send credentials and content in the clear"}
	errNotSpoken = errors.New("https is not spoken")
)

func (d *authTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := d.refuse(req.URL); err != nil {
		d.mu.Lock()
		d.refused = cmp.Or(d.refused, err)
		d.mu.Unlock()
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	sent := *req // the request is the caller's, and a retry may go another way
	sent.Header = req.Header.Clone()
	sent.Header.Set("User-Agent", d.userAgent)
	sent.URL = d.realURL(req.URL)
	resp, err := d.inner.RoundTrip(&sent)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err, d.at, d.last = err, sent.URL.Host, answer{}
	if err != nil {
		return resp, err
	}
	d.last = answer{transfer.Printable(sent.URL.Host, maxMessage), resp.StatusCode, transfer.NewStatusError(resp).RateLimit, isPage(resp.Header), nil}
	if resp.StatusCode == http.StatusUnauthorized {
		d.last.offers = schemes(resp.Header)
		sortChallenges(resp.Header)
		d.realm = cmp.Or(d.realm, moveRealm(resp.Header, d.host))
	}
	if d.greeting.code == 0 {
		d.greeting = d.last
	}
	resp.Request = req
	if !d.established {
		resp.Body = bounded{io.LimitReader(resp.Body, maxGreeting), resp.Body}
	}
	return resp, err
}

// realURL returns where a request goes: see [moveRealm].
func (d *authTransport) realURL(u *url.URL) *url.URL {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.realm == nil || u.Host != d.host || u.Path != d.realm.Path {
		return u
	}
	at := *u
	at.Scheme, at.Host = d.realm.Scheme, d.realm.Host
	return &at
}

func isPage(h http.Header) bool { return mediaType(h) == "text/html" }

type bounded struct {
	io.Reader
	io.Closer
}

func (d *authTransport) endHandshake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.established = true
}

func (d *authTransport) refuse(u *url.URL) error {
	switch {
	case u.Scheme == "https" && d.plainHTTP && u.Host == d.host:
		return errNotSpoken // the library tries https before http
	case u.Scheme == "https", u.Scheme == "http" && d.plainHTTP:
		return nil
	}
	return fmt.Errorf("%w, at %s", errInClear, transfer.Printable(u.Host, maxMessage))
}

// failure returns at which host the last request failed, and why.
func (d *authTransport) failure() (at string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at, d.err
}

// firstRefused returns why the first request was not sent that was not.
func (d *authTransport) firstRefused() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused
}

// answers returns the answer to the first question, and the last one.
func (d *authTransport) answers() (greeting, last answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.greeting, d.last
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
	// answering is how long the registry may take to answer; 0 stands for the idle timeout.
	answering time.Duration
}

// do sends a request and returns the answer, whatever its status.
func (r *Repository) do(ctx context.Context, q request) (*transfer.Response, error) {
	req, err := q.http(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := r.http.Do(req, q.answering)
	if err != nil && q.url.Host != r.host && !transfer.Is[*transfer.RedirectError](err) {
		err = &transfer.RedirectedError{Host: q.url.Host, Err: err}
	}
	return resp, err
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

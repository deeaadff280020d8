package transfer

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const maxRedirects = 10

// checkRedirect allows at most ten redirects, and none from https to http. It sends only harmless
// header fields to another host, or back from one. net/http removes only fields that it knows, and
// not if only the port differs. Its Referer would have the query of the URL before.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	last, host := via[len(via)-1].URL, Printable(req.URL.Host, maxHost)
	refuse := func(format string, args ...any) error {
		return &RedirectError{Reason: c.server + " redirects " + fmt.Sprintf(format, args...)}
	}
	switch {
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return refuse("to a URL of the form %.20s:", req.URL.Scheme)
	case last.Scheme == "https" && req.URL.Scheme == "http":
		return &RedirectError{Reason: fmt.Sprintf("%s redirects from https to plain http, at %s", c.server, host), InClear: true}
	case len(via) > maxRedirects:
		return refuse("more than %d times", maxRedirects)
	}
	req.URL = c.Via.redirect(req.URL) // a rule of the user's may use http
	for _, before := range via {
		// If the answer set a cookie, the same URL may give another answer.
		if before.URL.String() == req.URL.String() && len(req.Response.Cookies()) == 0 {
			return refuse("in a circle, at %s", host)
		}
	}
	req.Header.Del("Referer")
	// A foreign host may redirect back to any path of the first host.
	astray := slices.ContainsFunc(via, func(r *http.Request) bool { return !sameOrigin(via[0].URL, r.URL) })
	if astray || !sameOrigin(via[0].URL, req.URL) {
		for name := range req.Header {
			if !travels[name] {
				req.Header.Del(name)
			}
		}
		req.URL.User = nil
	}
	return nil
}

// travels has the header fields that may go to another host.
var travels = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Cache-Control": true, "User-Agent": true, "Range": true,
	"If-Range": true, "If-None-Match": true, "If-Modified-Since": true,
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Host, b.Host) && a.Scheme == b.Scheme
}

// RedirectError is a redirect that is not followed.
type RedirectError struct {
	Reason string
	// InClear is true if the redirect leads from https to plain http.
	InClear bool
}

func (e *RedirectError) Error() string { return e.Reason }

// failedAt returns the URL at which a request failed, maybe a redirect's target; or nil.
func failedAt(err error) *url.URL {
	e, ok := errors.AsType[*url.Error](err)
	if !ok {
		return nil
	}
	at, _ := url.Parse(e.URL)
	return at
}

// redirected adds the host's name to an error that comes from a redirect's target.
func redirected(asked, at *url.URL, err error) error {
	if at == nil || asked.Host == at.Host || Is[*RedirectError](err) || Is[*StatusError](err) {
		return err
	}
	return &RedirectedError{at.Host, err}
}

// RedirectedError is an error at a redirect's target. Host is the target's host.
type RedirectedError struct {
	Host string
	Err  error
}

func (e *RedirectedError) Error() string {
	return fmt.Sprintf("redirected to %s: %s", Printable(e.Host, maxHost), e.Err)
}

func (e *RedirectedError) Unwrap() error { return e.Err }

package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// statusError is an answer that is not the content.
type statusError struct {
	code int
	// retryAfter is how long the server asks to be left alone; 0 if it says nothing.
	retryAfter time.Duration
	// host answers, which a redirect may have led to.
	host  string
	proxy bool
}

func newStatusError(resp *http.Response) *statusError {
	e := &statusError{code: resp.StatusCode, retryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	if resp.Request != nil {
		e.host = resp.Request.URL.Host
	}
	return e
}

func (e *statusError) Error() string {
	who := e.host
	if e.proxy {
		who = "the proxy"
	}
	return strings.TrimSpace(fmt.Sprintf("%s answers %d %s", who, e.code, http.StatusText(e.code)))
}

// transient reports whether the same request may succeed later
// (RFC 9110, section 15).
func (e *statusError) transient() bool {
	switch e.code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return e.code >= 500
}

// retryAfter reads the header field (RFC 9110, section 10.2.3): seconds or a date.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return time.Duration(max(seconds, 0)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// permanentError is one that no further attempt will cure.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

func permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// localError is a failure of this machine, as of its disk, not of a server.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

func local(err error) error {
	if err == nil {
		return nil
	}
	return &localError{err}
}

// transient reports whether another attempt may succeed. Attempts are those
// made so far: a name that does not exist is a typing error, unless it existed
// a moment ago.
func transient(err error, attempts int) bool {
	if is[*permanentError](err) || is[*localError](err) || is[*fault.Error](err) || is[*mismatch](err) || is[*redirectError](err) ||
		isTLS(err) || errors.Is(err, errProxySetting) || errors.Is(err, http.ErrSchemeMismatch) {
		return false
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.transient()
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return attempts > 1
	}
	return true
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// isTLS reports whether the other side could not prove who it is, or does not
// speak TLS.
func isTLS(err error) bool {
	return is[*tls.CertificateVerificationError](err) || is[tls.RecordHeaderError](err) ||
		is[x509.UnknownAuthorityError](err) || is[x509.HostnameError](err) || is[x509.CertificateInvalidError](err) ||
		is[x509.SystemRootsError](err)
}

// failure is the error for the user, of the right kind, with the next step.
func failure(doing, url string, err error) error {
	what := doing + " " + agent.Redact(url)
	if is[*fault.Error](err) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", what, err)
	}
	if is[*mismatch](err) {
		return fault.New(fault.Integrity, "%s: %w", what, err).
			WithHint("nothing was kept; either the file was replaced upstream or something on the way alters it: compare with what the publisher announces")
	}
	if e, ok := errors.AsType[*localError](err); ok {
		return fault.New(fault.Unexpected, "%s: %w", what, e.err)
	}
	return fault.New(fault.Upstream, "%s: %w", what, err).WithHint("%s", hint(err))
}

// hint is the next step after a server's failure.
func hint(err error) string {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.hint()
	}
	const proxied = "is a proxy needed? it is named by HTTPS_PROXY and HTTP_PROXY, exceptions by NO_PROXY"
	switch e, isDNS := errors.AsType[*net.DNSError](err); {
	case is[*redirectError](err):
		return "the URL may have moved: open it elsewhere to see where it leads"
	case is[x509.UnknownAuthorityError](err) || is[x509.SystemRootsError](err):
		return "does a proxy open TLS here, or is the authority a private one? SSL_CERT_FILE names its certificate"
	case is[tls.RecordHeaderError](err) || errors.Is(err, http.ErrSchemeMismatch):
		return "the server does not speak TLS on that port: is it http, or is a proxy needed (HTTPS_PROXY)?"
	case isTLS(err):
		return "is this the right host, and does this machine's clock tell the right time?"
	case errors.Is(err, errProxySetting):
		return "correct HTTPS_PROXY or HTTP_PROXY"
	case isDNS && e.IsNotFound:
		return "is the host's name spelt right? " + proxied
	case is[*permanentError](err):
		return ""
	}
	return "run it again: it goes on where it was; " + proxied
}

func (e *statusError) hint() string {
	switch {
	case e.proxy || e.code == http.StatusProxyAuthRequired:
		return "the proxy that HTTPS_PROXY or HTTP_PROXY names refuses: it may want a user and a password in its URL, or not allow this host"
	case e.code == http.StatusUnauthorized || e.code == http.StatusForbidden:
		return "credentials for the host come from the URL or from .netrc; without any, the file may be private, or gone"
	case e.code == http.StatusNotFound || e.code == http.StatusGone:
		return "the file is not, or no longer, there: ask whoever publishes it; a plugin can be left out with --exclude"
	case e.code == http.StatusTooManyRequests:
		return "the server limits how much it gives: wait, lower --parallel, and run it again"
	case e.transient():
		return "the server is in trouble: run it again later; it goes on where it was"
	}
	return "open the URL elsewhere to see what the server wants"
}

package transfer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// StatusError is an answer with an HTTP status that means failure.
type StatusError struct {
	Code int
	RateLimit
	Host  string // the host that answered, maybe a redirect's target
	Proxy bool   // a proxy answered, and refused the connection
	Says  string // the server's own message, in printable characters; or empty
}

// NewStatusError returns an answer as an error. It reads the header fields only; [Response.Refusal]
// also reads the body.
func NewStatusError(resp *http.Response) *StatusError {
	return NewRefusal(Printable(resp.Request.URL.Host, maxHost), resp.StatusCode, resp.Header)
}

// NewRefusal is [NewStatusError] for callers that have no [http.Response].
func NewRefusal(host string, code int, header http.Header) *StatusError {
	return &StatusError{Code: code, Host: host, RateLimit: newRateLimit(code, header, time.Now())}
}

func (e *StatusError) Error() string {
	host := e.Host
	if e.Proxy {
		host = "the proxy"
	}
	s := strings.TrimSpace(fmt.Sprintf("%s answers %d %s", host, e.Code, http.StatusText(e.Code)))
	if e.Says != "" {
		s += " (" + e.Says + ")"
	}
	if e.Reached {
		s += ": " + e.RateLimit.String()
	}
	return s
}

// Transient reports whether the same request may succeed later (RFC 9110, section 15).
func (e *StatusError) Transient() bool {
	if e.Reached {
		return true
	}
	switch e.Code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return e.Code >= 500
}

// maxHost is how many characters of a host name messages show at most.
const maxHost = 300

// Printable makes untrusted text safe to print: one line of at most that many printable characters.
func Printable(s string, most int) string {
	line := []rune(s)
	if len(line) > most {
		line = append(line[:most], '…')
	}
	for i, r := range line {
		if !unicode.IsPrint(r) {
			line[i] = ' '
		}
	}
	return strings.TrimSpace(string(line))
}

// PermanentError is an error that is not retried.
type PermanentError struct{ error }

func (e *PermanentError) Unwrap() error { return e.error }

// Permanent wraps an error so that it is not retried. It returns nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &PermanentError{err}
}

// LocalError is a failure of this machine, such as a full disk. It is not retried.
type LocalError struct{ error }

func (e *LocalError) Unwrap() error { return e.error }

// Local wraps an error as a [LocalError]. It returns nil for nil.
func Local(err error) error {
	if err == nil {
		return nil
	}
	return &LocalError{err}
}

// Is reports whether err's chain has an error of type E.
func Is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// IsNoSuchHost reports whether DNS has no such host.
func IsNoSuchHost(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}

// IsNotConnected reports whether no connection was made: the server refused it, or did not answer.
func IsNotConnected(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "dial"
}

// Transient reports whether another attempt may succeed. Attempts is how many were made so far: a
// host that does not exist at the first attempt is a typing error, later it is a failure of DNS.
func Transient(err error, attempts int) bool {
	if Is[*PermanentError](err) || Is[*LocalError](err) || Is[*fault.Error](err) || Is[*RedirectError](err) ||
		IsTLS(err) || IsNotTLS(err) || IsClientRefused(err) || errors.Is(err, ErrProxySetting) {
		return false
	}
	if e, ok := errors.AsType[*StatusError](err); ok {
		return e.Transient()
	}
	return attempts > 1 || !IsNoSuchHost(err)
}

// Failure returns the error for the user: "DOING: ERR". It keeps the kind and the hint of a
// [fault.Error]. A [LocalError] gets kind [fault.Unexpected]. For any other error, advice returns the
// kind and the hint.
func Failure(doing string, err error, advice func(error) (fault.Kind, string)) error {
	if Is[*fault.Error](err) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if e, ok := errors.AsType[*LocalError](err); ok {
		return fault.New(fault.Unexpected, "%s: %w", doing, e.error)
	}
	kind, hint := advice(err)
	return fault.New(kind, "%s: %w", doing, err).WithHint("%s", hint)
}

// ConnectionHint returns the hint for a connection that failed, or "" for any other error. Server is
// "server" or "registry". Prefix is put before the names of flags: "--" or "--source-".
func ConnectionHint(err error, server, prefix string) string {
	switch {
	case IsUnknownAuthority(err):
		return HintAuthority(prefix)
	case IsNotTLS(err):
		return "the " + server + " does not speak TLS on that port: check the port, and whether the URL is http; if this network needs a proxy, set HTTPS_PROXY"
	case IsClientRefused(err):
		return "if the " + server + " wants a client certificate, name one that it trusts: " + prefix + "client-cert CERT.pem " + prefix + "client-key KEY.pem"
	case IsTLS(err):
		return "check that the host name is the one in the certificate, and that this machine's clock is right"
	case errors.Is(err, ErrProxySetting):
		return "correct HTTPS_PROXY or HTTP_PROXY"
	case IsProxyAway(err):
		return "check the proxy in HTTPS_PROXY and HTTP_PROXY; list hosts that need no proxy in NO_PROXY"
	case IsNoSuchHost(err):
		return HintHost
	}
	return ""
}

// HintAuthority returns the hint for a certificate that no trusted CA signed. Prefix is put before
// the name of the flag: "--" or "--source-".
func HintAuthority(prefix string) string {
	return "if a proxy intercepts TLS here, or if the server has a private CA, trust that CA: " + prefix + "ca-file CA.pem"
}

// Hints that several packages use.
const (
	HintHost         = "check the spelling of the host name; " + HintProxy
	HintProxy        = "if this network needs a proxy, set HTTPS_PROXY and HTTP_PROXY (exceptions: NO_PROXY)"
	HintProxyRefuses = "the proxy in HTTPS_PROXY or HTTP_PROXY refuses this connection: put a user and a password into its URL if it wants them, or ask its administrator to allow this host"
)

// WithoutURL removes the URL, which may hold credentials, from a [url.Error].
func WithoutURL(err error) error {
	if e, ok := err.(*url.Error); ok {
		return WithoutURL(e.Err)
	}
	return err
}

// PlainReason returns an error of net/http without secrets and in printable characters.
func PlainReason(err error) error {
	err = WithoutURL(err)
	switch {
	case strings.HasPrefix(err.Error(), "failed to parse Location header"):
		return &RedirectError{Reason: "the server redirects to something that is not a URL"}
	case Is[textproto.ProtocolError](err): // its text quotes header fields
		return errors.New("the answer is not HTTP")
	case errors.Is(err, net.ErrClosed): // net/http closes its end after the server did
		return errors.New("the server closed the connection")
	}
	if text := Printable(agent.RedactURLs(err.Error()), maxReason); text != err.Error() {
		return &cleanError{text, err}
	}
	return err
}

// maxReason is how many characters of an error messages show at most: some errors quote the server.
const maxReason = 500

// cleanError is an error with a text that is safe to print.
type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

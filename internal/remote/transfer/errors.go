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

// StatusError is an answer that is not what was asked for.
type StatusError struct {
	Code int
	RateLimit
	Host  string // answers; a redirect may have led to it
	Proxy bool   // it is a proxy that refuses to connect
	Says  string // what the server says for itself, fit to be shown; or empty
}

// NewStatusError returns the refusal that an answer is, by its header fields:
// see [Response.Refusal].
func NewStatusError(resp *http.Response) *StatusError {
	return NewRefusal(Printable(resp.Request.URL.Host, maxHost), resp.StatusCode, resp.Header)
}

// NewRefusal is [NewStatusError] for an answer that a client library has taken
// apart.
func NewRefusal(host string, code int, header http.Header) *StatusError {
	return &StatusError{Code: code, Host: host, RateLimit: newRateLimit(code, header, time.Now())}
}

func (e *StatusError) Error() string {
	who := e.Host
	if e.Proxy {
		who = "the proxy"
	}
	s := strings.TrimSpace(fmt.Sprintf("%s answers %d %s", who, e.Code, http.StatusText(e.Code)))
	if e.Says != "" {
		s += " (" + e.Says + ")"
	}
	if e.Reached {
		s += ": " + e.RateLimit.String()
	}
	return s
}

// Transient reports whether the same request may succeed later
// (RFC 9110, section 15).
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

// maxHost bounds what is shown of a host's name.
const maxHost = 300

// Printable makes what a server says fit to be shown: one line of printable
// characters, no more than so many.
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

// PermanentError is one that no further attempt will cure.
type PermanentError struct{ error }

func (e *PermanentError) Unwrap() error { return e.error }

// Permanent says of an error that no further attempt will cure it.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &PermanentError{err}
}

// LocalError is a failure of this machine, as of its disk, not of a server.
type LocalError struct{ error }

func (e *LocalError) Unwrap() error { return e.error }

// Local says of an error that it is this machine's.
func Local(err error) error {
	if err == nil {
		return nil
	}
	return &LocalError{err}
}

// Is reports whether an error is, or wraps, one of a type.
func Is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// IsNoSuchHost reports whether a name does not exist.
func IsNoSuchHost(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}

// Transient reports whether another attempt may succeed. Attempts are those
// made so far: a name that does not exist is a typing error, unless it existed
// a moment ago.
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

// Failure is the error for the user, of the right kind, with the next step: advice
// tells it after a server's failure, and of what kind that is.
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

// ConnectionHint is the next step after a connection failed; empty if something else
// did. Who is the other side: "server" or "registry". Prefix begins the names of flags.
func ConnectionHint(err error, who, prefix string) string {
	switch {
	case IsUnknownAuthority(err):
		return HintAuthority(prefix)
	case IsNotTLS(err):
		return "the " + who + " does not speak TLS on that port: is it http, or is a proxy needed (HTTPS_PROXY)?"
	case IsClientRefused(err):
		return "the " + who + " may want to know who asks: " + prefix + "client-cert and " + prefix + "client-key name a certificate of an authority that it trusts"
	case IsTLS(err):
		return "is this the host's name as in its certificate, and does this machine's clock tell the right time?"
	case errors.Is(err, ErrProxySetting):
		return "correct HTTPS_PROXY or HTTP_PROXY"
	case IsProxyAway(err):
		return "that is the proxy that HTTPS_PROXY or HTTP_PROXY names: is it the right one? hosts that need none are named by NO_PROXY"
	case IsNoSuchHost(err):
		return HintHost
	}
	return ""
}

// HintAuthority is the next step where nobody who is trusted vouches for a server.
func HintAuthority(prefix string) string {
	return "does a proxy open TLS here, or is the authority a private one? " + prefix + "ca-file names its certificate"
}

// Steps that help in more than one place.
const (
	HintHost         = "is the host's name spelt right? " + HintProxy
	HintProxy        = "is a proxy needed? it is named by HTTPS_PROXY and HTTP_PROXY, exceptions by NO_PROXY"
	HintProxyRefuses = "the proxy that HTTPS_PROXY or HTTP_PROXY names refuses: it may want a user and a password in its URL, or not allow this host"
)

// WithoutURL drops the URL, which may hold credentials, from a url.Error.
func WithoutURL(err error) error {
	if e, ok := err.(*url.Error); ok {
		return WithoutURL(e.Err)
	}
	return err
}

// PlainReason returns an error of net/http without what may be secret in it, fit to be
// shown.
func PlainReason(err error) error {
	err = WithoutURL(err)
	switch {
	case strings.HasPrefix(err.Error(), "failed to parse Location header"):
		return &RedirectError{Reason: "the server redirects to something that is not a URL"}
	case Is[textproto.ProtocolError](err): // its text quotes header fields
		return errors.New("the answer is not HTTP")
	case errors.Is(err, net.ErrClosed): // net/http closes its end after the other side did
		return errors.New("the other side closed the connection")
	}
	if text := Printable(agent.RedactURLs(err.Error()), maxReason); text != err.Error() {
		return &cleanError{text, err}
	}
	return err
}

// maxReason bounds what is shown of an error, in characters: some quote what a server says.
const maxReason = 500

// cleanError is an error whose text quotes too much.
type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
)

const (
	// maxErrorBody bounds what is read of a refusal, maxMessage what is shown
	// of any one thing that a registry says.
	maxErrorBody = 64 << 10
	maxMessage   = 300
	// maxDiagnostics is how many of a registry's errors are shown.
	maxDiagnostics = 3
)

// statusError is an answer that is a refusal.
type statusError struct {
	code int
	// retryAfter is how long the server asks to be left alone; 0 if it says nothing.
	retryAfter time.Duration
	// host answers, which a redirect may have led to.
	host string
	// codes are the registry's own error codes, says its own words.
	codes []string
	says  string
	proxy bool
	// anonymous says that no credentials were there to send.
	anonymous bool
	// elsewhere says that it is not the registry's host that answers.
	elsewhere bool
	// greeting says that it is the answer to the first question.
	greeting bool
}

func (e *statusError) Error() string {
	who := e.host
	if e.proxy {
		who = "the proxy"
	}
	s := strings.TrimSpace(fmt.Sprintf("%s answers %d %s", who, e.code, http.StatusText(e.code)))
	if e.says != "" {
		s += " (" + e.says + ")"
	}
	return s
}

func (e *statusError) has(code transport.ErrorCode) bool {
	return slices.Contains(e.codes, string(code))
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

// IsNotFound reports whether a registry does not have what it was asked for.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && e.code == http.StatusNotFound && !e.proxy
}

// expect returns the refusal that an answer is unless its status is one of
// codes. It closes what it refuses.
func (r *Repository) expect(resp *response, codes ...int) error {
	if slices.Contains(codes, resp.StatusCode) {
		return nil
	}
	defer resp.Close()
	e := &statusError{
		code:       resp.StatusCode,
		retryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now()),
		host:       clean(resp.Request.URL.Host, maxMessage),
		anonymous:  r.anonymous,
		elsewhere:  resp.Request.URL.Host != r.host,
	}
	body, _ := io.ReadAll(io.LimitReader(resp, maxErrorBody))
	var told struct {
		Errors []transport.Diagnostic `json:"errors"`
	}
	secrets := secretsIn(resp.Request.Header.Get("Authorization"))
	if json.Unmarshal(body, &told) == nil && len(told.Errors) > 0 {
		e.diagnose(told.Errors, secrets)
	} else if mediaType(resp.Header) == "text/plain" {
		e.says = clean(hide(firstLine(string(body)), secrets), maxMessage)
	}
	return e
}

func (e *statusError) diagnose(told []transport.Diagnostic, secrets []string) {
	var says []string
	for _, d := range told[:min(len(told), maxDiagnostics)] {
		e.codes = append(e.codes, string(d.Code))
		s := string(d.Code)
		if d.Message != "" {
			s += ": " + d.Message
		}
		says = append(says, clean(hide(s, secrets), maxMessage))
	}
	e.says = strings.Join(says, "; ")
}

// libraryStatus takes over a refusal that the library met: at its first
// question, or from the token server.
func (r *Repository) libraryStatus(e *transport.Error, d *door) error {
	s := &statusError{code: e.StatusCode, host: r.name.host, anonymous: r.anonymous}
	var secrets []string
	if e.Request != nil {
		s.host = clean(e.Request.URL.Host, maxMessage)
		secrets = secretsIn(e.Request.Header.Get("Authorization"))
	}
	if d != nil {
		s.retryAfter, s.greeting = d.pauseAsked(), true
	}
	s.diagnose(e.Errors, secrets)
	return s
}

// reason returns why a request failed.
func (r *Repository) reason(resp *response, err error) error {
	if resp.parent.Err() == nil {
		if e, ok := errors.AsType[*transport.Error](err); ok {
			return r.libraryStatus(e, nil)
		}
	}
	return resp.reason(err)
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

func permanent(err error) error { return &permanentError{err} }

// localError is a failure of this machine, as of its disk, not of a registry.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

func local(err error) error {
	if err == nil {
		return nil
	}
	return &localError{err}
}

// mismatch is content that is not what its digest says.
type mismatch struct{ reason string }

func (e *mismatch) Error() string { return e.reason }

func wrongDigest(what string, got, want lock.SHA256) error {
	return &mismatch{fmt.Sprintf("%s is sha256:%s, not sha256:%s", what, got, want)}
}

// transient reports whether another attempt may succeed. Attempts are those
// made so far: a name that does not exist is a typing error, unless it existed
// a moment ago.
func transient(err error, attempts int) bool {
	if is[*permanentError](err) || is[*localError](err) || is[*fault.Error](err) || is[*mismatch](err) || is[*redirectError](err) ||
		is[*keychainError](err) || isTLS(err) || errors.Is(err, errProxySetting) || errors.Is(err, http.ErrSchemeMismatch) {
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

// failure is the error for the user, of the right kind, with the next step. A
// connection that times out is a context.DeadlineExceeded too, to [errors.Is]
// (net.timeoutError): only the context itself tells that it is done.
func (c *Client) failure(ctx context.Context, doing, host string, err error) error {
	switch {
	case is[*fault.Error](err) || ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, err)
	case is[*mismatch](err):
		return fault.New(fault.Integrity, "%s: %w", doing, err).
			WithHint("nothing was kept; something on the way, or in the registry, alters or damages content")
	}
	if e, ok := errors.AsType[*keychainError](err); ok {
		return fault.New(fault.Usage, "%s: %w", doing, err).WithHint("%s", e.hint())
	}
	if e, ok := errors.AsType[*localError](err); ok {
		return fault.New(fault.Unexpected, "%s: %w", doing, e.err)
	}
	kind, hint := c.advice(host, err)
	return fault.New(kind, "%s: %w", doing, err).WithHint("%s", hint)
}

// advice is the next step after a registry's failure, and whose the failure is.
func (c *Client) advice(host string, err error) (fault.Kind, string) {
	if e, ok := errors.AsType[*statusError](err); ok {
		if c.plainHTTP && e.greeting && e.code == http.StatusBadRequest {
			return fault.Usage, "the registry may speak https: leave out " + c.flag + "plain-http"
		}
		return fault.Upstream, e.hint(host)
	}
	switch {
	case errors.Is(err, http.ErrSchemeMismatch) || is[tls.RecordHeaderError](err):
		return fault.Usage, "the registry does not speak TLS there; if it is meant to speak http, say so with " + c.flag + "plain-http"
	case is[x509.UnknownAuthorityError](err) || is[x509.SystemRootsError](err):
		return fault.Usage, "name the authority's certificate with " + c.flag + "ca-file; " + c.flag + "insecure-skip-verify does without, and with no protection"
	case isTLS(err):
		return fault.Upstream, "is this the host's name as in its certificate, and does this machine's clock tell the right time? " + c.flag + "insecure-skip-verify does not look"
	case errors.Is(err, errInClear):
		return fault.Upstream, "correct the registry's own idea of its address; " + c.flag + "plain-http allows http"
	case is[*sessionLost](err):
		return fault.Upstream, "does the registry have several instances? all must share their storage and their http secret"
	case is[*redirectError](err):
		return fault.Upstream, "correct where the registry, or the proxy before it, leads"
	case errors.Is(err, errProxySetting):
		return fault.Usage, "correct HTTPS_PROXY or HTTP_PROXY"
	case is[*permanentError](err):
		return fault.Upstream, ""
	}
	return fault.Upstream, c.connectionHint(err)
}

func (c *Client) connectionHint(err error) string {
	const proxied = "is a proxy needed? it is named by HTTPS_PROXY and HTTP_PROXY, exceptions by NO_PROXY"
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return "is the registry's name spelt right? " + proxied
	}
	const again = "run it again: what is there is not sent again; "
	if c.plainHTTP {
		return "is the registry up, and does it speak http there? " + again + proxied
	}
	return "is the registry up? " + again + proxied
}

func (e *statusError) hint(host string) string {
	switch {
	case e.proxy || e.code == http.StatusProxyAuthRequired:
		return "the proxy that HTTPS_PROXY or HTTP_PROXY names refuses: it may want a user and a password in its URL, or not allow this host"
	case e.code == http.StatusUnauthorized && e.anonymous:
		return "no credentials are there for it: docker login " + host + " writes them to " + configPlace
	case e.code == http.StatusUnauthorized:
		return "it does not take the credentials that are there for it: docker login " + host + " replaces them in " + configPlace
	case e.code == http.StatusForbidden && e.elsewhere:
		return "the registry leads there for its content: may this machine reach that host, and does its clock tell the right time?"
	case e.code == http.StatusForbidden:
		return "the user lacks the right, or the project does not exist: ask whoever runs the registry"
	case e.code == http.StatusNotFound:
		return "is the reference spelt right, and was it pushed? a registry may also hide from a user what it does not let him see: docker login " + host
	case e.code == http.StatusRequestEntityTooLarge:
		return "a proxy before the registry limits requests: have it let larger ones through (nginx: client_max_body_size 0)"
	case e.code == http.StatusTooManyRequests:
		return "the registry limits how often it is asked: wait, lower --parallel, and run it again; what it has is not sent again"
	case e.transient():
		return "the registry is in trouble: run it again later; what it has is not sent again"
	}
	return "the registry's log tells more"
}

// clean makes what a server says fit to be shown: one line of printable
// characters, no more than so many.
func clean(s string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > most {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// hide takes credentials out of what a server says, which may repeat what it
// was sent, and has signed URLs among it without their signatures.
func hide(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "redacted")
		}
	}
	words := strings.Split(s, " ")
	for i, w := range words {
		if strings.Contains(w, "://") {
			words[i] = agent.Redact(w)
		}
	}
	return strings.Join(words, " ")
}

// secretsIn returns what must not be shown of the header field Authorization.
func secretsIn(authorization string) []string {
	scheme, value, _ := strings.Cut(authorization, " ")
	secrets := []string{authorization, value}
	if strings.EqualFold(scheme, "basic") {
		if pair, err := base64.StdEncoding.DecodeString(value); err == nil {
			_, password, _ := strings.Cut(string(pair), ":")
			secrets = append(secrets, string(pair), password)
		}
	}
	return secrets
}

// secretsOf returns what must not be shown of credentials.
func secretsOf(ctx context.Context, auth authn.Authenticator) []string {
	cfg, err := authn.Authorization(ctx, auth)
	if err != nil || cfg == nil {
		return nil
	}
	return []string{cfg.Password, cfg.Auth, cfg.IdentityToken, cfg.RegistryToken}
}

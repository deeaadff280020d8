package registry

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
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
	*transfer.StatusError
	// codes are the registry's own error codes.
	codes []string
	// anonymous says that no credentials were there to send.
	anonymous bool
	// elsewhere says that it is not the registry's host that answers.
	elsewhere bool
	// greeting says that it is the answer to the first question.
	greeting bool
}

func (e *statusError) Unwrap() error { return e.StatusError }

func (e *statusError) has(code transport.ErrorCode) bool {
	return slices.Contains(e.codes, string(code))
}

// IsNotFound reports whether a registry does not have what it was asked for.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*transfer.StatusError](err)
	return ok && e.Code == http.StatusNotFound && !e.Proxy
}

// expect returns the refusal that an answer is unless its status is one of
// codes. It closes what it refuses.
func (r *Repository) expect(resp *transfer.Response, codes ...int) error {
	if slices.Contains(codes, resp.StatusCode) {
		return nil
	}
	defer resp.Close()
	e := &statusError{
		StatusError: transfer.NewStatusError(resp.Response),
		anonymous:   r.anonymous,
		elsewhere:   resp.Request.URL.Host != r.host,
	}
	body, _ := io.ReadAll(io.LimitReader(resp, maxErrorBody))
	e.Told(resp.Header.Get("Content-Type"), string(body))
	var told struct {
		Errors []transport.Diagnostic `json:"errors"`
	}
	secrets := secretsIn(resp.Request.Header.Get("Authorization"))
	if json.Unmarshal(body, &told) == nil && len(told.Errors) > 0 {
		e.diagnose(told.Errors, secrets)
	} else if mediaType(resp.Header) == "text/plain" {
		e.Says = transfer.Printable(hide(firstLine(string(body)), secrets), maxMessage)
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
		says = append(says, transfer.Printable(hide(s, secrets), maxMessage))
	}
	e.Says = strings.Join(says, "; ")
}

// libraryStatus takes over a refusal that the library met: at its first
// question, or from the token server.
func (r *Repository) libraryStatus(e *transport.Error, d *door) error {
	s := &statusError{StatusError: &transfer.StatusError{Code: e.StatusCode, Host: r.name.host}, anonymous: r.anonymous}
	var secrets []string
	if e.Request != nil {
		s.Host = transfer.Printable(e.Request.URL.Host, maxMessage)
		secrets = secretsIn(e.Request.Header.Get("Authorization"))
	}
	if d != nil {
		s.RateLimit, s.greeting = d.lastLimit(), true
	}
	s.diagnose(e.Errors, secrets)
	s.Told("", s.Says)
	return s
}

// reason returns why a request failed.
func (r *Repository) reason(err error) error {
	if e, ok := errors.AsType[*transport.Error](err); ok {
		return r.libraryStatus(e, nil)
	}
	return plainReason(err)
}

// plainReason returns an error without what may be secret in it.
func plainReason(err error) error {
	err = transfer.PlainReason(err)
	if text := transfer.Printable(hide(firstLine(err.Error()), nil), maxMessage); text != err.Error() {
		return &cleanError{text, err}
	}
	return err
}

// cleanError is an error whose text quoted too much of what a server says: the
// library's has what a token server answers in its second line.
type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

func wrongDigest(what string, got, want lock.SHA256) error {
	return &transfer.Mismatch{Reason: fmt.Sprintf("%s is sha256:%s, not sha256:%s", what, got, want)}
}

// failure is the error for the user, of the right kind, with the next step. A
// connection that times out is a context.DeadlineExceeded too, to [errors.Is]
// (net.timeoutError): only the context itself tells that it is done.
func (c *Client) failure(ctx context.Context, doing, host string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return transfer.Failure(doing, err, "nothing was kept; something on the way, or in the registry, alters or damages content",
		func(err error) (fault.Kind, string) { return c.advice(host, err) })
}

// advice is the next step after a registry's failure, and whose the failure is.
func (c *Client) advice(host string, err error) (fault.Kind, string) {
	if e, ok := errors.AsType[*keychainError](err); ok {
		return fault.Usage, e.hint()
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		if c.plainHTTP && e.greeting && e.Code == http.StatusBadRequest {
			return fault.Usage, "the registry may speak https: leave out " + c.flag + "plain-http"
		}
		return fault.Upstream, e.hint(host)
	}
	switch {
	case transfer.Is[*transfer.StatusError](err):
		return fault.Upstream, transfer.HintProxyRefuses
	case errors.Is(err, http.ErrSchemeMismatch) || transfer.Is[tls.RecordHeaderError](err):
		return fault.Usage, "the registry does not speak TLS there; if it is meant to speak http, say so with " + c.flag + "plain-http"
	case transfer.IsUnknownAuthority(err):
		return fault.Usage, "name the authority's certificate with " + c.flag + "ca-file; " + c.flag + "insecure-skip-verify does without, and with no protection"
	case transfer.IsClientRefused(err):
		return fault.Usage, "the registry wants to know who asks: " + c.flag + "client-cert and " + c.flag + "client-key name a certificate of an authority that it trusts"
	case transfer.IsTLS(err):
		return fault.Upstream, "is this the host's name as in its certificate, and does this machine's clock tell the right time? " + c.flag + "insecure-skip-verify does not look"
	case errors.Is(err, errInClear):
		return fault.Upstream, "correct the registry's own idea of its address; " + c.flag + "plain-http allows http"
	case transfer.Is[*sessionLost](err):
		return fault.Upstream, "does the registry have several instances? all must share their storage and their http secret"
	case transfer.Is[*transfer.RedirectError](err):
		return fault.Upstream, "correct where the registry, or the proxy before it, leads"
	case errors.Is(err, transfer.ErrProxySetting):
		return fault.Usage, transfer.HintProxySetting
	case transfer.Is[*transfer.PermanentError](err):
		return fault.Upstream, ""
	}
	return fault.Upstream, c.connectionHint(err)
}

func (c *Client) connectionHint(err error) string {
	if transfer.IsProxyAway(err) {
		return transfer.HintProxyAway
	}
	if transfer.IsNoSuchHost(err) {
		return "is the registry's name spelt right? " + transfer.HintProxy
	}
	const again = "run it again when it is; "
	if c.plainHTTP {
		return "is the registry up, and does it speak http there? " + again + transfer.HintProxy
	}
	return "is the registry up? " + again + transfer.HintProxy
}

func (e *statusError) hint(host string) string {
	switch {
	case e.RateLimit.Hint() != "":
		return e.RateLimit.Hint()
	case e.Code == http.StatusProxyAuthRequired:
		return transfer.HintProxyRefuses
	case e.Code == http.StatusUnauthorized && e.anonymous:
		return "no credentials are there for it: docker login " + host + " writes them to " + configPlace
	case e.Code == http.StatusUnauthorized:
		return "it does not take the credentials that are there for it: docker login " + host + " replaces them in " + configPlace
	case e.Code == http.StatusForbidden && e.elsewhere:
		return "the registry leads there for its content: may this machine reach that host, and does its clock tell the right time?"
	case e.Code == http.StatusForbidden:
		return "the user lacks the right, or the project does not exist: ask whoever runs the registry"
	case e.Code == http.StatusNotFound:
		return "is the reference spelt right, and was it pushed? a registry may also hide from a user what it does not let him see: docker login " + host
	case e.Code == http.StatusRequestEntityTooLarge:
		return "a proxy before the registry limits requests: have it let larger ones through (nginx: client_max_body_size 0)"
	case e.Transient():
		return "the registry is in trouble: run it again later"
	}
	return "the registry's log tells more"
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
	return agent.RedactURLs(s)
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

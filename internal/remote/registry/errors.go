package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

const (
	// maxErrorBody bounds what is read of a refusal, maxMessage what is shown
	// of any one thing that a registry says.
	maxErrorBody = 64 << 10
	maxMessage   = 300
	// maxDiagnostics is how many of a registry's errors are shown.
	maxDiagnostics = 3
)

func wrongDigest(what string, got, want lock.SHA256) error {
	return damaged("%s is sha256:%s, not sha256:%s", what, got, want)
}

// damaged is the error for content that is not what it should be.
func damaged(format string, args ...any) error {
	return fault.New(fault.Integrity, format, args...).
		WithHint("nothing was kept; something on the way, or in the registry, alters or damages content")
}

// failure is the error for the user, of the right kind, with the next step. A
// connection that times out is a context.DeadlineExceeded too, to [errors.Is]
// (net.timeoutError): only the context itself tells that it is done.
func (c *Client) failure(ctx context.Context, doing, host string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return transfer.Failure(doing, err, func(err error) (fault.Kind, string) { return c.advice(host, err) })
}

// advice is the next step after a registry's failure, and whose the failure is.
func (c *Client) advice(host string, err error) (fault.Kind, string) {
	if e, ok := errors.AsType[*statusError](err); ok {
		if c.PlainHTTP && e.stage == stageGreeting && e.Code == http.StatusBadRequest {
			return fault.Usage, "the registry may speak https: leave out " + c.flag("plain-http")
		}
		return fault.Upstream, e.hint(host)
	}
	if e, ok := errors.AsType[*passing](err); ok {
		return fault.Upstream, e.hint
	}
	hint := transfer.ConnectionHint(err, "registry", c.flag(""))
	switch {
	case transfer.Is[*transfer.StatusError](err):
		return fault.Upstream, transfer.HintProxyRefuses
	case transfer.IsNotTLS(err):
		return fault.Usage, "the registry does not speak TLS there; if it is meant to speak http, say so with " + c.flag("plain-http")
	case transfer.IsUnknownAuthority(err):
		return fault.Usage, hint + "; " + c.flag("insecure-skip-verify") + " turns the check of certificates off"
	case transfer.IsTLS(err):
		return fault.Upstream, hint + " " + c.flag("insecure-skip-verify") + " turns the check of certificates off"
	case transfer.IsClientRefused(err), errors.Is(err, transfer.ErrProxySetting):
		return fault.Usage, hint
	case errors.Is(err, errInClear):
		return fault.Upstream, "correct the registry's own idea of its address, or of its token server's; " + c.flag("plain-http") + " allows http"
	case transfer.Is[*transfer.RedirectError](err):
		return fault.Upstream, "correct where the registry, or the proxy before it, leads"
	case transfer.Is[*transfer.PermanentError](err):
		return fault.Upstream, "what answers does not keep to the OCI distribution specification: is it a registry, and a recent version of it?"
	}
	if e, ok := errors.AsType[*transfer.RedirectedError](err); ok && !transfer.IsProxyAway(err) {
		hint = "the registry leads to " + transfer.Printable(e.Host, maxMessage) + ": if this machine cannot reach that, correct the address there, or have the registry pass content on itself; " + transfer.HintProxy
	}
	question := "is the registry up?"
	if c.PlainHTTP {
		question = "is the registry up, and does it speak http there?"
	}
	return fault.Upstream, cmp.Or(hint, question+" run it again when it is; "+transfer.HintProxy)
}

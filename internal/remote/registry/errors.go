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
	// maxErrorBody is how many bytes of a refusal's body are read at most, maxMessage how many
	// characters of one message are shown.
	maxErrorBody = 64 << 10
	maxMessage   = 300
	// maxDiagnostics is how many errors of one answer are shown.
	maxDiagnostics = 3
)

func wrongDigest(what string, got, want lock.SHA256) error {
	return damaged("%s is sha256:%s, not sha256:%s", what, got, want)
}

// damaged returns the error for content with a wrong size or digest.
func damaged(format string, args ...any) error {
	return fault.New(fault.Integrity, format, args...).
		WithHint("the content was not kept; ask the registry's administrator whether the registry, or a proxy before it, changes content")
}

// failure returns the error for the user, with its kind and a hint. It asks ctx, not err, whether the
// context is done: a timeout of a connection also is a context.DeadlineExceeded for [errors.Is]
// (net.timeoutError).
func (c *Client) failure(ctx context.Context, doing, host string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return transfer.Failure(doing, err, func(err error) (fault.Kind, string) { return c.advice(host, err) })
}

// advice returns the kind and the hint for a failed request.
func (c *Client) advice(host string, err error) (fault.Kind, string) {
	if e, ok := errors.AsType[*statusError](err); ok {
		if c.PlainHTTP && e.stage == stageGreeting && e.Code == http.StatusBadRequest {
			return fault.Usage, "if the registry speaks https, leave out " + c.flag("plain-http")
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
		return fault.Usage, "check the port; if the registry speaks http there, add " + c.flag("plain-http")
	case transfer.IsUnknownAuthority(err):
		return fault.Usage, hint + "\nto turn certificate checks off instead, add " + c.flag("insecure-skip-verify")
	case transfer.IsTLS(err):
		return fault.Upstream, hint + "\nto turn certificate checks off instead, add " + c.flag("insecure-skip-verify")
	case transfer.IsClientRefused(err), errors.Is(err, transfer.ErrProxySetting):
		return fault.Usage, hint
	case errors.Is(err, errInClear):
		return fault.Upstream, "configure the registry with https:// in its own address and in that of its token server; or allow http with " + c.flag("plain-http")
	case transfer.Is[*transfer.RedirectError](err):
		return fault.Upstream, "correct the redirects of the registry, or of the proxy before it"
	case transfer.Is[*transfer.PermanentError](err):
		return fault.Upstream, "check that this is a registry of a recent version: its answer breaks the OCI distribution specification"
	}
	if e, ok := errors.AsType[*transfer.RedirectedError](err); ok && !transfer.IsProxyAway(err) {
		hint = "the registry redirects to " + transfer.Printable(e.Host, maxMessage) + ": if this machine cannot reach that host, correct its address in the registry, or turn redirects to storage off there; " + transfer.HintProxy
	}
	check := "check that the registry is up"
	if c.PlainHTTP {
		check = "check that the registry is up and speaks http there"
	}
	return fault.Upstream, cmp.Or(hint, check+", then run the command again; "+transfer.HintProxy)
}

package fetch

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// IsNotFound reports whether an error says that what was asked for does not
// exist: 404 and 410 (RFC 9110, section 15.5), or a file that is not there.
func IsNotFound(err error) bool {
	if e, ok := errors.AsType[*transfer.StatusError](err); ok {
		return !e.Proxy && (e.Code == http.StatusNotFound || e.Code == http.StatusGone)
	}
	return errors.Is(err, fs.ErrNotExist)
}

// IsTooLarge reports whether an error says that a file has more bytes than are
// downloaded.
func IsTooLarge(err error) bool { return transfer.Is[*largeError](err) }

// Absence returns what a server answers to the request for a file that may or may
// not be there, if that means that it is not; or "". Servers refuse what they do not
// have with whatever status they please, with a page for people, or by a redirect to
// such a page that leads nowhere. A limit on requests, a server in trouble and a
// connection that fails say nothing of the file.
func Absence(err error) string {
	if e, ok := errors.AsType[*transfer.StatusError](err); ok {
		if e.Proxy || e.Code == http.StatusProxyAuthRequired || e.Code >= 500 || e.Transient() {
			return ""
		}
		return strings.TrimSpace(fmt.Sprintf("answers %d %s", e.Code, http.StatusText(e.Code)))
	}
	if e, ok := errors.AsType[*transfer.RedirectError](err); ok {
		return strings.TrimPrefix(e.Reason, "the server ")
	}
	switch {
	case errors.Is(err, errWebPage):
		return "answers with a web page"
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	}
	return ""
}

// unusable is content that is there and cannot be taken for what it should be.
type unusable struct{ error }

func (e *unusable) Unwrap() error { return e.error }

// IsUnusable reports whether an error is about content that is there, and not about
// how to get it.
func IsUnusable(err error) bool { return transfer.Is[*unusable](err) }

// IsUnwelcome reports whether an error says that the host of a URL itself, and not
// one to which it redirects, wants to know who asks, or lets only others in.
func IsUnwelcome(err error, u *url.URL) bool {
	e, ok := errors.AsType[*transfer.StatusError](err)
	return ok && !e.Proxy && !e.Reached && (e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden) && e.Host == u.Host
}

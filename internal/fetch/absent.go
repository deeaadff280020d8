package fetch

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"

	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
)

// IsNotFound reports whether an error says that what was asked for does not
// exist: 404 and 410 (RFC 9110, section 15.5), or a file that is not there.
func IsNotFound(err error) bool {
	if e, ok := errors.AsType[*transfer.StatusError](err); ok {
		return !e.Proxy && (e.Code == http.StatusNotFound || e.Code == http.StatusGone)
	}
	return errors.Is(err, fs.ErrNotExist)
}

// IsForbidden reports whether an error says 403, which buckets that may not be
// listed answer for what they do not have; but not a rate limit.
func IsForbidden(err error) bool {
	e, ok := errors.AsType[*transfer.StatusError](err)
	return ok && !e.Proxy && !e.Reached && e.Code == http.StatusForbidden
}

// IsRateLimit reports whether an error says that a server was asked too often,
// which tells nothing of what it has.
func IsRateLimit(err error) bool { return transfer.IsRateLimit(err) }

// IsTooLarge reports whether an error says that a file has more bytes than are
// downloaded.
func IsTooLarge(err error) bool { return transfer.Is[*largeError](err) }

// IsUnwelcome reports whether an error says that the host of a URL itself, and not
// one to which it redirects, wants to know who asks, or lets only others in.
func IsUnwelcome(err error, u *url.URL) bool {
	e, ok := errors.AsType[*transfer.StatusError](err)
	return ok && !e.Proxy && !e.Reached && (e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden) && e.Host == u.Host
}

// IsWebPage reports whether an error says that a server answered with a page
// for people, as some do for every path that they do not have.
func IsWebPage(err error) bool { return errors.Is(err, errWebPage) }

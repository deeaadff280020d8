package fetch

import (
	"errors"
	"io/fs"
	"net/http"

	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
)

// IsNotFound reports whether an error says that what was asked for does not
// exist: 404 and 410 (RFC 9110, section 15.5), or a file that is not there.
func IsNotFound(err error) bool {
	if e, ok := errors.AsType[*transfer.StatusError](err); ok {
		return e.Code == http.StatusNotFound || e.Code == http.StatusGone
	}
	return errors.Is(err, fs.ErrNotExist)
}

// IsForbidden reports whether an error says 403, which buckets that may not be
// listed answer for what they do not have.
func IsForbidden(err error) bool {
	e, ok := errors.AsType[*transfer.StatusError](err)
	return ok && e.Code == http.StatusForbidden
}

// IsWebPage reports whether an error says that a server answered with a page
// for people, as some do for every path that they do not have.
func IsWebPage(err error) bool { return errors.Is(err, errWebPage) }

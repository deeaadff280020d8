package fetch

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// failure is the error for the user, of the right kind, with the next step.
func (c *Client) failure(doing, url string, err error) error {
	what := doing + " " + agent.Redact(url)
	if instead := c.Instead(url); instead != "" {
		what += " from " + instead
	}
	err = transfer.Failure(what, err, func(err error) (fault.Kind, string) { return fault.Upstream, hint(err) })
	if hint := c.viaHint(doing, url, err); hint != "" {
		err = fault.New(fault.KindOf(err), "%w", err).WithHint("%s", hint)
	}
	return err
}

// viaHint is the next step after a failure that a rule may be to blame for, or that no rule is there.
func (c *Client) viaHint(doing, url string, err error) string {
	u := webURL(url)
	if u == nil || transfer.Is[*transfer.LocalError](err) {
		return ""
	}
	hint, status := fault.HintOf(err), &transfer.StatusError{}
	if c.cfg.Via == nil {
		if transfer.IsNoSuchHost(err) {
			return hint + "\nto download it from a repository manager: --via " + u.Scheme + "://" + u.Host + "/=URL"
		}
		return ""
	}
	refused := errors.As(err, &status) && !status.Proxy
	rule := c.cfg.Via.Hint(u)
	look := "open " + c.cfg.Via.Instead(u) + " to see what is there; " + rule
	switch {
	case rule == "" && fault.KindOf(err) == fault.Upstream && !refused && !IsUnusable(err):
		return hint + "\nno --via rule matches this URL: add one if its server cannot be reached directly"
	case rule == "", refused && status.Code == http.StatusForbidden && status.Says != "":
	case refused && (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden) && !status.Reached && status.Host == c.cfg.Via.URL(u).Host:
		return c.hintWho(c.cfg.Via.URL(u)) + "\nsome servers answer so if they do not have the file: " + look
	case IsNotFound(err) && doing != "reading" && doing != "following": // it is a plugin's
		return look + "\nif upstream does not have it either, leave the plugin out with --exclude"
	case refused && !status.Transient(), errors.Is(err, errWebPage), transfer.Is[*transfer.RedirectError](err):
		return look
	case fault.KindOf(err) == fault.Integrity, transfer.Is[*gitError](err), refused && status.Code >= http.StatusInternalServerError:
		return strings.TrimPrefix(hint+"\n"+rule, "\n")
	}
	return ""
}

// hintWho is the next step after the server of a --via rule refuses the credentials, or wants some.
func (c *Client) hintWho(asked *url.URL) string {
	if netrc, err := c.netrc(); err == nil && credentialsFor(asked, netrc) != nil {
		return asked.Host + " refused the user and password that were sent: check that they are right and not expired, and that the user may read the repository"
	}
	return fmt.Sprintf("if %s needs credentials, add a line to .netrc: machine %[1]s login USER password PASSWORD", asked.Host)
}

// hint is the next step after a server's failure.
func hint(err error) string {
	if e, ok := errors.AsType[*transfer.StatusError](err); ok {
		return statusHint(e)
	}
	switch hint := transfer.ConnectionHint(err, "server", "--"); {
	case transfer.Is[*transfer.RedirectError](err):
		return "the URL may have moved: open it elsewhere to see where it leads"
	case hint != "", transfer.Is[*transfer.PermanentError](err):
		return hint
	}
	return "run it again: it goes on where it was; " + transfer.HintProxy
}

func statusHint(e *transfer.StatusError) string {
	switch {
	case e.RateLimit.Hint() != "":
		return e.RateLimit.Hint()
	case e.Proxy || e.Code == http.StatusProxyAuthRequired:
		return transfer.HintProxyRefuses
	case (e.Host == objectStore || e.Host == googleStore) && (e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden):
		return credentialsHint(e.Host)
	case e.Host == objectStore && strings.Contains(e.Says, "the bucket is in"):
		return "the URL names another region: https://s3-REGION.amazonaws.com/BUCKET/KEY"
	case e.Code == http.StatusForbidden && e.Says != "":
		return "ask the host's administrator, and check your credentials for it (.netrc); replace a dependency with --dependency, or leave a plugin out with --exclude"
	case e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden:
		return "credentials for the host come from the URL or from .netrc (--header is for indexes only); without any, the file may be private, or gone"
	case e.Code == http.StatusNotFound || e.Code == http.StatusGone:
		return "the file is not, or no longer, there: ask whoever publishes it; a plugin can be left out with --exclude"
	case e.Transient():
		return "the server is in trouble: run it again later; it goes on where it was"
	}
	return "open the URL elsewhere to see what the server wants"
}

// credentialsHint says where the credentials for an object store come from.
func credentialsHint(store string) string {
	if store == googleStore {
		return "credentials come from where Google's tools have them: GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login; or from GOOGLE_OAUTH_ACCESS_TOKEN; without any, the file may be private, or gone"
	}
	return "credentials come from the URL, or from where AWS's tools have them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile; without any, the file may be private, or gone"
}

// IsNotFound reports whether an error says that what was asked for does not
// exist: 404 and 410 (RFC 9110, section 15.5), or a file that is not there.
func IsNotFound(err error) bool {
	if e, ok := errors.AsType[*transfer.StatusError](err); ok {
		return !e.Proxy && (e.Code == http.StatusNotFound || e.Code == http.StatusGone)
	}
	return errors.Is(err, fs.ErrNotExist)
}

// IsTooLarge reports whether an error says that a file has more bytes than are downloaded.
func IsTooLarge(err error) bool { return transfer.Is[*largeError](err) }

// Absence returns what a server answers to the request for a file, if that means that it is
// not there; or "". Servers refuse what they do not have with whatever status they please,
// with a page for people, or by a redirect to one that leads nowhere. A limit on requests,
// a server in trouble and a connection that fails say nothing of the file.
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
	case errors.Is(err, errOwnChecksum):
		return "was computed by the repository manager, not by the publisher"
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	}
	return ""
}

// unusable is content that is there and cannot be taken for what it should be.
type unusable struct{ error }

func (e *unusable) Unwrap() error { return e.error }

// IsUnusable reports whether an error is about content that is there, not about the way.
func IsUnusable(err error) bool { return transfer.Is[*unusable](err) }

// IsUnwelcome reports whether an error says that the host of a URL itself, and not
// one to which it redirects, wants to know who asks, or lets only others in.
func IsUnwelcome(err error, u *url.URL) bool {
	e, ok := errors.AsType[*transfer.StatusError](err)
	return ok && !e.Proxy && !e.Reached && (e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden) && e.Host == u.Host
}

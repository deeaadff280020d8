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

// failure returns the error for the user: "DOING URL: ERR", with its kind and a hint.
func (c *Client) failure(doing, url string, err error) error {
	what := doing + " " + agent.Redact(url)
	if instead := c.Instead(url); instead != "" {
		what += " from " + instead
	}
	err = transfer.Failure(what, err, func(err error) (fault.Kind, string) { return fault.Upstream, hint(doing, err) })
	if hint := c.viaHint(doing, url, err); hint != "" {
		err = fault.New(fault.KindOf(err), "%w", err).WithHint("%s", hint)
	}
	return err
}

// viaHint returns the hint for a failure that a --via rule may have caused, or may solve.
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
		return c.hintCredentials(c.cfg.Via.URL(u)) + "\nsome servers answer this way if they do not have the file: " + look
	case IsNotFound(err) && doing != "reading" && doing != "following": // a plugin's file
		return look + "\nif upstream does not have the file either, leave the plugin out with --exclude"
	case refused && !status.Transient(), errors.Is(err, errWebPage), transfer.Is[*transfer.RedirectError](err):
		return look
	case fault.KindOf(err) == fault.Integrity, transfer.Is[*gitError](err), refused && status.Code >= http.StatusInternalServerError:
		return strings.TrimPrefix(hint+"\n"+rule, "\n")
	}
	return ""
}

// hintCredentials returns the hint for a 401 or 403 from the server of a --via rule.
func (c *Client) hintCredentials(asked *url.URL) string {
	if netrc, err := c.netrc(); err == nil && credentialsFor(asked, netrc) != nil {
		return "check the user and the password for " + asked.Host + ": they may be wrong or expired, or the user may not read the repository"
	}
	return fmt.Sprintf("if %s needs credentials, add a line to .netrc: machine %[1]s login USER password PASSWORD", asked.Host)
}

// HintResumed is what hints say of a further run: the files that were downloaded are in the store.
const HintResumed = "it continues where it stopped"

// hint returns the next step after a server's failure. doing is that of [Client.failure].
func hint(doing string, err error) string {
	if e, ok := errors.AsType[*transfer.StatusError](err); ok {
		return statusHint(doing, e)
	}
	switch hint := transfer.ConnectionHint(err, "server", "--"); {
	case transfer.Is[*transfer.RedirectError](err):
		return "the file may have moved: open the URL in a browser to see where it leads"
	case hint != "", transfer.Is[*transfer.PermanentError](err):
		return hint
	case transfer.IsNotConnected(err):
		return "check the host and the port, and whether this network lets you connect to them; " + transfer.HintProxy
	}
	return "run the command again" + continues(doing) + "; " + transfer.HintProxy
}

// continues says that another run continues a download. Small documents are read from the start.
func continues(doing string) string {
	if doing == "downloading" {
		return ": " + HintResumed
	}
	return ""
}

func statusHint(doing string, e *transfer.StatusError) string {
	switch {
	case e.RateLimit.Hint() != "":
		return e.RateLimit.Hint()
	case e.Proxy || e.Code == http.StatusProxyAuthRequired:
		return transfer.HintProxyRefuses
	case (e.Host == objectStore || e.Host == googleStore) && (e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden):
		return credentialsHint(e.Host)
	case e.Host == objectStore && strings.Contains(e.Says, "the bucket is in"):
		return "put the bucket's region into the URL: https://s3-REGION.amazonaws.com/BUCKET/KEY"
	case e.Code == http.StatusForbidden && e.Says != "":
		return "check your credentials for the host in .netrc, and ask its administrator; or replace a dependency with --dependency, or leave a plugin out with --exclude"
	case e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden:
		return "if the file is private, put credentials for the host into .netrc (--header is for indexes only); otherwise it may have been removed"
	case e.Code == http.StatusNotFound || e.Code == http.StatusGone:
		return "check the URL: the file may have been removed; leave a plugin out with --exclude"
	case e.Transient():
		return "run the command again later" + continues(doing)
	}
	return "open the URL in a browser to see what the server expects"
}

// credentialsHint returns the hint for missing or refused credentials of an object store.
func credentialsHint(store string) string {
	if store == googleStore {
		return "if the file is private, log in with: gcloud auth application-default login; or set GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_OAUTH_ACCESS_TOKEN; otherwise it may have been removed"
	}
	return "if the file is private, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; otherwise it may have been removed"
}

// IsNotFound reports whether err means that the file does not exist: status 404 or 410 (RFC 9110,
// section 15.5), or no such file on this machine.
func IsNotFound(err error) bool {
	if e, ok := errors.AsType[*transfer.StatusError](err); ok {
		return !e.Proxy && (e.Code == http.StatusNotFound || e.Code == http.StatusGone)
	}
	return errors.Is(err, fs.ErrNotExist)
}

// IsTooLarge reports whether err means that a file is larger than [Config.MaxBytes].
func IsTooLarge(err error) bool { return transfer.Is[*largeError](err) }

// Absence returns how a server says that it does not have a file, such as "answers 404 Not Found", or
// "" if err means something else. Servers say it with many statuses, with a web page, or with a
// redirect that leads nowhere. A rate limit, a status from 500 on or a failed connection does not
// mean that the file is absent.
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

// unusable is an error about content that exists but is not what was asked for.
type unusable struct{ error }

func (e *unusable) Unwrap() error { return e.error }

// IsUnusable reports whether err is about the content, not about the server or the connection.
func IsUnusable(err error) bool { return transfer.Is[*unusable](err) }

// IsUnauthorized reports whether the host of a URL answered 401 or 403. A redirect's target does not
// count.
func IsUnauthorized(err error, u *url.URL) bool {
	e, ok := errors.AsType[*transfer.StatusError](err)
	return ok && !e.Proxy && !e.Reached && (e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden) && e.Host == u.Host
}

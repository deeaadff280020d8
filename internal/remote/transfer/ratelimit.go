package transfer

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// RateLimit is the rate limit that an answer reports.
type RateLimit struct {
	Reached    bool          // the server refuses because it got too many requests
	RetryAfter time.Duration // how long to wait; 0 if the server does not say
	Until      time.Time     // when the wait ends, by this machine's clock; zero if unknown
	declined   bool          // RetryAfter is longer than --max-wait
	quiet      bool          // the server counts refused requests, too
}

// String describes a limit that was reached.
func (l RateLimit) String() string {
	if l.Until.IsZero() {
		return "rate limit"
	}
	return "rate limit until " + clock(l.Until)
}

// clock formats a time for messages, rounded up to a second.
func clock(t time.Time) string {
	return t.Add(time.Second - 1).UTC().Truncate(time.Second).Format("2006-01-02 15:04:05 UTC")
}

// Hint returns the next step after a limit was reached, or "".
func (l RateLimit) Hint() string {
	switch {
	case l.declined:
		minutes := l.RetryAfter/time.Minute + 1
		return fmt.Sprintf("run the command again after %s, or let it wait until then: --max-wait %dm", clock(l.Until), minutes)
	case l.Reached && !l.Until.IsZero():
		return fmt.Sprintf("run the command again after %s, and send fewer requests at a time: --parallel 1", clock(l.Until))
	case l.Reached:
		return "wait some minutes, then run the command again; send fewer requests at a time: --parallel 1"
	}
	return ""
}

// newRateLimit reads the header fields of a refusal. Times are relative to the server's clock if
// the answer has a date, because this machine's clock may be wrong.
//
// A 403 is a rate limit if it asks for a pause, or says that no requests remain, as GitHub does
// (docs.github.com, Rate limits for the REST API).
func newRateLimit(code int, h http.Header, now time.Time) RateLimit {
	serverNow := now
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		serverNow = date
	}
	left, counted := remaining(h)
	wait := cmp.Or(retryAfter(h.Get("Retry-After"), serverNow), retryAfter(h.Get("X-Retry-After"), serverNow))
	l := RateLimit{Reached: code == http.StatusTooManyRequests}
	if code == http.StatusForbidden || code == http.StatusServiceUnavailable {
		l.Reached = counted && left <= 0
	}
	if code == http.StatusForbidden {
		l.Reached = l.Reached || wait > 0
	}
	// If requests remain, the reset time is that of another limit.
	if wait == 0 && l.Reached && (!counted || left <= 0) {
		wait = reset(h, serverNow)
	}
	if wait > 0 {
		l.RetryAfter, l.Until = wait, now.Add(wait)
	}
	return l
}

// maxRefusal is how many bytes of a refusal's body are read at most.
const maxRefusal = 4 << 10

// Refusal returns the answer as an error. The first call reads up to 4 KiB of the body of a 403 or
// 503.
func (r *Response) Refusal() *StatusError {
	if r.refusal != nil {
		return r.refusal
	}
	e := NewStatusError(r.Response)
	r.refusal = e
	if e.Code == http.StatusForbidden || e.Code == http.StatusServiceUnavailable {
		body, _ := io.ReadAll(io.LimitReader(r, maxRefusal))
		e.DetectRateLimit(r.Header.Get("Content-Type"), string(body))
		e.Says = r.errorMessage(body)
	}
	return e
}

// limitWords are words with which servers report a rate limit: GitHub's secondary limit, which may
// come without header fields, and the error codes of object stores, Google's APIs and registries.
var limitWords = lazyregexp.New(`(?i)rate ?limit|slow ?down|too ?many ?requests|throttl`)

// DetectRateLimit finds out from the body of a refusal whether it is a rate limit. It ignores web
// pages, because they may have any text.
func (e *StatusError) DetectRateLimit(contentType, body string) {
	limits := e.Code == http.StatusForbidden || e.Code == http.StatusServiceUnavailable
	if limits && !strings.HasPrefix(contentType, "text/html") && limitWords.MatchString(body) {
		e.quiet = e.Code == http.StatusForbidden && !e.Reached
		e.Reached = true
	}
}

// retryAfter reads a Retry-After header field: seconds or a date (RFC 9110, section 10.2.3). Docker
// Hub sends Unix time.
func retryAfter(value string, now time.Time) time.Duration {
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return seconds(value, now)
}

// remaining returns how many requests remain, if the server says so.
func remaining(h http.Header) (n int64, ok bool) {
	for _, name := range []string{"X-RateLimit-Remaining", "RateLimit-Remaining", "X-Rate-Limit-Remaining"} {
		if n, err := strconv.ParseInt(item(h.Get(name)), 10, 64); err == nil {
			return n, true
		}
	}
	if m := draftRemaining.FindStringSubmatch(h.Get("RateLimit")); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 64)
		return n, err == nil
	}
	return 0, false
}

// reset returns the time until the limit resets; 0 if the server does not say.
func reset(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"X-RateLimit-Reset", "RateLimit-Reset", "X-Rate-Limit-Reset", "RateLimit-ResetTime"} {
		if wait := retryAfter(item(h.Get(name)), now); wait > 0 {
			return wait
		}
	}
	if m := draftReset.FindStringSubmatch(h.Get("RateLimit")); m != nil {
		return seconds(m[1], now)
	}
	return 0
}

// The drafts of the field RateLimit (draft-ietf-httpapi-ratelimit-headers):
// "limit=100, remaining=0, reset=5", and later `"default";r=0;t=5`.
var (
	draftRemaining = lazyregexp.New(`(?:\bremaining|;\s*r)\s*=\s*(\d+)`)
	draftReset     = lazyregexp.New(`(?:\breset|;\s*t)\s*=\s*(\d+)`)
)

// item removes the parameters of a header field: "0;w=21600" becomes "0".
func item(value string) string {
	value, _, _ = strings.Cut(value, ";")
	return strings.TrimSpace(value)
}

const (
	// firstUnixTime is the smallest number that is read as Unix time: a time in 2001. Smaller
	// numbers are seconds to wait.
	firstUnixTime = 1e9
	firstUnixMS   = 1e12
	// maxSeconds is 30 years.
	maxSeconds = 1e9
)

// seconds reads a number of seconds, or a Unix time, perhaps in milliseconds.
func seconds(value string, now time.Time) time.Duration {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(n) {
		return 0
	}
	if n >= firstUnixMS {
		n /= 1000
	}
	if n >= firstUnixTime {
		n -= float64(now.UnixNano()) / 1e9
	}
	if n <= 0 || n > maxSeconds {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}

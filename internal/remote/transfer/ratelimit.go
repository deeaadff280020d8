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

// RateLimit is how long a server asks to be left alone.
type RateLimit struct {
	Reached    bool          // the server gives nothing because it was asked too often
	RetryAfter time.Duration // how long it asks to be left alone; 0 if it says nothing
	Until      time.Time     // when that ends, by this machine's clock; zero if it says nothing
	declined   bool          // that is longer than this side waits
	quiet      bool          // the server counts the questions that it does not answer, too
}

// String says what there is to say of a limit that was reached.
func (l RateLimit) String() string {
	if l.Until.IsZero() {
		return "rate limit"
	}
	return "rate limit, which ends at " + clock(l.Until)
}

// clock is a time as messages have it, never before the time that is meant.
func clock(t time.Time) string {
	return t.Add(time.Second - 1).UTC().Truncate(time.Second).Format("2006-01-02 15:04:05 UTC")
}

// Hint is the next step for whoever was asked to leave a server alone; or empty.
func (l RateLimit) Hint() string {
	switch {
	case l.declined:
		minutes := l.RetryAfter/time.Minute + 1
		return fmt.Sprintf("run it again after %s, or have it wait until then: --max-wait %dm", clock(l.Until), minutes)
	case l.Reached && !l.Until.IsZero():
		return fmt.Sprintf("run it again after %s; a lower --parallel asks less often", clock(l.Until))
	case l.Reached:
		return "the server limits how often it is asked: wait, lower --parallel, and run it again"
	}
	return ""
}

// newRateLimit reads the header fields of a refusal. Times count from those of
// the server's own clock, if it tells: this machine's may be wrong.
//
// A 403 is a limit if it asks for a pause, or says that nothing is left, as
// GitHub's does (docs.github.com, Rate limits for the REST API).
func newRateLimit(code int, h http.Header, now time.Time) RateLimit {
	theirs := now
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		theirs = date
	}
	left, counted := remaining(h)
	wait := cmp.Or(retryAfter(h.Get("Retry-After"), theirs), retryAfter(h.Get("X-Retry-After"), theirs))
	l := RateLimit{Reached: code == http.StatusTooManyRequests}
	if code == http.StatusForbidden || code == http.StatusServiceUnavailable {
		l.Reached = counted && left <= 0
	}
	if code == http.StatusForbidden {
		l.Reached = l.Reached || wait > 0
	}
	// Of a limit that is not the one that was reached, the reset says nothing.
	if wait == 0 && l.Reached && (!counted || left <= 0) {
		wait = reset(h, theirs)
	}
	if wait > 0 {
		l.RetryAfter, l.Until = wait, now.Add(wait)
	}
	return l
}

// maxRefusal bounds what is read of a refusal.
const maxRefusal = 4 << 10

// Refusal returns the refusal that an answer is. It reads the beginning of the body,
// when it is first called.
func (r *Response) Refusal() *StatusError {
	if r.refusal != nil {
		return r.refusal
	}
	e := NewStatusError(r.Response)
	r.refusal = e
	if e.Code == http.StatusForbidden || e.Code == http.StatusServiceUnavailable {
		body, _ := io.ReadAll(io.LimitReader(r, maxRefusal))
		e.Told(r.Header.Get("Content-Type"), string(body))
		e.Says = r.said(body)
	}
	return e
}

// limitWords are those by which servers tell of a rate limit: GitHub's second
// one, which may come without header fields, and the codes of object stores,
// of Google's APIs and of registries.
var limitWords = lazyregexp.New(`(?i)rate ?limit|slow ?down|too ?many ?requests|throttl`)

// Told takes from the body of a refusal whether it is a rate limit. A page for
// people may say anything.
func (e *StatusError) Told(contentType, body string) {
	limits := e.Code == http.StatusForbidden || e.Code == http.StatusServiceUnavailable
	if limits && !strings.HasPrefix(contentType, "text/html") && limitWords.MatchString(body) {
		e.quiet = e.Code == http.StatusForbidden && !e.Reached
		e.Reached = true
	}
}

// retryAfter reads the header field (RFC 9110, section 10.2.3): seconds or a
// date. Docker Hub, for one, gives Unix time.
func retryAfter(value string, now time.Time) time.Duration {
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return seconds(value, now)
}

// remaining returns how many more requests a server would take, if it says so.
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

// reset returns how long it takes until a limit starts anew; 0 if the server
// does not say.
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

// item drops the parameters of a field: "0;w=21600".
func item(value string) string {
	value, _, _ = strings.Cut(value, ";")
	return strings.TrimSpace(value)
}

const (
	// firstUnixTime is a number of seconds that nobody waits: it is a time,
	// of 2001 or later.
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

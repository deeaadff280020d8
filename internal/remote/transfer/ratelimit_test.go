package transfer

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2024, 1, 2, 12, 0, 0, 0, time.UTC)

func TestRetryAfterField(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "120": 2 * time.Minute, "soon": 0, "1.5": 1500 * time.Millisecond, "NaN": 0, "Inf": 0,
		"Tue, 02 Jan 2024 12:01:00 GMT":         time.Minute,
		"Tue, 02 Jan 2024 11:59:00 GMT":         0,
		fmt.Sprint(noon.Unix() + 60):            time.Minute,
		fmt.Sprint((noon.Unix() + 60) * 1000):   time.Minute,
		fmt.Sprint(noon.Unix() - 60):            0,
		"99999999999999999999":                  0,
		"999999999":                             999999999 * time.Second,
		"Mon, 02 Jan 2006 15:04:05 GMT, twice?": 0,
	} {
		if got := retryAfter(value, noon); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func fields(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	in := func(seconds int64) string { return fmt.Sprint(noon.Unix() + seconds) }
	for name, test := range map[string]struct {
		code    int
		header  http.Header
		reached bool
		wait    time.Duration
	}{
		"nothing is said":                   {403, nil, false, 0},
		"GitHub, by the hour":               {403, fields("X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", in(1800)), true, 30 * time.Minute},
		"GitHub, second limit":              {403, fields("Retry-After", "60", "X-RateLimit-Remaining", "40", "X-RateLimit-Reset", in(1800)), true, time.Minute},
		"GitHub, something is left":         {403, fields("X-RateLimit-Remaining", "59", "X-RateLimit-Reset", in(1800)), false, 0},
		"429 alone":                         {429, nil, true, 0},
		"429 with a date":                   {429, fields("Retry-After", noon.Add(time.Minute).Format(http.TimeFormat)), true, time.Minute},
		"429 with another limit's reset":    {429, fields("X-RateLimit-Remaining", "40", "X-RateLimit-Reset", in(1800)), true, 0},
		"429 with a reset alone":            {429, fields("RateLimit-Reset", "20"), true, 20 * time.Second},
		"503 with seconds":                  {503, fields("Retry-After", "7"), false, 7 * time.Second},
		"503 with nothing left":             {503, fields("RateLimit-Remaining", "0", "RateLimit-Reset", "9"), true, 9 * time.Second},
		"GitLab":                            {429, fields("RateLimit-Remaining", "0", "RateLimit-Reset", in(30), "RateLimit-ResetTime", noon.Add(time.Hour).Format(http.TimeFormat)), true, 30 * time.Second},
		"a date of reset":                   {429, fields("RateLimit-ResetTime", noon.Add(time.Hour).Format(http.TimeFormat)), true, time.Hour},
		"Docker Hub":                        {429, fields("RateLimit-Limit", "100;w=21600", "RateLimit-Remaining", "0;w=21600", "X-Retry-After", in(90)), true, 90 * time.Second},
		"milliseconds":                      {429, fields("X-RateLimit-Reset", in(12)+"000"), true, 12 * time.Second},
		"an early draft":                    {403, fields("RateLimit", "limit=100, remaining=0, reset=5"), true, 5 * time.Second},
		"a late draft":                      {403, fields("RateLimit", `"default";r=0;t=45`), true, 45 * time.Second},
		"a late draft, something left":      {403, fields("RateLimit", `"default";r=3;t=45`), false, 0},
		"a reset that is over":              {429, fields("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", in(-10)), true, 0},
		"the server's clock is an hour off": {403, fields("Date", noon.Add(time.Hour).Format(http.TimeFormat), "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", in(3660)), true, time.Minute},
		"something else":                    {404, fields("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", in(1800)), false, 0},
	} {
		got := newRateLimit(test.code, test.header, noon)
		if got.Reached != test.reached || got.RetryAfter != test.wait {
			t.Errorf("%s: %t, %s", name, got.Reached, got.RetryAfter)
		}
		if until := noon.Add(test.wait); test.wait > 0 && !got.Until.Equal(until) || test.wait == 0 && !got.Until.IsZero() {
			t.Errorf("%s: until %s", name, got.Until)
		}
	}
}

func TestRefusalThatTellsOfALimit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code       int
		kind, body string
		reached    bool
	}{
		"GitHub, without header fields": {403, "application/json; charset=utf-8", `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}`, true},
		"an object store":               {503, "application/xml", `<Error><Code>SlowDown</Code></Error>`, true},
		"a registry":                    {403, "application/json", `{"errors":[{"code":"TOOMANYREQUESTS"}]}`, true},
		"one of Google's APIs":          {403, "application/json", `{"error":{"errors":[{"reason":"userRateLimitExceeded"}]}}`, true},
		"a page for people":             {403, "text/html; charset=utf-8", `<p>Did you reach a rate limit?`, false},
		"no right":                      {403, "application/json", `{"message":"Forbidden"}`, false},
		"far down":                      {403, "text/plain", strings.Repeat("x", maxRefusal) + "rate limit", false},
		"something else":                {404, "text/plain", `rate limit`, false},
	} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://host.example/x", nil)
		resp := &http.Response{StatusCode: test.code, Header: fields("Content-Type", test.kind), Body: io.NopCloser(strings.NewReader(test.body)), Request: req}
		e := (&Response{Response: resp, watch: NewWatchdog(t.Context(), time.Minute), asked: req.URL}).Refusal()
		if e.Reached != test.reached || strings.Contains(e.Error(), "rate limit") != test.reached {
			t.Errorf("%s: %v", name, e)
		}
		if test.reached && (!e.Transient() || e.Hint() == "") {
			t.Errorf("%s: %t, %q", name, e.Transient(), e.Hint())
		}
	}
}

// A limit that counts every question is given the minute that GitHub asks for.
func TestPauseOfALimitWithoutTime(t *testing.T) {
	t.Parallel()
	all, err := pauses(t, Retry{}, nil, func(attempt int) error {
		e := &StatusError{Code: 403}
		e.DetectRateLimit("application/json", "secondary rate limit")
		if attempt < 3 {
			return e
		}
		return nil
	})
	if err != nil || len(all) != 2 || all[0] != time.Minute || all[1] != time.Minute {
		t.Errorf("%v, %v", all, err)
	}
}

func TestLimitSaysWhenItEnds(t *testing.T) {
	t.Parallel()
	e := NewRefusal("api.example", 403, fields("Retry-After", "3600"))
	e.RateLimit = newRateLimit(403, fields("Retry-After", "3600"), noon.Add(time.Millisecond))
	if want := "api.example answers 403 Forbidden: rate limit until 2024-01-02 13:00:01 UTC"; e.Error() != want {
		t.Error(e)
	}
	if hint := e.Hint(); !strings.HasPrefix(hint, "run the command again after 2024-01-02 13:00:01 UTC") || strings.Contains(hint, "--max-wait") {
		t.Error(hint)
	}
	_, err := pauses(t, Retry{}, nil, func(int) error { return e })
	if err == nil || !strings.Contains(err.Error(), "it asks to wait 1h0m0s") || Transient(err, 1) {
		t.Error(err)
	}
	if want := "run the command again after 2024-01-02 13:00:01 UTC, or let it wait until then: --max-wait 61m"; e.Hint() != want {
		t.Error(e.Hint())
	}
}

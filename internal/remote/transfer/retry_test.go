package transfer

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errMoment = errors.New("a moment's error")

// pauses returns how long retry sleeps between failures that err makes.
func pauses(t *testing.T, r Retry, reached func() int64, fail func(attempt int) error) (all []time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		attempt := 0
		tell := func(_ error, pause time.Duration) { all = append(all, pause) }
		begin, slept := time.Now(), time.Duration(0)
		err = r.Do(t.Context(), tell, reached, func() error {
			attempt++
			return fail(attempt)
		})
		for _, p := range all {
			slept += p
		}
		if d := time.Since(begin); d != slept {
			t.Errorf("slept %s, told of %s", d, slept)
		}
	})
	return all, err
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	all, err := pauses(t, Retry{Limit: 9}, nil, func(int) error { return errMoment })
	if !errors.Is(err, errMoment) || len(all) != 9 {
		t.Fatalf("%d pauses, %v", len(all), err)
	}
	for i, pause := range all {
		most := min(500*time.Millisecond<<i, 30*time.Second)
		if pause < most/2 || pause > most {
			t.Errorf("pause %d is %s, not between %s and %s", i, pause, most/2, most)
		}
	}
}

// A server that restarts is back within a minute.
func TestDefaultPatience(t *testing.T) {
	t.Parallel()
	all, err := pauses(t, Retry{}, nil, func(int) error { return errMoment })
	sum := time.Duration(0)
	for _, pause := range all {
		sum += pause
	}
	if err == nil || len(all) != DefaultRetries || sum < time.Minute || sum > 3*time.Minute {
		t.Errorf("%d pauses, %s: %v", len(all), sum, err)
	}
}

func TestOutlook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []string
		tell := func(err error, pause time.Duration) {
			if !errors.Is(err, errMoment) {
				t.Error(err)
			}
			told = append(told, err.Error())
		}
		_ = Retry{Limit: 2, Backoff: 10 * time.Second}.Do(t.Context(), tell, nil, func() error { return errMoment })
		if len(told) != 2 || !strings.Contains(told[0], "a moment's error (attempt 1 of 3; gives up in about ") || !strings.Contains(told[1], "attempt 2 of 3") {
			t.Errorf("%q", told)
		}
	})
}

func TestProgressResetsBackoff(t *testing.T) {
	t.Parallel()
	reached := int64(0)
	all, err := pauses(t, Retry{Limit: 2}, func() int64 { return reached }, func(attempt int) error {
		if attempt <= 100 {
			reached += progressBytes
		}
		return errMoment
	})
	if len(all) != 101 || !errors.Is(err, errMoment) {
		t.Fatalf("%d pauses, %v", len(all), err)
	}
	for i, pause := range all[:100] {
		if pause > 500*time.Millisecond {
			t.Errorf("pause %d is %s", i, pause)
		}
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	reached, attempts := int64(0), 0
	_, err := pauses(t, Retry{}, func() int64 { return reached }, func(int) error {
		reached += progressBytes
		attempts++
		return errMoment
	})
	if attempts != maxAttempts || err == nil {
		t.Errorf("%d attempts, %v", attempts, err)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	wait := 4 * time.Minute
	all, err := pauses(t, Retry{}, nil, func(attempt int) error {
		if attempt == 1 {
			return &StatusError{Code: 503, RateLimit: RateLimit{RetryAfter: wait}}
		}
		return nil
	})
	if err != nil || len(all) != 1 || all[0] != wait {
		t.Errorf("%v, %v", all, err)
	}
	long := func(attempt int) error {
		if attempt == 1 {
			return &StatusError{Code: 503, RateLimit: RateLimit{RetryAfter: DefaultMaxWait + 1}}
		}
		return nil
	}
	all, err = pauses(t, Retry{}, nil, long)
	if err == nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	all, err = pauses(t, Retry{MaxWait: time.Hour}, nil, long)
	if err != nil || len(all) != 1 || all[0] != DefaultMaxWait+1 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestNoRetries(t *testing.T) {
	t.Parallel()
	all, err := pauses(t, Retry{Limit: -1}, nil, func(int) error { return errMoment })
	if !errors.Is(err, errMoment) || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestNamesThatDoNotExist(t *testing.T) {
	t.Parallel()
	unknown := &url.Error{Err: &net.OpError{Err: &net.DNSError{IsNotFound: true}}}
	all, err := pauses(t, Retry{}, nil, func(int) error { return unknown })
	if err == nil || len(all) != 0 {
		t.Errorf("a typing error: %v, %v", all, err)
	}
	all, err = pauses(t, Retry{}, nil, func(attempt int) error {
		switch attempt {
		case 1:
			return errMoment
		case 2:
			return unknown
		}
		return nil
	})
	if err != nil || len(all) != 2 {
		t.Errorf("a name that was there before: %v, %v", all, err)
	}
}

func TestCancelledPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begin := time.Now()
		err := Retry{Backoff: time.Hour}.Do(ctx, nil, nil, func() error { return errMoment })
		if d := time.Since(begin); d != 100*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %s: %v", d, err)
		}
	})
}

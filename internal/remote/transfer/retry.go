package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// DefaultRetries is how many attempts in a row may fail before the last one. The pauses between
	// them add up to one to two minutes: enough for a server to restart.
	DefaultRetries = 9
	// DefaultMaxWait is the longest pause that a server may ask for.
	DefaultMaxWait = 5 * time.Minute
	// maxAttempts is the number of all attempts, with those that made progress.
	maxAttempts = 1000
	// progressBytes is how many bytes an attempt must bring so that it does not count as failed. A
	// line that drops every few megabytes still gets a file across.
	progressBytes = 256 << 10
)

// Retry says how often and after which pauses an attempt is repeated. The zero value is usable.
type Retry struct {
	// Limit is how many retries in a row may fail without progress; 0 means [DefaultRetries], a
	// negative number no retries.
	Limit int
	// Backoff is the first pause; 0 means 500 ms. Each pause is twice as long as the one before, up
	// to 60 times Backoff.
	Backoff time.Duration
	// MaxWait is the longest pause that a server may ask for; 0 means [DefaultMaxWait]. If it asks
	// for more, there is no further attempt.
	MaxWait time.Duration
}

// Do calls try until it succeeds or fails with an error that is not [Transient]. Reached returns the
// progress in bytes; nil means that an attempt has no partial progress. Tell, if not nil, gets each
// failure, with how long attempts will continue, and the pause that follows.
func (r Retry) Do(ctx context.Context, tell func(err error, pause time.Duration), reached func() int64, try func() error) error {
	if reached == nil {
		reached = func() int64 { return 0 }
	}
	high, failures := reached(), 0
	for attempts := 1; ; attempts++ {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !Transient(err, attempts) {
			return err
		}
		if now := reached(); now >= high+progressBytes {
			high, failures = now, 0
		}
		if failures++; failures > r.limit() || attempts == maxAttempts {
			if attempts > 1 {
				err = fmt.Errorf("gave up after %d attempts: %w", attempts, err)
			}
			return err
		}
		if e, ok := errors.AsType[*StatusError](err); ok && e.RetryAfter > cmp.Or(r.MaxWait, DefaultMaxWait) {
			e.declined = true
			return Permanent(fmt.Errorf("%w; it asks to wait %s", err, e.RetryAfter.Round(time.Second)))
		}
		pause := r.pause(err, failures)
		if tell != nil {
			tell(r.outlook(err, failures, pause), pause)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r Retry) limit() int { return max(cmp.Or(r.Limit, DefaultRetries), 0) }

// outlook adds to a failure how long attempts will continue.
func (r Retry) outlook(err error, failures int, pause time.Duration) error {
	for n := failures + 1; n <= r.limit(); n++ {
		pause += r.backoff(n)
	}
	return fmt.Errorf("%w (attempt %d of %d; gives up in about %s)", err, failures, r.limit()+1, max(pause.Round(time.Second), time.Second))
}

// quietFactor makes the first pause a minute long after a limit that counts refused requests, too.
// GitHub asks for a minute (docs.github.com, Best practices for using the REST API).
const quietFactor = 120

// pause returns how long to wait after that many failures in a row: what the server asks for, or
// [Retry.backoff] minus up to half of it at random, so that clients do not all return at once.
func (r Retry) pause(err error, failures int) time.Duration {
	if e, ok := errors.AsType[*StatusError](err); ok {
		switch {
		case e.RetryAfter > 0:
			return e.RetryAfter
		case e.quiet:
			return quietFactor * r.backoff(1)
		}
	}
	d := r.backoff(failures)
	return d - rand.N(d/2+1)
}

// backoff returns the longest pause after that many failures in a row.
func (r Retry) backoff(failures int) time.Duration {
	first := cmp.Or(r.Backoff, 500*time.Millisecond)
	return min(first<<min(failures-1, 10), 60*first)
}

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
	// DefaultRetries is how often in a row an attempt may fail. The pauses
	// between take one to two minutes: a server that restarts is back by then.
	DefaultRetries = 9
	// DefaultMaxWait is how long a server may ask to be left alone.
	DefaultMaxWait = 5 * time.Minute
	// maxAttempts bounds all attempts, those that brought something included.
	maxAttempts = 1000
	// progressBytes is what an attempt must bring not to count as failed: a
	// line that drops every few megabytes still gets a file across.
	progressBytes = 256 << 10
)

// Retry says how attempts are repeated.
type Retry struct {
	// Limit is how often in a row an attempt may fail that brought next to
	// nothing; 0 means [DefaultRetries], a negative number none.
	Limit int
	// Backoff is the first pause before an attempt is repeated, which doubles
	// up to 60 times itself; 0 means 500 ms.
	Backoff time.Duration
	// MaxWait is how long a server may ask to be left alone; 0 means
	// [DefaultMaxWait]. One that asks for more is left alone for good.
	MaxWait time.Duration
}

// Do calls try until it succeeds, or fails for good. Reached returns how far
// things have come, in bytes; nil stands for all or nothing. Tell, if not nil,
// is told of failures, with how long attempts will go on, and of the pause that
// follows.
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
			return Permanent(fmt.Errorf("%w, and wants to be left alone for %s", err, e.RetryAfter.Round(time.Second)))
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

// outlook says with a failure how long attempts will go on.
func (r Retry) outlook(err error, failures int, pause time.Duration) error {
	for n := failures + 1; n <= r.limit(); n++ {
		pause += r.backoff(n)
	}
	return fmt.Errorf("%w (attempt %d of %d; goes on for some %s)", err, failures, r.limit()+1, max(pause.Round(time.Second), time.Second))
}

// quietly is by how much longer than usual the first pause is after a limit
// that counts all questions: a minute, as GitHub asks for (docs.github.com,
// Best practices for using the REST API).
const quietly = 120

// pause returns how long to wait after so many failures in a row: what the
// server asks for, or twice as long each time, with up to half taken off at
// random so that many who failed together do not return together.
func (r Retry) pause(err error, failures int) time.Duration {
	if e, ok := errors.AsType[*StatusError](err); ok {
		switch {
		case e.RetryAfter > 0:
			return e.RetryAfter
		case e.quiet:
			return quietly * r.backoff(1)
		}
	}
	d := r.backoff(failures)
	return d - rand.N(d/2+1)
}

// backoff returns the longest pause after so many failures in a row.
func (r Retry) backoff(failures int) time.Duration {
	first := cmp.Or(r.Backoff, 500*time.Millisecond)
	return min(first<<min(failures-1, 10), 60*first)
}

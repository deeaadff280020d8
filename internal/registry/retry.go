package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// maxPause is how long a server may ask to be left alone.
	maxPause = 5 * time.Minute
	// maxAttempts bounds all attempts, those that brought something included.
	maxAttempts = 1000
	// progressBytes is what an attempt must bring not to count as failed: a
	// line that drops every few megabytes still gets a blob across.
	progressBytes = 256 << 10
)

// retry calls try until it succeeds, or fails for good. Reached returns how
// far things have come, in bytes; nil stands for all or nothing.
func (c *Client) retry(ctx context.Context, subject string, reached func() int64, try func() error) error {
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
		if !transient(err, attempts) {
			return err
		}
		if now := reached(); now >= high+progressBytes {
			high, failures = now, 0
		}
		if e, ok := errors.AsType[*statusError](err); ok && e.retryAfter > maxPause {
			return permanent(fmt.Errorf("%w, and wants to be left alone for %s", err, e.retryAfter.Round(time.Second)))
		}
		failures++
		if failures > c.retries || attempts == maxAttempts {
			return gaveUp(err, attempts)
		}
		pause := c.pause(err, failures)
		if c.retrying != nil {
			c.retrying(subject, err, pause)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func gaveUp(err error, attempts int) error {
	if attempts == 1 {
		return err
	}
	return fmt.Errorf("gave up after %d attempts: %w", attempts, err)
}

// pause returns how long to wait after so many failures in a row: what the
// server asks for, or twice as long each time, with up to half taken off at
// random so that many who failed together do not return together.
func (c *Client) pause(err error, failures int) time.Duration {
	if e, ok := errors.AsType[*statusError](err); ok && e.retryAfter > 0 {
		return e.retryAfter
	}
	d := min(c.backoff<<min(failures-1, 10), 60*c.backoff)
	return d - rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

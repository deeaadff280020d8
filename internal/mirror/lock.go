package mirror

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/resolve"
)

// LockOptions say what [Session.Lock] does.
type LockOptions struct {
	Selection
	// KeepGoing is as in [PullOptions].
	KeepGoing bool
}

// Lock resolves a selection and pins it. Artifacts whose digest somebody gives
// and whose size the server tells are not downloaded; the others are, into
// the store, where a later pull finds them. Configured is what the values come to,
// or nil if there are none.
func (s *Session) Lock(ctx context.Context, o LockOptions) (*lock.Lock, *Configured, error) {
	plan, configured, err := s.resolve(ctx, o.Selection)
	if err != nil {
		return nil, nil, err
	}
	failed := newFailures(o.KeepGoing)
	early, err := s.fetchTemplates(ctx, plan, failed)
	if err != nil {
		return nil, nil, err
	}
	for i, r := range early {
		s.tellFetched(plan.Lock.Artifacts[i].URL, r)
	}
	result := newResult(plan, PullOptions{})
	if err := s.probe(ctx, plan, result, failed); err != nil {
		return nil, nil, err
	}
	if err := checkRoom(s.lockNeeds(plan, result)); err != nil {
		return nil, nil, err
	}
	if err := s.pin(ctx, plan, result, failed); err != nil {
		return nil, nil, err
	}
	if err := failed.err(plan.Lock); err != nil {
		return nil, nil, err
	}
	return plan.Lock, configured, checkResult(plan.Lock)
}

// pin completes a plan's lock, with what is known and with what comes of downloads.
func (s *Session) pin(ctx context.Context, plan *resolve.Plan, result *Result, failed *failures) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Parallel)
	for i, d := range plan.Downloads {
		known := result.Artifacts[i]
		if failed.has(known.URL) {
			continue // it is known not to be there
		}
		if known.pinned() {
			sum, _ := lock.ParseSHA256(known.SHA256) // pinned has parsed it
			plan.Complete(i, fetch.Result{SHA256: sum, Size: known.Size})
			continue
		}
		group.Go(func() error {
			fetched, err := s.fetch(ctx, d, false)
			if err != nil {
				return failed.collect(ctx, known.URL, err)
			}
			plan.Complete(i, fetched)
			return nil
		})
	}
	return group.Wait()
}

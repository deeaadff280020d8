package mirror

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
)

// Lock resolves a selection and pins it. Artifacts whose digest somebody gives
// and whose size the server tells are not downloaded; the others are, into
// the store, where a later pull finds them.
func (s *Session) Lock(ctx context.Context, sel Selection) (*lock.Lock, error) {
	plan, err := s.resolve(ctx, sel)
	if err != nil {
		return nil, err
	}
	result := newResult(plan, PullOptions{})
	if err := s.probe(ctx, plan, result); err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Parallel)
	for i, d := range plan.Downloads {
		known := result.Artifacts[i]
		if sum, err := lock.ParseSHA256(known.SHA256); err == nil && known.Size > 0 {
			plan.Complete(i, fetch.Result{SHA256: sum, Size: known.Size})
			continue
		}
		group.Go(func() error {
			fetched, err := s.fetch(ctx, d, false)
			plan.Complete(i, fetched)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return plan.Lock, checkResult(plan.Lock)
}

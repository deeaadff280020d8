package mirror

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/resolve"
)

// fetchTemplates downloads templates whose files are not known yet, into the
// store, and completes the plan with them: which files a directory has follows
// from it. It returns what came of the artifacts, by their indexes. Failed, if not
// nil, collects what could not be downloaded.
func (s *Session) fetchTemplates(ctx context.Context, plan *resolve.Plan, failed *failures) (map[int]fetch.Result, error) {
	var mu sync.Mutex
	got := map[int]fetch.Result{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Parallel)
	for _, i := range plan.OpenTemplates() {
		group.Go(func() error {
			r, err := s.fetch(ctx, plan.Downloads[i], false)
			if err != nil {
				return failed.collect(ctx, plan.Lock.Artifacts[i].URL, err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[i] = r
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, r := range got {
		plan.CompleteTemplates(i, r)
	}
	return got, nil
}

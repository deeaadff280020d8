package mirror

import (
	"context"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// dispensable adds to an error how to do without templates.
func dispensable(err error) error {
	const without = "--no-exec-templates leaves them out, but where exec can neither find nor download them, each of its commands fails"
	kind, hint := fault.KindOf(err), fault.HintOf(err)
	if kind == fault.Unexpected || strings.Contains(hint, "--no-exec-templates") {
		return err
	}
	return fault.New(kind, "%w", err).WithHint("%s", strings.TrimPrefix(hint+"\n"+without, "\n"))
}

// fetchTemplates downloads templates whose files are not known yet, into the
// store, and completes the plan with them: which files a directory has follows
// from it. It returns what came of the artifacts, by their indexes, of which it does
// not tell that they came to their end. Failed, if not
// nil, collects what could not be downloaded.
func (s *Session) fetchTemplates(ctx context.Context, plan *resolve.Plan, failed *failures) (map[int]fetch.Result, error) {
	var mu sync.Mutex
	got := map[int]fetch.Result{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Parallel)
	for _, i := range plan.OpenTemplates() {
		group.Go(func() error {
			r, err := s.fetch(ctx, plan.Downloads[i], true)
			if err != nil {
				return failed.collect(ctx, plan.Lock.Artifacts[i].URL, dispensable(err))
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

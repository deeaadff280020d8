package resolve

import (
	"context"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// memberPrefetch resolves images and the chart while indexes and checksums are requested. Errors of
// plugins are reported before theirs.
type memberPrefetch struct {
	*Resolver
	sel Selection
	// plan has only members.
	plan   *Plan
	cancel context.CancelFunc
	// images and chart get one result each, maybe nil.
	images, chart chan error
}

// start begins to resolve, for the given platforms. It must be called at most once.
func (m *memberPrefetch) start(ctx context.Context, platforms []agent.Platform) {
	ctx, m.cancel = context.WithCancel(ctx)
	m.plan = &Plan{Lock: &lock.Lock{Platforms: slices.SortedFunc(slices.Values(platforms), agent.ComparePlatforms)}}
	begin := func(resolve func(context.Context, Selection, *Plan) error) chan error {
		done := make(chan error, 1)
		go func() {
			defer close(done)
			done <- resolve(ctx, m.sel, m.plan)
		}()
		return done
	}
	m.images, m.chart = begin(m.Resolver.images), begin(m.Resolver.chart)
}

// join waits for the results and adds them to a plan.
func (m *memberPrefetch) join(plan *Plan) error {
	for _, done := range []chan error{m.images, m.chart} {
		if err := <-done; err != nil {
			return err
		}
	}
	plan.ImageSources = m.plan.ImageSources
	plan.Lock.AgentImage, plan.Lock.WatcherImage, plan.Lock.Chart = m.plan.Lock.AgentImage, m.plan.Lock.WatcherImage, m.plan.Lock.Chart
	return nil
}

// stop cancels what start began, and waits until it has ended.
func (m *memberPrefetch) stop() {
	if m.cancel == nil {
		return
	}
	m.cancel()
	for range m.images {
	}
	for range m.chart {
	}
}

package resolve

import (
	"context"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// membersAhead resolves images and the chart while indexes and checksums are asked for. Their errors
// come after those of plugins, as if they were resolved last.
type membersAhead struct {
	*Resolver
	sel Selection
	// plan has only members.
	plan   *Plan
	cancel context.CancelFunc
	// images and chart have one error each, once all is known.
	images, chart chan error
}

// start is called once. The images are for platforms.
func (m *membersAhead) start(ctx context.Context, platforms []agent.Platform) {
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

// join completes a plan.
func (m *membersAhead) join(plan *Plan) error {
	for _, done := range []chan error{m.images, m.chart} {
		if err := <-done; err != nil {
			return err
		}
	}
	plan.ImageSources = m.plan.ImageSources
	plan.Lock.AgentImage, plan.Lock.WatcherImage, plan.Lock.Chart = m.plan.Lock.AgentImage, m.plan.Lock.WatcherImage, m.plan.Lock.Chart
	return nil
}

// stop ends what was started, and waits for that.
func (m *membersAhead) stop() {
	if m.cancel == nil {
		return
	}
	m.cancel()
	for range m.images {
	}
	for range m.chart {
	}
}

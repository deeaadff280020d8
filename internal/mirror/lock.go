package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// LockOptions say what [Session.Lock] does.
type LockOptions struct {
	resolve.Selection
	// KeepGoing is as in [PullOptions].
	KeepGoing bool
	// Replaces is the path of the lock that the new one will take the place of, if there is one.
	Replaces string
}

// Lock resolves a selection and pins it. It downloads only artifacts without a known digest and
// size. They go to the store, where a later pull finds them. The second result is the agent that
// the values configure, or nil without values.
func (s *Session) Lock(ctx context.Context, o LockOptions) (*lock.Lock, *configured.Agent, error) {
	o.Selection.Pin = true
	ahead := s.newPrefetcher(ctx, true)
	defer ahead.stop()
	plan, configured, err := ahead.resolve(ctx, o.Selection)
	if err != nil {
		return nil, nil, err
	}
	if err := s.warnOfLost(plan, o.Replaces); err != nil {
		return nil, nil, err
	}
	d := ahead.downloads(plan, PullOptions{KeepGoing: o.KeepGoing})
	if err := d.templates(ctx); err != nil {
		return nil, nil, err
	}
	if err := d.probe(ctx); err != nil {
		return nil, nil, err
	}
	// Only files that must be seen to be pinned are downloaded.
	if err := checkRoom([]Need{d.storeNeed(d.expectedLock(), func(a ArtifactResult) bool { return !a.pinned() })}); err != nil {
		return nil, nil, err
	}
	if err := d.pin(ctx); err != nil {
		return nil, nil, err
	}
	if err := d.incomplete(); err != nil {
		return nil, nil, err
	}
	return plan.Lock, configured, checkResult(plan.Lock)
}

// warnOfLost warns of what the lock that is replaced has and the new one has not: checksums and
// replaced dependencies. That a server cannot be asked is an error: one that is down must not turn a
// verified file into an unverified one.
func (s *Session) warnOfLost(plan *resolve.Plan, replaces string) error {
	before, err := lock.ReadFile(replaces)
	if replaces == "" || err != nil {
		return nil // what is no lock had no vouchers
	}
	s.warnOfLostReplacements(before, plan.Lock, replaces)
	var unknown []string
	for _, lost := range before.LostChecksums(plan.Lock) {
		if plan.Unasked[lost.URL] {
			unknown = append(unknown, "  "+lost.URL)
			continue
		}
		by := "the index"
		if lost.VerifiedBy == lock.ByPublisher {
			by = strings.Join(lost.VerifiedWith, " and ")
		}
		s.warn(fmt.Sprintf("unverified: no publisher checksum for %s any more: in %s, the checksum came from %s", lost.URL, replaces, by))
	}
	if len(unknown) == 0 {
		return nil
	}
	return fault.New(fault.Upstream, "%s has publishers' checksums that cannot be downloaded now:\n%s", replaces, strings.Join(unknown, "\n")).
		WithHint("run the same command again later\nto pin these files without a checksum, write the lock to another file, and compare: botkube-mirror diff OLD NEW")
}

// warnOfLostReplacements warns of dependencies that are the index's again: in the version of the
// plugin that was there before, or in one that was not.
func (s *Session) warnOfLostReplacements(before, now *lock.Lock, replaces string) {
	told := map[string]bool{}
	for _, was := range lock.ReplacedIn(before.Plugins) {
		for _, p := range now.Plugins {
			what := fmt.Sprintf("%s of %s/%s", was.Dependency, p.Repository, p.Name)
			again := p.Repository == was.Plugin.Repository && p.Name == was.Plugin.Name && !told[what] &&
				(p.Key() == was.Plugin || !slices.ContainsFunc(before.Plugins, func(o lock.Plugin) bool { return o.Key() == p.Key() })) &&
				slices.ContainsFunc(p.Builds, func(b lock.Build) bool {
					return b.Platform == was.Platform && slices.ContainsFunc(b.Dependencies, func(d lock.Dependency) bool { return d.Name == was.Dependency && d.Replaces == "" })
				})
			if again {
				told[what] = true
				s.warn(fmt.Sprintf("%s is no longer replaced: %s has %s in its place; to keep that, give --dependency again", what, replaces, was.URL))
			}
		}
	}
}

// pin completes a plan's lock, with what is known and with what comes of downloads.
func (d *downloads) pin(ctx context.Context) error {
	d.completePinned()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(d.Parallel)
	for i, download := range d.plan.Downloads {
		known := d.result.Artifacts[i]
		if d.got[i] != nil || d.hasFailed(known.URL) || known.pinned() {
			continue // it is there already, is known not to be there, or nothing more is to be known
		}
		group.Go(func() error {
			fetched, err := d.current(ctx, download)
			if err != nil {
				return d.fail(ctx, known.URL, err)
			}
			d.plan.Complete(i, fetched)
			return nil
		})
	}
	return group.Wait()
}

// completePinned adds to the lock the artifacts that have a known digest and size before a
// download.
func (d *downloads) completePinned() {
	for i, known := range d.result.Artifacts {
		if known.pinned() {
			sum, _ := lock.ParseSHA256(known.SHA256) // pinned has parsed it
			d.plan.Complete(i, fetch.Result{SHA256: sum, Size: known.Size})
		}
	}
}

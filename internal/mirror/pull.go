package mirror

import (
	"context"
	"path/filepath"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// PullOptions say what [Session.Pull] does.
type PullOptions struct {
	resolve.Selection
	WriteOptions
	// DryRun makes the plan only.
	DryRun bool
	// KeepGoing downloads all that can be had after a download failed, and then
	// fails with an [Incomplete]. No output is written.
	KeepGoing bool
}

// Pull resolves, downloads and writes. It returns what was done, or with DryRun what would
// be. Beside an [Incomplete], too, there is a result. In this order:
//
//  1. What can be known to be wrong with the options is refused.
//  2. The selection becomes a plan: a lock without the digests and sizes that are not known yet.
//     Meanwhile, templates are downloaded, because they decide which files a directory has;
//     and sizes are asked for (prefetch.go). The first artifacts are asked for, too, but their
//     content is not read before step 5 (headstart.go).
//  3. It warns of publishers' checksums that an earlier lock has, and that are gone.
//  4. Sizes are compared with the room that there is. A dry run ends here, and goes
//     without templates.
//  5. Artifacts are downloaded. As soon as the templates are there, the outputs are opened,
//     and make what they need of each artifact (fill.go). Other runs that write the same
//     outputs wait from here on.
//  6. The outputs are committed.
func (s *Session) Pull(ctx context.Context, o PullOptions) (*Result, error) {
	if err := o.check(ctx); err != nil && !(o.DryRun && len(o.Outputs) == 0) {
		return nil, err
	}
	if err := o.checkMembers(); err != nil {
		return nil, err
	}
	ahead := s.newPrefetcher(ctx, !o.DryRun)
	ahead.starting = !o.DryRun
	defer ahead.stop()
	plan, configured, err := ahead.resolve(ctx, o.Selection)
	if err != nil {
		return nil, err
	}
	if err := s.compareWritten(plan, o.Outputs); err != nil {
		return nil, err
	}
	d := ahead.downloads(plan, o)
	d.result.Values = configured
	if err := d.probe(ctx); err != nil {
		return nil, err
	}
	made := pluginsdir.Upstream{Blobs: s.Store, Memory: s.Store}
	from := form.Content{Plugins: made, Blobs: s.Store, NotUnpacked: true}
	needs := d.needs(ctx, from, o.WriteOptions)
	if o.DryRun {
		d.result.Disk = diskUses(needs)
		return d.result, d.incomplete()
	}
	if err := checkRoom(needs); err != nil {
		return nil, err
	}
	ahead.accept()
	return d.write(ctx, from, o.WriteOptions, made)
}

// checkMembers refuses what no output would hold, and leaves it out if only the lock has it.
func (o *PullOptions) checkMembers() error {
	if o.wantsMembers() || o.DryRun && len(o.Outputs) == 0 {
		return nil
	}
	if o.Members != (resolve.Members{}) {
		return fault.New(fault.Usage, "images and the chart can only be written to a bundle, but no output is a bundle").
			WithHint("add --output FILE.tar, or leave out --with-agent-image, --watcher-image and --with-chart")
	}
	o.PluginsOnly = true
	return nil
}

func (d *downloads) write(ctx context.Context, from form.Content, o WriteOptions, made pluginsdir.Upstream) (*Result, error) {
	l, result := d.plan.Lock, d.result
	outputs, err := d.fill(ctx, func(ctx context.Context) (*outputs, error) {
		if err := d.templates(ctx); err != nil {
			return nil, err
		}
		d.completePinned()
		return d.openOutputs(ctx, l, from, o)
	})
	if outputs != nil {
		defer outputs.close()
	}
	if err != nil {
		return nil, err
	}
	if err := d.incomplete(); err != nil {
		return result, err
	}
	if err := checkResult(l); err != nil {
		return nil, err
	}
	err = outputs.commit(ctx, l, d.mendAll)
	result.Outputs = outputs.results
	if err != nil {
		return result, err
	}
	result.Unfit, err = made.Unfit(l)
	return result, err
}

// compareWritten is [Session.warnOfLost] for the directories that a pull updates.
func (s *Session) compareWritten(plan *resolve.Plan, outputs []form.Target) error {
	if plan.Enforced {
		return nil
	}
	for _, o := range outputs {
		if o.LockPath == "" {
			continue
		}
		if err := s.warnOfLost(plan, filepath.Join(o.Path, filepath.FromSlash(o.LockPath))); err != nil {
			return err
		}
	}
	return nil
}

// checkResult checks a lock that is complete now.
func checkResult(l *lock.Lock) error {
	if err := l.Check(); err != nil {
		return fault.New(fault.Integrity, "the lock contradicts itself: %w", err).
			WithHint("leave one of the plugins out with --exclude")
	}
	return nil
}

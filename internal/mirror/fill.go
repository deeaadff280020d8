package mirror

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// fill downloads every artifact and, as soon as one is there, has the outputs
// make what they need of it. If the run goes on after failures, nothing is made
// before all are there: an output that cannot be completed stays as it is.
func (d *downloads) fill(ctx context.Context, outputs *outputs) error {
	order := largestFirst(d.result.Artifacts)
	members, err := d.download(ctx, order, outputs)
	if err == nil && d.keepGoing && len(d.failed) == 0 {
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(d.Parallel)
		for _, i := range order {
			group.Go(func() error { return d.add(groupCtx, outputs, i) })
		}
		err = group.Wait()
	}
	if err != nil {
		return err
	}
	for i, fetched := range d.got {
		if fetched != nil {
			d.result.fetched(i, d.plan.Lock.Artifacts[i], *fetched)
		}
	}
	d.result.FetchedBytes += members
	return nil
}

// largestFirst returns the indexes of artifacts in the order in which they are
// downloaded: the last ones are short.
func largestFirst(artifacts []ArtifactResult) []int {
	order := make([]int, len(artifacts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(artifacts[b].Size, artifacts[a].Size) })
	return order
}

// download downloads artifacts, and then the blobs of images. It returns how many bytes
// of images came over the network.
func (d *downloads) download(ctx context.Context, order []int, outputs *outputs) (int64, error) {
	var members atomic.Int64
	// What the outputs make of an artifact holds up no download.
	downloading := make(chan struct{}, d.Parallel)
	group, ctx := errgroup.WithContext(ctx)
	for _, i := range order {
		if d.hasFailed(d.plan.Lock.Artifacts[i].URL) {
			continue // it is known not to be there
		}
		downloading <- struct{}{}
		group.Go(func() error {
			err := d.artifact(ctx, i)
			<-downloading
			if err != nil {
				return d.fail(ctx, d.plan.Lock.Artifacts[i].URL, err)
			}
			if d.keepGoing {
				return nil
			}
			return d.add(ctx, outputs, i)
		})
	}
	for _, b := range d.plan.Lock.ImageBlobs() {
		downloading <- struct{}{}
		group.Go(func() error {
			source := d.plan.ImageSources[b.Role]
			n, err := d.fetchBlob(ctx, source, b.Blob)
			<-downloading
			members.Add(n)
			if err != nil {
				return d.fail(ctx, blobSubject(source, b.Blob), err)
			}
			return nil
		})
	}
	err := group.Wait()
	return members.Load(), err
}

// artifact downloads an artifact, unless it is there already.
func (d *downloads) artifact(ctx context.Context, i int) error {
	if d.got[i] != nil {
		return nil
	}
	fetched, err := d.fetch(ctx, d.plan.Downloads[i])
	if err == nil {
		d.plan.Complete(i, fetched)
		d.got[i] = &fetched
	}
	return err
}

// add has the outputs make what they need of an artifact. If that went bad in the
// store, it is downloaded again, once.
func (d *downloads) add(ctx context.Context, outputs *outputs, i int) error {
	err := outputs.add(ctx, d.plan.Lock.Artifacts[i])
	if err == nil || ctx.Err() != nil {
		return err
	}
	if mended, failure := d.mend(ctx, i); failure != nil || !mended {
		return cmp.Or(failure, err)
	}
	return outputs.add(ctx, d.plan.Lock.Artifacts[i])
}

// mend downloads an artifact that was found damaged in the store, and so removed from
// it. It reports whether it was.
func (d *downloads) mend(ctx context.Context, i int) (bool, error) {
	if _, ok := d.Store.Has(d.plan.Lock.Artifacts[i].SHA256); ok {
		return false, nil
	}
	d.got[i] = nil
	d.Observe(Event{Kind: EventRestarted, Subject: agent.Redact(d.plan.Downloads[i].URL), Detail: "its copy in the store was damaged"})
	return true, d.artifact(ctx, i)
}

// mendAll is [downloads.mend] for all that outputs are made of.
func (d *downloads) mendAll(ctx context.Context) (mended bool, err error) {
	for i := range d.plan.Lock.Artifacts {
		again, err := d.mend(ctx, i)
		if mended = mended || again; err != nil {
			return mended, err
		}
	}
	for _, b := range d.plan.Lock.ImageBlobs() {
		if _, ok := d.Store.Has(b.SHA256); ok {
			continue
		}
		mended = true
		if _, err := d.fetchBlob(ctx, d.plan.ImageSources[b.Role], b.Blob); err != nil {
			return mended, err
		}
	}
	return mended, nil
}

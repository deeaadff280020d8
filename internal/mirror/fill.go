package mirror

import (
	"cmp"
	"context"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// fill downloads every artifact. As soon as an artifact is in the store and the outputs are open,
// the outputs make their files from it. If the run goes on after failures, nothing is made before
// all are there.
func (d *downloads) fill(ctx context.Context, open func(context.Context) (*outputs, error)) (all *outputs, err error) {
	order := d.order()
	group, groupCtx := errgroup.WithContext(ctx)
	opened := make(chan struct{})
	group.Go(func() (err error) {
		if all, err = open(groupCtx); err == nil {
			close(opened)
		}
		return err
	})
	// add waits for the outputs: until they are open, no other goroutine may read the lock.
	add := func(ctx context.Context, t turn) error {
		select {
		case <-opened:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if t.blob == nil && d.got[t.artifact] != nil {
			d.plan.Complete(t.artifact, *d.got[t.artifact])
		}
		if d.keepGoing {
			return nil
		}
		if t.blob == nil {
			return d.add(ctx, all, t.artifact)
		}
		err := all.addMember(d.watched(ctx, ""), t.blob.Blob)
		if _, there := d.Store.Has(t.blob.SHA256); !there && ctx.Err() == nil {
			return nil // it was damaged: mendAll downloads it again
		}
		return err
	}
	d.download(groupCtx, group, order, add)
	err = group.Wait()
	if err == nil && d.keepGoing && len(d.failed) == 0 {
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(d.Parallel)
		for _, next := range order {
			if next.blob == nil {
				group.Go(func() error { return d.add(groupCtx, all, next.artifact) })
			}
		}
		err = group.Wait()
	}
	if err != nil {
		return all, err
	}
	for i, fetched := range d.got {
		if fetched != nil {
			d.result.fetched(i, d.plan.Lock.Artifacts[i], *fetched)
		}
	}
	d.result.FetchedBytes += d.ofImages.Load()
	return all, nil
}

// turn is a download of an artifact, or of a blob of an image, if that is not nil.
type turn struct {
	artifact int
	blob     *lock.ImageBlob
	size     int64
}

// order returns the downloads in their order. First come those that were begun, then directories,
// because they take the most requests. The largest of the rest come first, so that the last ones
// are short.
func (d *downloads) order() []turn {
	var order []turn
	for i, r := range d.plan.Downloads {
		size := d.result.Artifacts[i].Size
		switch {
		case d.isStarted(d.plan.Lock.Artifacts[i]):
			size = math.MaxInt64
		case r.Tree != "":
			size = math.MaxInt64 - 1
		}
		order = append(order, turn{artifact: i, size: size})
	}
	for _, b := range d.plan.Lock.ImageBlobs() {
		order = append(order, turn{blob: &b, size: b.Size})
	}
	slices.SortStableFunc(order, func(a, b turn) int { return cmp.Compare(b.size, a.size) })
	return order
}

// download downloads in an order, --parallel files at a time, and calls add for each. A slow add does
// not keep other files from being downloaded.
func (d *downloads) download(ctx context.Context, group *errgroup.Group, order []turn, add func(context.Context, turn) error) {
	downloading := make(chan struct{}, d.Parallel)
	for _, next := range order {
		if b := next.blob; b != nil {
			downloading <- struct{}{}
			group.Go(func() error {
				source := d.plan.ImageSources[b.Role]
				n, err := d.fetchBlob(ctx, source, b.Blob)
				<-downloading
				d.ofImages.Add(n)
				if err != nil {
					return d.fail(ctx, blobSubject(source, b.Blob), err)
				}
				return add(ctx, next)
			})
			continue
		}
		i := next.artifact
		url := agent.Redact(d.plan.Downloads[i].URL)
		if slices.Contains(d.open, i) || d.hasFailed(url) {
			continue // it comes with the outputs, or is known not to be there
		}
		// Templates do not count for --parallel: they are small, and git sends several requests for them.
		takesTurn := d.plan.Downloads[i].Tree != lock.DirArchiveYAML
		if takesTurn {
			downloading <- struct{}{}
		}
		group.Go(func() error {
			err := d.artifact(ctx, i)
			if takesTurn {
				<-downloading
			}
			if err != nil {
				return d.fail(ctx, url, err)
			}
			return add(ctx, next)
		})
	}
	for _, i := range d.open {
		group.Go(func() error { return add(ctx, turn{artifact: i}) })
	}
}

func (d *downloads) artifact(ctx context.Context, i int) error {
	if d.got[i] != nil {
		return nil
	}
	fetched, err := d.current(ctx, d.plan.Downloads[i])
	if err == nil {
		d.got[i] = &fetched
	}
	return err
}

// add has the outputs use an artifact. If it went bad in the store, it is downloaded again, once.
func (d *downloads) add(ctx context.Context, outputs *outputs, i int) error {
	watched := d.watched(ctx, "")
	err := outputs.add(watched, d.plan.Lock.Artifacts[i])
	if err == nil || ctx.Err() != nil {
		return err
	}
	if mended, failure := d.mend(ctx, i); failure != nil || !mended {
		return cmp.Or(failure, err)
	}
	return outputs.add(watched, d.plan.Lock.Artifacts[i])
}

// mend downloads an artifact again that was found damaged, and so removed from the store.
func (d *downloads) mend(ctx context.Context, i int) (bool, error) {
	if _, ok := d.Store.Has(d.plan.Lock.Artifacts[i].SHA256); ok {
		return false, nil
	}
	d.got[i] = nil
	d.Observe(Event{Kind: EventRestarted, Subject: agent.Redact(d.plan.Downloads[i].URL), Detail: "the copy in the store was damaged"})
	err := d.artifact(ctx, i)
	if err == nil {
		d.plan.Complete(i, *d.got[i])
	}
	return true, err
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

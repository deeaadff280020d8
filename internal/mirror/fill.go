package mirror

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// filling is one run of [downloads.fill].
type filling struct {
	*downloads
	outputs *outputs
	// got has what came of each artifact, nil for what failed.
	got []*fetch.Result
	// downloading bounds how many downloads are under way.
	downloading chan struct{}
	// members is how many bytes came of images.
	members atomic.Int64
}

// fill downloads every artifact and, as soon as one is there, has the outputs
// make what they need of it. If the run goes on after failures, nothing is made
// before all are there: an output that cannot be completed stays as it is.
func (d *downloads) fill(ctx context.Context, outputs *outputs) error {
	f := &filling{
		downloads: d, outputs: outputs,
		got: make([]*fetch.Result, len(d.plan.Downloads)), downloading: make(chan struct{}, d.Parallel),
	}
	order := largestFirst(d.result.Artifacts)
	err := f.download(ctx, order)
	if d.failed != nil && err == nil && d.failed.err(d.plan.Lock) == nil {
		err = f.addAll(ctx, order)
	}
	if err != nil {
		return err
	}
	for i, fetched := range f.got {
		if fetched != nil {
			d.result.fetched(i, d.plan.Lock.Artifacts[i], *fetched)
		}
	}
	d.result.FetchedBytes += f.members.Load()
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

// download downloads artifacts, and then the blobs of images.
func (f *filling) download(ctx context.Context, order []int) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, i := range order {
		if f.failed.has(f.plan.Lock.Artifacts[i].URL) {
			continue // it is known not to be there
		}
		f.downloading <- struct{}{}
		group.Go(func() error { return f.artifact(ctx, i) })
	}
	for _, b := range f.plan.Lock.ImageBlobs() {
		f.downloading <- struct{}{}
		group.Go(func() error { return f.member(ctx, b) })
	}
	return group.Wait()
}

func (f *filling) artifact(ctx context.Context, i int) error {
	fetched, there := f.early[i]
	var err error
	if there {
		f.tellFetched(f.plan.Lock.Artifacts[i].URL, fetched)
	} else {
		fetched, err = f.fetch(ctx, f.plan.Downloads[i], false)
	}
	<-f.downloading
	if err != nil {
		return f.fail(ctx, f.plan.Lock.Artifacts[i].URL, err)
	}
	f.plan.Complete(i, fetched)
	f.got[i] = &fetched
	if f.failed != nil {
		return nil
	}
	return f.addOne(ctx, i)
}

func (f *filling) member(ctx context.Context, b lock.ImageBlob) error {
	source := f.plan.ImageSources[b.Role]
	n, err := f.fetchBlob(ctx, source, b.Blob)
	<-f.downloading
	f.members.Add(n)
	return f.fail(ctx, blobSubject(source, b.Blob), err)
}

// fail tells of a failure that the run goes on after, and returns any other.
func (f *filling) fail(ctx context.Context, url string, err error) error {
	if err == nil {
		return nil
	}
	ends := f.failed.collect(ctx, url, err)
	if ends == nil {
		f.Observe(Event{Kind: EventFailed, Subject: url, Detail: err.Error()})
	}
	return ends
}

// addAll has the outputs make what they need of artifacts, all of which are there.
func (f *filling) addAll(ctx context.Context, order []int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(f.Parallel)
	for _, i := range order {
		group.Go(func() error { return f.addOne(ctx, i) })
	}
	return group.Wait()
}

func (f *filling) addOne(ctx context.Context, i int) error {
	mended, err := f.add(ctx, f.outputs, f.plan.Lock.Artifacts[i], f.plan.Downloads[i])
	if err != nil || mended == nil {
		return err
	}
	f.plan.Complete(i, *mended)
	f.got[i] = mended
	return nil
}

// add has the outputs make what they need. A blob that went bad in the store
// is fetched again, once: then it returns what came of that.
func (s *Session) add(ctx context.Context, outputs *outputs, a lock.Artifact, download fetch.Request) (mended *fetch.Result, err error) {
	err = outputs.add(ctx, a)
	if err == nil || ctx.Err() != nil {
		return nil, err
	}
	if _, ok := s.Store.Has(a.SHA256); ok {
		return nil, err
	}
	again, err := s.fetchDamaged(ctx, download)
	if err != nil {
		return nil, err
	}
	// Its size may have been damaged, too.
	a.Blob = lock.Blob{Size: again.Size, SHA256: again.SHA256}
	return &again, outputs.add(ctx, a)
}

// refetch downloads what was found damaged in the store, and so removed from it.
// It reports whether there was anything.
func (d *downloads) refetch(ctx context.Context) (bool, error) {
	plan := d.plan
	mended := false
	for i, a := range plan.Lock.Artifacts {
		if _, ok := d.Store.Has(a.SHA256); ok {
			continue
		}
		mended = true
		again, err := d.fetchDamaged(ctx, plan.Downloads[i])
		if err != nil {
			return mended, err
		}
		plan.Complete(i, again)
	}
	for _, b := range plan.Lock.ImageBlobs() {
		if _, ok := d.Store.Has(b.SHA256); ok {
			continue
		}
		mended = true
		if _, err := d.fetchBlob(ctx, plan.ImageSources[b.Role], b.Blob); err != nil {
			return mended, err
		}
	}
	return mended, nil
}

// fetchDamaged downloads what the store had, but damaged.
func (s *Session) fetchDamaged(ctx context.Context, download fetch.Request) (fetch.Result, error) {
	s.Observe(Event{Kind: EventRestarted, Subject: agent.Redact(download.URL), Detail: "its copy in the store was damaged"})
	return s.fetch(ctx, download, true)
}

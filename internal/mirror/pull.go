package mirror

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
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

// Pull resolves, fetches and writes. It returns what was done, or with DryRun
// what would be. Beside an [Incomplete], too, there is a result.
func (s *Session) Pull(ctx context.Context, o PullOptions) (*Result, error) {
	if err := o.check(); err != nil && !(o.DryRun && len(o.Outputs) == 0) {
		return nil, err
	}
	if err := o.checkMembers(); err != nil {
		return nil, err
	}
	plan, configured, err := s.resolve(ctx, o.Selection)
	if err != nil {
		return nil, err
	}
	if err := s.compareWritten(plan, o.Outputs); err != nil {
		return nil, err
	}
	failed := newFailures(o.KeepGoing)
	early := map[int]fetch.Result{}
	if !o.DryRun {
		if early, err = s.fetchTemplates(ctx, plan, failed); err != nil {
			return nil, err
		}
	}
	result := newResult(plan, o)
	result.Values = configured
	if err := s.probe(ctx, plan, result, failed); err != nil {
		return nil, err
	}
	made := pluginsdir.Upstream{Blobs: s.Store, Memory: s.Store}
	from := form.Content{Plugins: made, Blobs: s.Store, Untried: true}
	needs := s.pullNeeds(ctx, plan, result, from, o.WriteOptions)
	if o.DryRun {
		result.Disk = diskUses(needs)
		return result, result.fail(plan.Lock, failed)
	}
	if err := checkRoom(needs); err != nil {
		return nil, err
	}
	outputs, err := s.openOutputs(ctx, plan.Lock, from, o.WriteOptions)
	if err != nil {
		return nil, err
	}
	defer outputs.close()
	if err := s.fill(ctx, plan, early, outputs, result, failed); err != nil {
		return nil, err
	}
	if err := result.fail(plan.Lock, failed); err != nil {
		return result, err
	}
	if err := checkResult(plan.Lock); err != nil {
		return nil, err
	}
	err = outputs.commit(ctx, plan.Lock, func(ctx context.Context) (bool, error) { return s.refetch(ctx, plan) })
	result.Outputs = outputs.results
	if err != nil {
		return result, err
	}
	result.Unfit, err = made.Unfit(plan.Lock)
	return result, err
}

// compareWritten is [Session.compareVouchers] for the directories that a pull
// updates. A lock that is enforced vouches itself.
func (s *Session) compareWritten(plan *resolve.Plan, outputs []form.Target) error {
	if plan.Enforced {
		return nil
	}
	for _, o := range outputs {
		if o.LockPath == "" {
			continue
		}
		if err := s.compareVouchers(plan, filepath.Join(o.Path, filepath.FromSlash(o.LockPath))); err != nil {
			return err
		}
	}
	return nil
}

// checkResult checks a lock of which everything is known now.
func checkResult(l *lock.Lock) error {
	if err := l.Check(); err != nil {
		return fault.New(fault.Integrity, "what was resolved contradicts itself: %w", err).
			WithHint("leave one of the plugins out with --exclude")
	}
	return nil
}

// refetch downloads what was found damaged in the store, and so removed from it.
// It reports whether there was anything.
func (s *Session) refetch(ctx context.Context, plan *resolve.Plan) (bool, error) {
	mended := false
	for i, a := range plan.Lock.Artifacts {
		if _, ok := s.Store.Has(a.SHA256); ok {
			continue
		}
		mended = true
		again, err := s.fetchDamaged(ctx, plan.Downloads[i])
		if err != nil {
			return mended, err
		}
		plan.Complete(i, again)
	}
	for _, b := range imageBlobs(plan.Lock) {
		if _, ok := s.Store.Has(b.SHA256); ok {
			continue
		}
		mended = true
		if _, err := s.fetchBlob(ctx, plan.ImageSources[b.role], b.Blob); err != nil {
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

// filling is one run of [Session.fill].
type filling struct {
	*Session
	plan *resolve.Plan
	// early has what was downloaded to make the plan complete.
	early   map[int]fetch.Result
	outputs *outputs
	// failed, if not nil, collects what could not be downloaded.
	failed *failures
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
func (s *Session) fill(ctx context.Context, plan *resolve.Plan, early map[int]fetch.Result, outputs *outputs, result *Result, failed *failures) error {
	f := &filling{
		Session: s, plan: plan, early: early, outputs: outputs, failed: failed,
		got: make([]*fetch.Result, len(plan.Downloads)), downloading: make(chan struct{}, s.Parallel),
	}
	order := largestFirst(result.Artifacts)
	err := f.download(ctx, order)
	if failed != nil && err == nil && failed.err(plan.Lock) == nil {
		err = f.placeAll(ctx, order)
	}
	if err != nil {
		return err
	}
	for i, fetched := range f.got {
		if fetched != nil {
			result.fetched(i, plan.Lock.Artifacts[i], *fetched)
		}
	}
	result.FetchedBytes += f.members.Load()
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
	for _, b := range imageBlobs(f.plan.Lock) {
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
	return f.placeOne(ctx, i)
}

func (f *filling) member(ctx context.Context, b imageBlob) error {
	source := f.plan.ImageSources[b.role]
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

// placeAll has the outputs make what they need of artifacts, all of which are there.
func (f *filling) placeAll(ctx context.Context, order []int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(f.Parallel)
	for _, i := range order {
		group.Go(func() error { return f.placeOne(ctx, i) })
	}
	return group.Wait()
}

func (f *filling) placeOne(ctx context.Context, i int) error {
	mended, err := f.place(ctx, f.outputs, f.plan.Lock.Artifacts[i], f.plan.Downloads[i])
	if err != nil || mended == nil {
		return err
	}
	f.plan.Complete(i, *mended)
	f.got[i] = mended
	return nil
}

// place has the outputs make what they need. A blob that went bad in the store
// is fetched again, once: then it returns what came of that.
func (s *Session) place(ctx context.Context, outputs *outputs, a lock.Artifact, download fetch.Request) (mended *fetch.Result, err error) {
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

// fetch downloads one artifact, and tells of it.
func (s *Session) fetch(ctx context.Context, r fetch.Request, again bool) (fetch.Result, error) {
	url := agent.Redact(r.URL)
	tell := func(e Event) {
		e.Subject = url
		s.Observe(e)
	}
	result, err := s.Fetch.Blob(ctx, r, observer(tell))
	if err != nil {
		return result, err
	}
	if !again {
		s.tellFetched(url, result)
	}
	return result, nil
}

// tellFetched tells of a download that came to its end.
func (s *Session) tellFetched(url string, r fetch.Result) {
	kind := EventFetched
	if r.Reused {
		kind = EventReused
	}
	s.Observe(Event{Kind: kind, Subject: url, Bytes: r.Size, Total: r.Size})
}

// probe finds out the sizes of the artifacts, from the store or by asking. That
// a size cannot be had is no error, but that a file is not there or is too large
// is one: it would be later. Failed, if not nil, collects those.
func (s *Session) probe(ctx context.Context, plan *resolve.Plan, result *Result, failed *failures) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(max(s.Parallel, 8))
	for i, d := range plan.Downloads {
		group.Go(func() error {
			size, present, err := s.size(groupCtx, d)
			if err != nil && (fetch.IsNotFound(err) || fetch.IsTooLarge(err) || groupCtx.Err() != nil) {
				if err := failed.collect(groupCtx, result.Artifacts[i].URL, err); err != nil {
					return err
				}
			}
			result.Artifacts[i].Size = size
			if present {
				result.Artifacts[i].Status = StatusReused
			} else if err == nil {
				expectSize(&plan.Downloads[i], size)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	planned := Event{Kind: EventPlanned, Count: len(plan.Downloads)}
	for _, a := range result.Artifacts {
		planned.Total += max(a.Size, 0)
	}
	for _, b := range memberBlobs(plan.Lock) {
		planned.Count++
		planned.Total += b.Size
		if _, ok := s.Store.Has(b.SHA256); !ok {
			result.MemberBytes += b.Size
		}
	}
	s.Observe(planned)
	return nil
}

// expectSize has a download that nobody gives a checksum of be as long as the
// server says, for a body that ends early may look whole.
func expectSize(d *fetch.Request, size int64) {
	if len(d.Checksums) == 0 && d.SHA256 == nil && d.Size <= 0 && size > 0 {
		d.Size, d.Source = size, "the server, which was asked for the size before,"
	}
}

// size returns the size of a download in bytes, or -1, and whether the store
// has it.
func (s *Session) size(ctx context.Context, d fetch.Request) (size int64, present bool, err error) {
	for _, c := range d.Checksums {
		if sum, err := lock.ParseSHA256(c.Hex); err == nil {
			if size, ok := s.Store.Has(sum); ok {
				return size, true, nil
			}
		}
	}
	if r, ok := s.Store.URLRecord(agent.Redact(d.URL)); ok && len(d.Checksums) == 0 && d.Tree == "" {
		return r.Size, true, nil
	}
	if d.Size >= 0 || d.Tree != "" {
		return d.Size, false, nil
	}
	size, err = s.Fetch.Size(ctx, d.URL)
	if err != nil {
		return -1, false, err
	}
	return size, false, nil
}

package mirror

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// downloads are those of a pull, a lock or a listing.
type downloads struct {
	*Session
	plan   *resolve.Plan
	result *Result
	ahead  *prefetcher
	// open are the indexes of templates whose files are not known yet.
	open []int
	// got has the result of each download of the plan; nil as long as there is none.
	got []*fetch.Result
	// ofImages is how many bytes of images came over the network.
	ofImages atomic.Int64
	// keepGoing has the run go on after a failure. failed has the failures by URL.
	keepGoing bool
	mu        sync.Mutex
	failed    map[string]error
}

func (a *prefetcher) downloads(plan *resolve.Plan, o PullOptions) *downloads {
	result, from := newResult(plan, o), a.instead(plan) // also if the store has it all: the rules are used
	if o.DryRun {
		result.From = from
	}
	return &downloads{
		Session: a.Session, plan: plan, result: result, ahead: a, open: plan.OpenTemplates(),
		got: make([]*fetch.Result, len(plan.Downloads)), keepGoing: o.KeepGoing, failed: map[string]error{},
	}
}

// instead returns what is asked in the place of what a plan names, where that differs.
func (s *Session) instead(plan *resolve.Plan) map[string]string {
	from := map[string]string{}
	add := func(shown, url string) {
		if instead := s.Fetch.Instead(url); instead != "" {
			from[shown] = instead
		}
	}
	for _, r := range plan.Lock.Repositories {
		add(r.URL, r.URL)
	}
	for i, a := range plan.Lock.Artifacts {
		add(a.URL, plan.Downloads[i].URL)
	}
	for _, im := range plan.Lock.Images() {
		if instead := plan.ImageSources[im.Role].Instead(); instead != "" {
			from[im.Reference] = instead
		}
	}
	if c := plan.Lock.Chart; c != nil {
		add(c.URL, c.URL)
	}
	return from
}

// templates downloads templates whose files are not known yet, into the store, and
// completes the plan with them: which files a directory has follows from it.
func (d *downloads) templates(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(d.Parallel)
	for _, i := range d.open {
		group.Go(func() error {
			get := func() (fetch.Result, error) { return d.fetch(groupCtx, d.plan.Downloads[i]) }
			if begun, ok := d.ahead.trees[d.plan.Downloads[i].URL]; ok {
				get = begun
			}
			r, err := get()
			if err != nil {
				return d.fail(groupCtx, d.plan.Lock.Artifacts[i].URL, dispensable(err))
			}
			d.got[i] = &r
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, i := range d.open {
		if d.got[i] != nil {
			d.plan.CompleteTemplates(i, *d.got[i])
		}
	}
	return nil
}

func dispensable(err error) error {
	const without = "to leave the templates out: --no-exec-templates. But every command of exec fails if exec cannot find or download its templates"
	kind, hint := fault.KindOf(err), fault.HintOf(err)
	if kind == fault.Unexpected || strings.Contains(hint, "--no-exec-templates") {
		return err
	}
	return fault.New(kind, "%w", err).WithHint("%s", strings.TrimPrefix(hint+"\n"+without, "\n"))
}

// probe finds out the sizes of the artifacts, from the store or by asking. That a size cannot be
// had is no error, but that a file is not there or is too large is one: it would be later.
func (d *downloads) probe(ctx context.Context) error {
	plan, result := d.plan, d.result
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(d.questions())
	for i, download := range plan.Downloads {
		group.Go(func() error {
			size, present, err := d.size(groupCtx, download)
			if err != nil && (fetch.IsNotFound(err) || fetch.IsTooLarge(err) || groupCtx.Err() != nil) {
				if err := d.fail(groupCtx, result.Artifacts[i].URL, err); err != nil {
					return err
				}
			}
			result.Artifacts[i].Size = size
			if present {
				result.Artifacts[i].Status = StatusReused
			} else if d := &plan.Downloads[i]; err == nil && len(d.Checksums) == 0 && d.SHA256 == nil && d.Size <= 0 && size > 0 {
				// Without a checksum, a body that ends early could look complete.
				d.Size, d.Source = size, "the server's answer to an earlier request"
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	planned := Event{Kind: EventPlanned, Activity: Downloading}
	for i, a := range result.Artifacts {
		if d.got[i] == nil {
			planned.Count++
			planned.Total += max(a.Size, 0)
		}
	}
	for _, b := range plan.Lock.ImageBlobs() {
		planned.Count++
		planned.Total += b.Size
		if _, ok := d.Store.Has(b.SHA256); !ok {
			result.MemberBytes += b.Size
		}
	}
	d.Observe(planned)
	return nil
}

// size returns the size of a download in bytes, or -1, and whether the store has it.
func (d *downloads) size(ctx context.Context, r fetch.Request) (size int64, present bool, err error) {
	size, present, known := d.knownSize(r)
	if known {
		return size, present, nil
	}
	ask := func() (int64, error) { return d.Fetch.Size(ctx, r.URL) }
	if begun, ok := d.ahead.sizes[r.URL]; ok {
		ask = begun
	}
	if size, err = ask(); err != nil {
		size = -1
	}
	return size, false, err
}

// knownSize is [downloads.size] without a request to a server.
func (s *Session) knownSize(r fetch.Request) (size int64, present, known bool) {
	for _, c := range r.Checksums {
		if sum, err := lock.ParseSHA256(c.Hex); err == nil {
			if size, ok := s.Store.Has(sum); ok {
				return size, true, true
			}
		}
	}
	if record, ok := s.Store.URLRecord(agent.Redact(r.URL)); ok && len(r.Checksums) == 0 && r.Tree == "" {
		return record.Size, true, true
	}
	return r.Size, false, r.Size >= 0 || r.Tree != ""
}

// current is [Session.fetch], unless the server has said that the store has what there is.
func (d *downloads) current(ctx context.Context, r fetch.Request) (fetch.Result, error) {
	if asked := d.ahead.current[r.URL]; asked != nil && len(r.Checksums) == 0 {
		if result, ok := asked(); ok {
			if _, there := d.Store.Has(result.SHA256); there { // it may have been found damaged since
				d.Observe(Event{Kind: EventReused, Subject: agent.Redact(r.URL), Bytes: result.Size, Total: result.Size})
				return result, nil
			}
		}
	}
	if result, ok, err := d.wait(ctx, r); ok {
		return result, err
	}
	return d.fetch(ctx, r)
}

func (s *Session) fetch(ctx context.Context, r fetch.Request) (fetch.Result, error) {
	tell := func(e Event) {
		e.Subject = agent.Redact(r.URL)
		s.Observe(e)
	}
	result, err := s.Fetch.Blob(ctx, r, fetch.Observer{
		Waiting:  func() { tell(Waiting("")) },
		Started:  func(total int64) { tell(Event{Kind: EventStarted, Total: total, From: s.Fetch.Instead(r.URL)}) },
		Resumed:  func(offset int64) { tell(Event{Kind: EventResumed, Bytes: offset}) },
		Received: func(n int) { tell(Event{Kind: EventProgress, Bytes: int64(n)}) },
		Retrying: func(err error, pause time.Duration) {
			tell(Event{Kind: EventRetrying, Detail: err.Error(), Wait: pause})
		},
		Restarted: func(reason string) { tell(Event{Kind: EventRestarted, Detail: reason}) },
	})
	if err == nil {
		tell(Event{Kind: fetchedOr(result.Reused), Bytes: result.Size, Total: result.Size})
	}
	return result, err
}

// fetchedOr returns the kind of event for a file that was downloaded, or that the store had.
func fetchedOr(reused bool) EventKind {
	if reused {
		return EventReused
	}
	return EventFetched
}

// Waiting is the event of waiting for another run, or another part of this run, that downloads the
// same file.
func Waiting(subject string) Event {
	return Event{Kind: EventWaiting, Subject: subject, Detail: "another download of the file is running"}
}

func blobSubject(from *registry.Repository, b lock.Blob) string {
	return fmt.Sprintf("%s@%s", from.Name(), b.SHA256.OCI())
}

func (s *Session) fetchBlob(ctx context.Context, from *registry.Repository, b lock.Blob) (transferred int64, err error) {
	subject := blobSubject(from, b)
	s.Observe(Event{Kind: EventStarted, Subject: subject, Total: b.Size, From: from.Instead()})
	n, err := from.Fetch(ctx, b, s.Store, s.progressOf(subject, b.Size))
	if err == nil {
		s.Observe(Event{Kind: fetchedOr(n == 0), Subject: subject, Bytes: b.Size, Total: b.Size})
	}
	return n, err
}

func (s *Session) progressOf(subject string, total int64) func(done int64) {
	var before int64
	return func(done int64) {
		s.Observe(Event{Kind: EventProgress, Subject: subject, Bytes: done - before, Total: total})
		before = done
	}
}

package mirror

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// downloads are those of a pull or of a lock.
type downloads struct {
	*Session
	plan   *resolve.Plan
	result *Result
	// failed, if not nil, collects what could not be downloaded.
	failed *failures
	// early has what was downloaded to make the plan complete, by the indexes of artifacts.
	early map[int]fetch.Result
}

// templates downloads templates whose files are not known yet, into the store, and
// completes the plan with them: which files a directory has follows from it. It does not
// tell yet that they came to their end.
func (d *downloads) templates(ctx context.Context) error {
	var mu sync.Mutex
	d.early = map[int]fetch.Result{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(d.Parallel)
	for _, i := range d.plan.OpenTemplates() {
		group.Go(func() error {
			r, err := d.fetch(ctx, d.plan.Downloads[i], true)
			if err != nil {
				return d.failed.collect(ctx, d.plan.Lock.Artifacts[i].URL, dispensable(err))
			}
			mu.Lock()
			defer mu.Unlock()
			d.early[i] = r
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, r := range d.early {
		d.plan.CompleteTemplates(i, r)
	}
	return nil
}

// dispensable adds to an error how to leave templates out.
func dispensable(err error) error {
	const without = "--no-exec-templates leaves them out, but where exec can neither find nor download them, each of its commands fails"
	kind, hint := fault.KindOf(err), fault.HintOf(err)
	if kind == fault.Unexpected || strings.Contains(hint, "--no-exec-templates") {
		return err
	}
	return fault.New(kind, "%w", err).WithHint("%s", strings.TrimPrefix(hint+"\n"+without, "\n"))
}

// probe finds out the sizes of the artifacts, from the store or by asking. That
// a size cannot be had is no error, but that a file is not there or is too large
// is one: it would be later.
func (d *downloads) probe(ctx context.Context) error {
	plan, result := d.plan, d.result
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(max(d.Parallel, 8))
	for i, download := range plan.Downloads {
		group.Go(func() error {
			size, present, err := d.size(groupCtx, download)
			if err != nil && (fetch.IsNotFound(err) || fetch.IsTooLarge(err) || groupCtx.Err() != nil) {
				if err := d.failed.collect(groupCtx, result.Artifacts[i].URL, err); err != nil {
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

// Waiting is the event that another run, or another part of this one, is
// downloading the same.
func Waiting(subject string) Event {
	return Event{Kind: EventWaiting, Subject: subject, Detail: "another download of it is under way"}
}

// observer makes events of what a download tells.
func observer(tell func(Event)) fetch.Observer {
	return fetch.Observer{
		Waiting:  func() { tell(Waiting("")) },
		Started:  func(total int64) { tell(Event{Kind: EventStarted, Total: total}) },
		Resumed:  func(offset int64) { tell(Event{Kind: EventResumed, Bytes: offset}) },
		Received: func(n int) { tell(Event{Kind: EventProgress, Bytes: int64(n)}) },
		Retrying: func(err error, pause time.Duration) {
			tell(Event{Kind: EventRetrying, Detail: err.Error(), Wait: pause})
		},
		Restarted: func(reason string) { tell(Event{Kind: EventRestarted, Detail: reason}) },
	}
}

// blobSubject names a registry's blob.
func blobSubject(from *registry.Repository, b lock.Blob) string {
	return fmt.Sprintf("%s@%s", from.Name(), b.SHA256.OCI())
}

// fetchBlob brings a registry's blob into the store, and tells of it.
func (s *Session) fetchBlob(ctx context.Context, from *registry.Repository, b lock.Blob) (transferred int64, err error) {
	subject := blobSubject(from, b)
	s.Observe(Event{Kind: EventStarted, Subject: subject, Total: b.Size})
	n, err := from.Fetch(ctx, b, s.Store, s.progressOf(subject, b.Size))
	if err != nil {
		return n, err
	}
	kind := EventFetched
	if n == 0 {
		kind = EventReused
	}
	s.Observe(Event{Kind: kind, Subject: subject, Bytes: b.Size, Total: b.Size})
	return n, nil
}

// progressOf returns a function that is told how much of a blob is done.
func (s *Session) progressOf(subject string, total int64) func(done int64) {
	var before int64
	return func(done int64) {
		s.Observe(Event{Kind: EventProgress, Subject: subject, Bytes: done - before, Total: total})
		before = done
	}
}

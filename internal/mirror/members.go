package mirror

import (
	"context"
	"fmt"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// checkMembers refuses what no output would hold, and leaves out what a lock
// has and no output holds.
func (o *PullOptions) checkMembers() error {
	if o.wantsMembers() || o.DryRun && len(o.Outputs) == 0 {
		return nil
	}
	if o.Members != (resolve.Members{}) {
		return fault.New(fault.Usage, "images and the chart can only be put into a bundle, and no output is one").
			WithHint("add an output FILE.tar, or leave out --with-agent-image, --watcher-image and --with-chart")
	}
	o.PluginsOnly = true
	return nil
}

// blobSubject names a registry's blob.
func blobSubject(from *registry.Repository, b lock.Blob) string {
	return fmt.Sprintf("%s@%s", from.Name(), digestOf(b))
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

func digestOf(b lock.Blob) string { return "sha256:" + b.SHA256.String() }

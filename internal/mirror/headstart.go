package mirror

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// headStart is a download that is asked for while the plan is made. Its content waits until
// [prefetcher.accept], so nothing of it is written before.
type headStart struct {
	request fetch.Request
	done    chan struct{}
	result  fetch.Result
	err     error
}

// defaultPatience is how long a head start waits to be accepted: a server drops an answer that is
// not read.
const defaultPatience = 10 * time.Second

var errNotAccepted = errors.New("the plan is not complete yet")

// start asks for as many files as are downloaded at a time. It takes only files with a checksum: the
// largest ones, if sizes are known.
func (a *prefetcher) start(files []fetch.Request) {
	if !a.starting {
		return
	}
	bySize := slices.Clone(files)
	slices.SortStableFunc(bySize, func(x, y fetch.Request) int { return cmp.Compare(y.Size, x.Size) })
	for _, r := range bySize {
		key := agent.Redact(r.URL)
		_, present, _ := a.knownSize(r)
		if len(a.started) == a.Parallel || a.started[key] != nil || present || r.Tree != "" || len(r.Checksums) == 0 || !strings.HasPrefix(r.URL, "http") {
			continue
		}
		h := &headStart{request: r, done: make(chan struct{})}
		a.started[key] = h
		a.requests.Go(func() {
			defer close(h.done)
			r.Hold = a.hold
			h.result, h.err = a.fetch(a.ctx, r)
		})
	}
}

// accept lets the content of head starts flow.
func (a *prefetcher) accept() { close(a.accepted) }

func (a *prefetcher) hold(ctx context.Context) error {
	select {
	case <-a.accepted:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(a.patience):
		return errNotAccepted
	}
}

// wait returns the result of the head start for a request. It reports false if there is none that
// can be used.
func (d *downloads) wait(ctx context.Context, r fetch.Request) (result fetch.Result, ok bool, err error) {
	h := d.ahead.started[agent.Redact(r.URL)]
	if h == nil {
		return result, false, nil
	}
	select {
	case <-h.done:
	case <-ctx.Done():
		return result, true, context.Cause(ctx)
	}
	if h.err != nil {
		// URLs in a lock have no credentials.
		return result, h.request.URL == r.URL && !errors.Is(h.err, errNotAccepted), h.err
	}
	if _, there := d.Store.Has(h.result.SHA256); !there { // it may have been found damaged since
		return result, false, nil
	}
	if !slices.Equal(r.Checksums, h.request.Checksums) {
		_, err = d.Fetch.Blob(ctx, r, fetch.Observer{}) // compares the others, too
	}
	return h.result, true, err
}

// isStarted reports whether the download of an artifact has a head start.
func (d *downloads) isStarted(a lock.Artifact) bool { return d.ahead.started[a.URL] != nil }

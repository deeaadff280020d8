package mirror

import (
	"context"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// prefetcher requests what a plan will need while checksums are still being looked up: sizes,
// changes of files without a publisher's checksum, and templates. It keeps the answers.
type prefetcher struct {
	*Session
	// downloading says that it asks for changes and templates, too, not only for sizes.
	downloading bool
	ctx         context.Context
	cancel      context.CancelFunc
	requests    sync.WaitGroup
	// starting says that it begins downloads: see [prefetcher.start]. started has them by URL. They
	// wait for accepted to be closed, but no longer than patience.
	starting bool
	patience time.Duration
	started  map[string]*headStart
	accepted chan struct{}
	// asking bounds the questions at a time.
	asking chan struct{}
	// sizes, current and trees have the questions that were asked, by URL. Each function waits
	// for the answer.
	sizes   map[string]func() (int64, error)
	current map[string]func() (fetch.Result, bool)
	trees   map[string]func() (fetch.Result, error)
}

// newPrefetcher returns a prefetcher, which requests nothing before [prefetcher.collected]. The
// caller must call [prefetcher.stop].
func (s *Session) newPrefetcher(ctx context.Context, downloading bool) *prefetcher {
	a := &prefetcher{
		Session: s, downloading: downloading, asking: make(chan struct{}, s.questions()),
		started: map[string]*headStart{}, accepted: make(chan struct{}), patience: defaultPatience,
		sizes: map[string]func() (int64, error){}, current: map[string]func() (fetch.Result, bool){}, trees: map[string]func() (fetch.Result, error){},
	}
	a.ctx, a.cancel = context.WithCancel(ctx)
	return a
}

func (a *prefetcher) stop() {
	a.cancel()
	a.requests.Wait()
}

// collected is called with the files of a plan that is not complete yet.
func (a *prefetcher) collected(files []fetch.Request) {
	a.start(files)
	for _, r := range files {
		_, _, known := a.knownSize(r)
		switch {
		case r.Tree == lock.DirArchiveYAML && a.downloading && r.Size < 0:
			a.trees[r.URL] = begin(a, func() (fetch.Result, error) { return a.fetch(a.ctx, r) })
		case !known:
			a.sizes[r.URL] = begin(a, func() (int64, error) {
				a.asking <- struct{}{}
				defer func() { <-a.asking }()
				return a.Fetch.Size(a.ctx, r.URL)
			})
		case a.downloading && r.Tree == "" && len(r.Checksums) == 0:
			a.current[r.URL] = begin(a, func() (fetch.Result, bool) {
				a.asking <- struct{}{}
				defer func() { <-a.asking }()
				return a.Fetch.Current(a.ctx, r.URL)
			})
		}
	}
}

// begin calls a function, and returns one that waits for what it returns.
func begin[T, Second any](a *prefetcher, f func() (T, Second)) func() (T, Second) {
	once := sync.OnceValues(f)
	a.requests.Go(func() { _, _ = once() })
	return once
}

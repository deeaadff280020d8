package mirror

import (
	"cmp"
	"context"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/project/cache"
	"github.com/botkube-mirror/botkube-mirror/internal/project/dir"
	"github.com/botkube-mirror/botkube-mirror/internal/resolve"
)

// PullOptions say what [Session.Pull] does.
type PullOptions struct {
	Selection
	Outputs []Target
	// Mount is where the agent sees a directory.
	Mount string
	// DryRun makes the plan only.
	DryRun bool
}

// Pull resolves, fetches and writes. It returns what was done, or with DryRun
// what would be.
func (s *Session) Pull(ctx context.Context, o PullOptions) (*Result, error) {
	if len(o.Outputs) == 0 && !o.DryRun {
		return nil, fault.New(fault.Usage, "no output is given").WithHint("name a directory with --output")
	}
	if err := cache.CheckMount(o.Mount); err != nil {
		return nil, err
	}
	plan, err := s.resolve(ctx, o.Selection)
	if err != nil {
		return nil, err
	}
	result := newResult(plan, o)
	if err := s.probe(ctx, plan, result); err != nil || o.DryRun {
		return result, err
	}
	writers, err := s.open(ctx, plan, o)
	if err != nil {
		return nil, err
	}
	defer closeAll(writers)
	if err := s.fill(ctx, plan, writers, result); err != nil {
		return nil, err
	}
	return result, s.commit(ctx, plan, writers, o, result)
}

// commit completes the outputs.
func (s *Session) commit(ctx context.Context, plan *resolve.Plan, writers []*dir.Writer, o PullOptions, result *Result) error {
	if err := plan.Lock.Check(); err != nil {
		return fault.New(fault.Integrity, "what was pulled contradicts itself: %w", err).
			WithHint("leave one of the plugins out with --exclude")
	}
	for i, w := range writers {
		// Once it has begun, it is better brought to its end.
		written, err := w.Commit(context.WithoutCancel(ctx), plan.Lock)
		if err != nil {
			return err
		}
		result.Outputs[i].Changed = result.Outputs[i].Changed || written
		if err := s.keep(o.Outputs[i].Path, plan.Lock); err != nil {
			return err
		}
		s.Observe(Event{Kind: EventCompleted, Subject: o.Outputs[i].Path})
	}
	return nil
}

// keep remembers what an output is made of, so that a sweep of the store
// spares it as long as the output is there.
func (s *Session) keep(output string, l *lock.Lock) error {
	abs, err := filepath.Abs(output)
	if err != nil {
		return err
	}
	data, err := l.Marshal()
	if err != nil {
		return err
	}
	return s.Store.SetRoot(abs, data)
}

// open opens the outputs, in the order of their paths, so that two runs that
// share several do not wait for each other.
func (s *Session) open(ctx context.Context, plan *resolve.Plan, o PullOptions) ([]*dir.Writer, error) {
	order, err := openingOrder(o.Outputs)
	if err != nil {
		return nil, err
	}
	writers := make([]*dir.Writer, len(o.Outputs))
	for _, i := range order {
		writers[i], err = dir.Open(ctx, o.Outputs[i].Path, plan.Lock, dir.Options{
			Mount: o.Mount, Source: cache.Upstream{Blobs: s.Store, Memory: s.Store},
			Waiting: func(path string) {
				s.Observe(Event{Kind: EventWaiting, Subject: path, Detail: "another run writes it"})
			},
		})
		if err != nil {
			closeAll(writers)
			return nil, err
		}
	}
	return writers, nil
}

// openingOrder returns the indexes of the outputs by their paths, which must differ.
func openingOrder(outputs []Target) ([]int, error) {
	paths := make([]string, len(outputs))
	order := make([]int, len(outputs))
	for i, target := range outputs {
		real, err := realPath(target.Path)
		if err != nil {
			return nil, fault.New(fault.Usage, "the output %s: %w", target.Path, err)
		}
		for j, other := range paths[:i] {
			switch {
			case real == other:
				return nil, fault.New(fault.Usage, "the output %s is given twice", target.Path)
			case within(real, other) || within(other, real):
				return nil, fault.New(fault.Usage, "of the outputs %s and %s, one lies in the other", target.Path, outputs[j].Path)
			}
		}
		paths[i], order[i] = real, i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(paths[a], paths[b]) })
	return order, nil
}

// realPath follows the links in the part of a path that exists.
func realPath(p string) (string, error) {
	abs, err := filepath.Abs(p)
	if err != nil {
		return "", err
	}
	for dir, rest := abs, ""; ; dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest), nil
		}
		if dir == filepath.Dir(dir) {
			return abs, nil
		}
	}
}

func within(p, dir string) bool {
	rel, err := filepath.Rel(dir, p)
	return err == nil && filepath.IsLocal(rel)
}

func closeAll(writers []*dir.Writer) {
	for _, w := range writers {
		if w != nil {
			w.Close()
		}
	}
}

// placement is a file of an output that is made of an artifact.
type placement struct {
	output   int
	writer   *dir.Writer
	platform agent.Platform
	file     lock.File
}

// placements lists what each artifact is needed for, by URL.
func placements(plan *resolve.Plan, writers []*dir.Writer) map[string][]placement {
	needed := map[string][]placement{}
	for i, w := range writers {
		for _, p := range plan.Lock.Platforms {
			for _, f := range plan.Lock.Files(p) {
				needed[f.Artifact.URL] = append(needed[f.Artifact.URL], placement{i, w, p, f})
			}
		}
	}
	return needed
}

// fill downloads every artifact and, as soon as one is there, makes the files
// of it. The largest go first, so that the last ones are short.
func (s *Session) fill(ctx context.Context, plan *resolve.Plan, writers []*dir.Writer, result *Result) error {
	needed := placements(plan, writers)
	order := make([]int, len(plan.Downloads))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(result.Artifacts[b].Size, result.Artifacts[a].Size) })

	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	downloading := make(chan struct{}, s.Parallel)
	// Unpacking is bound by the processor, so it has a bound of its own and
	// holds up no download.
	unpacking := make(chan struct{}, runtime.GOMAXPROCS(0))
	place := func(p placement, d fetch.Request) error {
		unpacking <- struct{}{}
		defer func() { <-unpacking }()
		written, err := s.place(ctx, p, d)
		mu.Lock()
		defer mu.Unlock()
		result.Outputs[p.output].Changed = result.Outputs[p.output].Changed || written
		return err
	}
	finish := func(i int) error {
		fetched, err := s.fetch(ctx, plan.Downloads[i], false)
		<-downloading
		if err != nil {
			return err
		}
		plan.Complete(i, fetched)
		mu.Lock()
		result.fetched(i, plan.Lock.Artifacts[i], fetched)
		mu.Unlock()
		for _, p := range needed[plan.Lock.Artifacts[i].URL] {
			p.file.Artifact.Blob = plan.Lock.Artifacts[i].Blob
			if err := place(p, plan.Downloads[i]); err != nil {
				return err
			}
		}
		return nil
	}
	for _, i := range order {
		downloading <- struct{}{}
		group.Go(func() error { return finish(i) })
	}
	return group.Wait()
}

// place makes one file. A blob that went bad in the store is fetched again, once.
func (s *Session) place(ctx context.Context, p placement, download fetch.Request) (bool, error) {
	written, err := p.writer.Place(ctx, p.platform, p.file)
	if err != nil && ctx.Err() == nil {
		if _, ok := s.Store.Has(p.file.Artifact.SHA256); !ok {
			s.Observe(Event{Kind: EventRestarted, Subject: agent.Redact(download.URL), Detail: "its copy in the store was damaged"})
			if _, err := s.fetch(ctx, download, true); err != nil {
				return false, err
			}
			written, err = p.writer.Place(ctx, p.platform, p.file)
		}
	}
	if written {
		s.Observe(Event{Kind: EventWritten, Subject: path.Join(p.platform.String(), p.file.Path)})
	}
	return written, err
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
	kind := EventFetched
	if result.Reused {
		kind = EventReused
	}
	if !again {
		tell(Event{Kind: kind, Bytes: result.Size, Total: result.Size})
	}
	return result, nil
}

// probe finds out the sizes of the artifacts, from the store or by asking. That
// a size cannot be had is no error, but that a file is not there is one: it
// would be later.
func (s *Session) probe(ctx context.Context, plan *resolve.Plan, result *Result) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(max(s.Parallel, 8))
	for i, d := range plan.Downloads {
		group.Go(func() error {
			size, present, err := s.size(groupCtx, d)
			if err != nil && (fetch.IsNotFound(err) || groupCtx.Err() != nil) {
				return err
			}
			result.Artifacts[i].Size = size
			if present {
				result.Artifacts[i].Status = StatusReused
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
	s.Observe(planned)
	return nil
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
	if r, ok := s.Store.URLRecord(agent.Redact(d.URL)); ok && len(d.Checksums) == 0 {
		return r.Size, true, nil
	}
	if d.Size >= 0 {
		return d.Size, false, nil
	}
	size, err = s.Fetch.Size(ctx, d.URL)
	if err != nil {
		return -1, false, err
	}
	return size, false, nil
}

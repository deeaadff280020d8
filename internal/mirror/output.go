package mirror

import (
	"cmp"
	"context"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// WriteOptions say what is written, and how.
type WriteOptions struct {
	Outputs []form.Target
	form.WriteOptions
}

func (o WriteOptions) has(sort func(form.Target) bool) bool {
	return slices.ContainsFunc(o.Outputs, sort)
}

// wantsMembers reports whether an output can hold more than plugins.
func (o WriteOptions) wantsMembers() bool {
	return o.has(func(t form.Target) bool { return t.Members })
}

// check reports what can be known to be wrong before anything is read.
func (o WriteOptions) check(ctx context.Context) error {
	switch {
	case len(o.Outputs) == 0:
		return fault.New(fault.Usage, "the output is missing").WithHint("give a directory or a bundle with --output DIR or --output FILE.tar")
	case o.BaseURL != "" && !o.has(func(t form.Target) bool { return t.TakesBaseURL }):
		return fault.New(fault.Usage, "--base-url is only for a site, but no output is a site").WithHint("add --output site:DIR, or leave out --base-url")
	case (o.Seeders.None || len(o.Seeders.Given) > 0) && !o.has(func(t form.Target) bool { return t.TakesSeeders }):
		return fault.New(fault.Usage, "--seeder is only for an image, but no output is an image").WithHint("add --output image:FILE.tar, or leave out --seeder")
	}
	if err := pluginsdir.CheckMount(o.Mount); err != nil {
		return err
	}
	for _, target := range o.Outputs {
		if err := target.Check(ctx, target.Path, o.WriteOptions); err != nil {
			return err
		}
	}
	_, err := openingOrder(o.Outputs)
	return err
}

// writeOptions has what happens while something is written told of in events.
func (s *Session) writeOptions(o form.WriteOptions) form.WriteOptions {
	o.Waiting = s.waiting
	o.Displaced = func(path, to string) {
		s.Observe(Event{Kind: EventDisplaced, Subject: path, Detail: "now at " + to})
	}
	o.Left = func(path string) {
		s.Observe(Event{Kind: EventNote, Detail: path + " was not written by botkube-mirror, and stays as it is"})
	}
	o.Wrote = func(what string) { s.Observe(Event{Kind: EventWritten, Subject: what}) }
	return o
}

func (s *Session) waiting(path string) {
	s.Observe(Event{Kind: EventWaiting, Subject: path, Detail: "another run is writing it"})
}

type outputs struct {
	session *Session
	each    []form.Writer
	results []OutputResult
	// untried, if not nil, unpacks archives that the outputs hold as they are. Otherwise an archive
	// that lacks the plugin would be noticed on the far side only.
	untried pluginsdir.Source
	files   map[string][]pluginsdir.Placement

	mu sync.Mutex
	// unpacking bounds how many archives are unpacked at a time, so that downloads do not wait for
	// a processor.
	unpacking chan struct{}
}

// The order of paths keeps two runs that share several outputs from waiting for each other.
func (s *Session) openOutputs(ctx context.Context, l *lock.Lock, from form.Content, o WriteOptions) (*outputs, error) {
	order, err := openingOrder(o.Outputs)
	if err != nil {
		return nil, err
	}
	all := &outputs{
		session: s, each: make([]form.Writer, len(o.Outputs)), results: make([]OutputResult, len(o.Outputs)),
		unpacking: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	if from.NotUnpacked && !o.has(func(t form.Target) bool { return t.Unpacks }) {
		all.untried, all.files = from.Plugins, pluginsdir.Placements(l)
	}
	for _, i := range order {
		all.results[i] = newOutputResult(o.Outputs[i])
		if all.each[i], err = s.openOutput(ctx, o.Outputs[i], l, from, o.WriteOptions); err != nil {
			all.close()
			return nil, err
		}
	}
	return all, nil
}

func (s *Session) openOutput(ctx context.Context, target form.Target, l *lock.Lock, from form.Content, o form.WriteOptions) (form.Writer, error) {
	if from.Blobs == nil && target.LockPath == "" {
		return nil, fault.New(fault.Usage, "%s cannot be made from a directory: a directory has only unpacked files, not the upstream files", target).
			WithHint("use the bundle that the directory was made from")
	}
	o = s.writeOptions(o)
	o.Writing = func(size int64) {
		s.Observe(Event{Kind: EventWriting, Activity: Writing, Subject: target.String(), Bytes: size, Total: size})
	}
	return target.Open(ctx, target.Path, l, from, o)
}

// add makes what outputs need of an artifact, which is there now.
func (all *outputs) add(ctx context.Context, a lock.Artifact) error {
	all.unpacking <- struct{}{}
	defer func() { <-all.unpacking }()
	if all.untried != nil {
		if err := all.unpack(ctx, a); err != nil {
			return err
		}
	}
	for i, out := range all.each {
		changed, err := out.Add(ctx, a)
		if err != nil {
			return err
		}
		all.mu.Lock()
		all.results[i].Changed = all.results[i].Changed || changed
		all.mu.Unlock()
	}
	return nil
}

// addMember is [outputs.add] for a blob of an image.
func (all *outputs) addMember(ctx context.Context, b lock.Blob) error {
	all.unpacking <- struct{}{}
	defer func() { <-all.unpacking }()
	for i, out := range all.each {
		if !all.results[i].target.Members {
			continue
		}
		if _, err := out.Add(ctx, lock.Artifact{Blob: b}); err != nil {
			return err
		}
	}
	return nil
}

// unpack unpacks an archive, and keeps nothing. What came of it is remembered, so it happens once.
func (all *outputs) unpack(ctx context.Context, a lock.Artifact) error {
	for _, p := range all.files[a.URL] {
		p.File.Artifact = a
		if _, known := all.untried.Expected(p.Platform, p.File); known {
			continue
		}
		if _, err := pluginsdir.Examine(ctx, all.untried, p.Platform, p.File); err != nil {
			return err
		}
	}
	return nil
}

// Mend, if not nil, reports whether it mended what an output failed for.
func (all *outputs) commit(ctx context.Context, l *lock.Lock, mend func(context.Context) (bool, error)) error {
	for i, result := range all.results {
		if err := all.commitOne(ctx, i, l, mend); err != nil {
			return err
		}
		if err := all.session.keep(result.target, l); err != nil {
			return err
		}
		all.session.Observe(Event{Kind: EventCompleted, Subject: result.String()})
	}
	return nil
}

func (all *outputs) commitOne(ctx context.Context, i int, l *lock.Lock, mend func(context.Context) (bool, error)) (err error) {
	result := &all.results[i]
	ctx = all.session.watched(ctx, result.String())
	// Each attempt mends one blob. The bound ends the loop if a disk damages them again and again.
	for range len(l.Artifacts) + 1 {
		changed := result.Changed
		result.Written, err = all.each[i].Commit(ctx, l)
		result.Changed = result.Changed || changed
		if err == nil || mend == nil || result.Path == form.StandardStream || ctx.Err() != nil {
			return err
		}
		if mended, failure := mend(ctx); failure != nil || !mended {
			return cmp.Or(failure, err)
		}
	}
	return err
}

func (all *outputs) close() {
	for _, out := range all.each {
		if out != nil {
			_ = out.Close() // what counts was committed
		}
	}
}

// keep has a sweep of the store spare what an output is made of, as long as that is there.
func (s *Session) keep(target form.Target, l *lock.Lock) error {
	if s.Store == nil || target.Path == form.StandardStream {
		return nil
	}
	abs, err := filepath.Abs(target.Path)
	if err != nil {
		return err
	}
	if !target.Members {
		l = l.PluginsOnly()
	}
	data, err := l.Marshal()
	if err != nil {
		return err
	}
	return s.Store.SetRoot(abs, data)
}

// openingOrder returns the indexes of the outputs by their paths, which must differ.
func openingOrder(targets []form.Target) ([]int, error) {
	paths := make([]string, len(targets))
	order := make([]int, len(targets))
	for i, target := range targets {
		real, err := realPath(target.Path)
		if err != nil {
			return nil, fault.New(fault.Usage, "the output %s: %w", target, err)
		}
		if target.Path == form.StandardStream {
			real = form.StandardStream
		}
		for j, other := range paths[:i] {
			switch {
			case real == other:
				return nil, fault.New(fault.Usage, "the output %s is given twice", target)
			case real == form.StandardStream || other == form.StandardStream:
			case within(real, other) || within(other, real):
				return nil, fault.New(fault.Usage, "the outputs %s and %s overlap: one is inside the other", target, targets[j])
			}
		}
		paths[i], order[i] = real, i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(paths[a], paths[b]) })
	return order, nil
}

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

package dir

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// writer writes a directory.
type writer struct {
	options   form.WriteOptions
	source    pluginsdir.Source
	top       *directory
	platforms map[agent.Platform]*directory
	// files are the files that are made from each artifact, by URL.
	files map[string][]pluginsdir.Placement
}

// directory is that of one platform, or the top of those of several.
type directory struct {
	*atomicdir.Tree
	// planned are the paths of the coming layout.
	planned   []string
	began     bool
	committed bool

	mu sync.Mutex
	// made has the digests of the files that were written, or were there.
	made map[string]lock.Blob
}

// openOutput waits for another run that writes the directory, and sweeps what a killed one left.
func openOutput(ctx context.Context, dir string, plan *lock.Lock, from form.Content, o form.WriteOptions) (form.Writer, error) {
	w := &writer{options: o, source: from.Plugins, platforms: map[agent.Platform]*directory{}, files: pluginsdir.Placements(plan)}
	t, err := atomicdir.Open(ctx, dir, atomicdir.Options{Reader: pluginsdir.Reader, Waiting: o.Waiting})
	if err != nil {
		return nil, err
	}
	if w.top, err = w.take(t); err != nil {
		return nil, err
	}
	for _, p := range plan.Platforms {
		d := w.top
		if len(plan.Platforms) > 1 {
			sub, err := w.top.OpenSub(ctx, p.Dir())
			if err == nil {
				d, err = w.take(sub)
			}
			if err != nil {
				w.Close()
				return nil, err
			}
		}
		w.platforms[p] = d
		d.planned = pluginsdir.Paths(plan, p)
	}
	return w, nil
}

// take takes over a tree, which no other form of output may have. Before its first file
// is staged, it is noted what the directory holds and will hold, so that nothing is
// forgotten if the run ends here.
func (w *writer) take(t *atomicdir.Tree) (*directory, error) {
	// Only now has another run that wrote a site there come to its end.
	if site.InTree(t) {
		t.Close()
		return nil, fault.New(fault.Usage, "the output %s is a site, so it cannot become an agent's cache directory", t.Path).WithHint("name another directory")
	}
	d := &directory{Tree: t, made: map[string]lock.Blob{}}
	t.Begin = sync.OnceValue(d.beginWriting)
	if has(t, lockPath) || has(t, sumsPath) {
		t.MayDisplace(w.options.Displaced)
	}
	return d, nil
}

// has reports whether something is at a path.
func has(t *atomicdir.Tree, p string) bool {
	_, err := t.Root.Lstat(p)
	return err == nil
}

// Add writes the files that are made of an artifact.
func (w *writer) Add(ctx context.Context, a lock.Artifact) (changed bool, err error) {
	for _, p := range w.files[a.URL] {
		p.File.Artifact = a
		written, err := w.write(ctx, p.Platform, p.File)
		if err != nil {
			return changed, err
		}
		if written {
			w.options.Wrote(path.Join(p.Platform.String(), p.File.Path))
		}
		changed = changed || written
	}
	return changed, nil
}

// write brings in one file. A file that already has the right bytes is left alone.
func (w *writer) write(ctx context.Context, p agent.Platform, f lock.File) (bool, error) {
	d := w.platforms[p]
	made, written, err := entry.Write(ctx, d.Tree, fileEntry(p, f, w.source))
	if err != nil {
		return false, fmt.Errorf("writing %s: %w", d.At(f.Path), atomicdir.Explain(err))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made[f.Path] = made
	return written, nil
}

// Commit writes indexes and locks, and makes all of it durable.
func (w *writer) Commit(ctx context.Context, l *lock.Lock) (out form.Written, err error) {
	// Once it has begun, it is better brought to its end.
	ctx = context.WithoutCancel(ctx)
	complete := func(d *directory, l *lock.Lock, documents []pluginsdir.Document, err error) error {
		written := false
		if err == nil {
			written, err = d.commit(ctx, l, documents)
		}
		if err != nil {
			return fmt.Errorf("completing %s: %w", d.Path, atomicdir.Explain(err))
		}
		out.Changed = out.Changed || written
		return nil
	}
	for _, p := range l.Platforms {
		d, part := w.platforms[p], l.ForPlatform(p)
		documents, err := pluginsdir.Documents(part, p, w.options.Mount, d.made, w.source)
		if err := complete(d, part, documents, err); err != nil {
			return form.Written{}, err
		}
	}
	if len(l.Platforms) > 1 {
		whole := l.PluginsOnly()
		data, err := whole.Marshal()
		if err := complete(w.top, whole, []pluginsdir.Document{{Path: lockPath, Data: data}}, err); err != nil {
			return form.Written{}, err
		}
	}
	return out, nil
}

// commit completes a directory. The order counts: whatever comes last is what an agent,
// a later run or a person takes as the sign that the rest is there.
func (d *directory) commit(ctx context.Context, l *lock.Lock, documents []pluginsdir.Document) (changed bool, err error) {
	if err := d.syncWritten(); err != nil {
		return false, err
	}
	var plan []entry.Entry
	for _, f := range documents {
		plan = append(plan, f.Entry())
	}
	written, err := entry.WriteAll(ctx, d.Tree, plan)
	if err != nil {
		return false, err
	}
	known, _ := superseded(d.Tree) // see [directory.beginWriting]
	if err := d.writeSuperseded(entry.Superseded(known, layoutOf(l))); err != nil {
		return false, err
	}
	d.committed = true
	if len(l.Platforms) > 1 {
		// The directory may have been for a single platform. Then its SHA256SUMS is out of date.
		if err := d.Remove(sumsPath); err != nil {
			return false, err
		}
	}
	return written || d.Mended(), d.syncWritten()
}

// syncWritten makes the names of the directory's files durable.
func (d *directory) syncWritten() error {
	return d.SyncDirs(append(slices.Collect(maps.Keys(d.made)), lockPath))
}

// Close removes what is unfinished and lets the next run have the directory.
func (w *writer) Close() error {
	var errs []error
	for _, d := range w.platforms {
		if d != w.top {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(append(errs, w.top.Close())...)
}

// Close removes what is unfinished, and a directory that was made for nothing.
func (d *directory) Close() error {
	return errors.Join(d.forgetUnwritten(), d.Tree.Close())
}

// plan returns the plugins and dependencies of all platforms as entries of a
// directory, with sizes that are good for forecasts. Of an archive that was never
// unpacked here, its own size stands for what is in it.
func plan(l *lock.Lock, from pluginsdir.Source) []entry.Entry {
	var all []entry.Entry
	for _, p := range l.Platforms {
		for _, f := range l.Files(p) {
			e := fileEntry(p, f, from)
			if size, known := from.Expected(p, f); known && f.Artifact.Size > 0 {
				e.Size, e.Guess = size, false
			}
			if len(l.Platforms) > 1 {
				e.Path = path.Join(p.Dir(), e.Path)
			}
			all = append(all, e)
		}
	}
	return all
}

// fileEntry is a file as an entry of a platform's directory.
func fileEntry(p agent.Platform, f lock.File, from pluginsdir.Source) entry.Entry {
	e := pluginsdir.Entry(p, f)
	e.Make = func(ctx context.Context, to blob.Sink) error { return from.Make(ctx, p, f, to) }
	if known, ok := from.Known(p, f); ok {
		e.SHA256, e.Size, e.Guess = &known.SHA256, known.Size, known.Size == 0
	}
	return e
}

package mirror

import (
	"cmp"
	"context"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/dir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// WriteOptions say how outputs are written.
type WriteOptions struct {
	Outputs []Target
	// Mount is where the agent sees a directory, or an image.
	Mount string
	// BaseURL is where a site will be served.
	BaseURL string
	// Seeders are the programs that an image starts, by platform.
	Seeders SeederOptions
	// ModTime is the time of files in archives: the epoch if it is zero.
	ModTime time.Time
	// Stdout receives a bundle whose path is "-".
	Stdout io.Writer
}

// check reports what can be known to be wrong before anything is read.
func (o WriteOptions) check() error {
	if len(o.Outputs) == 0 {
		return fault.New(fault.Usage, "no output is given").WithHint("name a directory, or a bundle FILE.tar, with --output")
	}
	if err := pluginsdir.CheckMount(o.Mount); err != nil {
		return err
	}
	sites := slices.ContainsFunc(o.Outputs, func(t Target) bool { return t.Form == FormSite })
	switch {
	case sites && o.BaseURL == "":
		return fault.New(fault.Usage, "a site is wanted, but not where it will be served").WithHint("give its URL: --base-url https://mirror.example.com/botkube")
	case o.BaseURL != "" && !sites:
		return fault.New(fault.Usage, "a base URL is given, but no output is a site").WithHint("add an output site:DIR, or leave out --base-url")
	}
	if images := slices.ContainsFunc(o.Outputs, func(t Target) bool { return t.Form == FormImage }); !images && (o.Seeders.None || len(o.Seeders.Given) > 0) {
		return fault.New(fault.Usage, "a seeder is given, but no output is an image").WithHint("add an output image:FILE.tar, or leave out --seeder")
	}
	for _, target := range o.Outputs {
		var err error
		switch {
		case target.Form == FormSite:
			err = site.CheckBaseURL(o.BaseURL)
		case target.Path == standardStream:
		case target.Form == FormArchive:
			err = cmp.Or(bundle.CheckFile(target.Path), checkReplaced(target.Path))
		case target.Form == FormLayout:
			err = bundle.CheckLayout(target.Path)
		case target.Form == FormImage:
			err = cmp.Or(image.CheckMount(o.Mount), image.CheckFile(target.Path), checkReplaced(target.Path))
		}
		if err != nil {
			return err
		}
	}
	_, err := openingOrder(o.Outputs)
	return err
}

// checkReplaced refuses to replace a file that this program cannot have written.
func checkReplaced(path string) error {
	fi, err := os.Stat(path)
	if err != nil || fi.Size() == 0 || bundle.Sniff(path) == bundle.TarForm {
		return nil
	}
	return fault.New(fault.Usage, "the output %s is there, and is no bundle or image", path).
		WithHint("name another file, or remove this one")
}

// wantsBundle reports whether an output can hold more than plugins.
func (o WriteOptions) wantsBundle() bool { return slices.ContainsFunc(o.Outputs, Target.isBundle) }

// content is where the bytes of a mirror come from.
type content struct {
	// cache makes the files of a cache directory.
	cache pluginsdir.Source
	// blobs has the upstream files, or is nil where only the cache is there.
	blobs blob.Source
	// untried says that nobody has unpacked the archives yet.
	untried bool
}

// placer makes what can be made of an artifact, which is there now.
type placer interface {
	place(ctx context.Context, a lock.Artifact) (changed bool, err error)
}

// output is one output on its way.
type output interface {
	placer
	// commit completes the output. Every artifact has been placed.
	commit(ctx context.Context, l *lock.Lock, result *OutputResult) error
	close()
}

// outputs are all outputs of a run.
type outputs struct {
	session *Session
	options WriteOptions
	each    []output
	results []OutputResult
	// trial is nil where an output unpacks everything anyway.
	trial *trial

	mu sync.Mutex
	// unpacking bounds what is bound by the processor, so that it has a bound
	// of its own and holds up no download.
	unpacking chan struct{}
}

// openOutputs opens the outputs, in the order of their paths, so that two runs
// that share several do not wait for each other.
func (s *Session) openOutputs(ctx context.Context, l *lock.Lock, from content, o WriteOptions) (*outputs, error) {
	order, err := openingOrder(o.Outputs)
	if err != nil {
		return nil, err
	}
	all := &outputs{
		session: s, options: o,
		each: make([]output, len(o.Outputs)), results: make([]OutputResult, len(o.Outputs)),
		unpacking: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	if from.untried && !slices.ContainsFunc(o.Outputs, Target.isUnpacked) {
		all.trial = &trial{from.cache, placements(l)}
	}
	for _, i := range order {
		all.results[i] = OutputResult{Form: o.Outputs[i].Form, Path: o.Outputs[i].Path}
		if all.each[i], err = s.openOutput(ctx, o.Outputs[i], l, from, o); err != nil {
			all.close()
			return nil, err
		}
	}
	return all, nil
}

func (s *Session) openOutput(ctx context.Context, target Target, l *lock.Lock, from content, o WriteOptions) (output, error) {
	switch {
	case target.Form == FormDir:
		return s.openDir(ctx, target, l, from, o)
	case from.blobs == nil:
		return nil, fault.New(fault.Usage, "%s cannot be made of a directory: that holds no upstream files, only what was unpacked of them", target).
			WithHint("read the bundle that the directory was made of")
	case target.Form == FormImage:
		return &imageOutput{s, target, from, o}, nil
	case target.Form == FormSite:
		w, err := site.Open(ctx, target.Path, l, site.Options{BaseURL: o.BaseURL, Blobs: from.blobs, Waiting: s.waiting, Displaced: s.displaced})
		if err != nil {
			return nil, err
		}
		return &siteOutput{w, o.BaseURL}, nil
	}
	return &bundleOutput{s, target, from.blobs, o}, nil
}

func (s *Session) waiting(path string) {
	s.Observe(Event{Kind: EventWaiting, Subject: path, Detail: "another run writes it"})
}

func (s *Session) displaced(path, to string) {
	s.Observe(Event{Kind: EventDisplaced, Subject: path, Detail: "it is now " + to})
}

// place makes what outputs need of an artifact.
func (all *outputs) place(ctx context.Context, a lock.Artifact) error {
	if all.trial != nil {
		if _, err := all.placeOne(ctx, all.trial, a); err != nil {
			return err
		}
	}
	for i, out := range all.each {
		changed, err := all.placeOne(ctx, out, a)
		if err != nil {
			return err
		}
		all.mu.Lock()
		all.results[i].Changed = all.results[i].Changed || changed
		all.mu.Unlock()
	}
	return nil
}

func (all *outputs) placeOne(ctx context.Context, out placer, a lock.Artifact) (bool, error) {
	all.unpacking <- struct{}{}
	defer func() { <-all.unpacking }()
	return out.place(ctx, a)
}

// commit completes the outputs, in the order in which they were asked for. Repair,
// if not nil, is asked whether it mended what an output failed for.
func (all *outputs) commit(ctx context.Context, l *lock.Lock, repair func(context.Context) (bool, error)) error {
	for i, out := range all.each {
		if err := all.commitOne(ctx, out, l, &all.results[i], repair); err != nil {
			return err
		}
		if err := all.session.keep(all.options.Outputs[i], l); err != nil {
			return err
		}
		all.session.Observe(Event{Kind: EventCompleted, Subject: all.options.Outputs[i].String()})
	}
	return nil
}

func (all *outputs) commitOne(ctx context.Context, out output, l *lock.Lock, result *OutputResult, repair func(context.Context) (bool, error)) error {
	err := out.commit(ctx, l, result)
	// Each time a blob is mended; a disk that damages them again and again is
	// not waited for.
	for range l.Artifacts {
		if err == nil || repair == nil || result.Path == standardStream || ctx.Err() != nil {
			return err
		}
		mended, repairErr := repair(ctx)
		if repairErr != nil {
			return repairErr
		}
		if !mended {
			return err
		}
		err = out.commit(ctx, l, result)
	}
	return err
}

func (all *outputs) close() {
	for _, out := range all.each {
		if out != nil {
			out.close()
		}
	}
}

// keep remembers what an output is made of, so that a sweep of the store
// spares it as long as the output is there.
func (s *Session) keep(target Target, l *lock.Lock) error {
	if s.Store == nil || target.Path == standardStream {
		return nil
	}
	abs, err := filepath.Abs(target.Path)
	if err != nil {
		return err
	}
	if !target.isBundle() {
		l = l.PluginsOnly()
	}
	data, err := l.Marshal()
	if err != nil {
		return err
	}
	return s.Store.SetRoot(abs, data)
}

// dirOutput is a cache directory.
type dirOutput struct {
	session *Session
	writer  *dir.Writer
	// files are what is made of each artifact, by URL.
	files map[string][]placement
}

// placement is a file of a directory.
type placement struct {
	platform agent.Platform
	file     lock.File
}

func (s *Session) openDir(ctx context.Context, target Target, l *lock.Lock, from content, o WriteOptions) (output, error) {
	w, err := dir.Open(ctx, target.Path, l, dir.Options{Mount: o.Mount, Source: from.cache, Waiting: s.waiting, Displaced: s.displaced})
	if err != nil {
		return nil, err
	}
	return &dirOutput{session: s, writer: w, files: placements(l)}, nil
}

// placements returns the files of all directories for a lock, by the URL of what
// they are made of.
func placements(l *lock.Lock) map[string][]placement {
	files := map[string][]placement{}
	for _, p := range l.Platforms {
		for _, f := range l.Files(p) {
			files[f.Artifact.URL] = append(files[f.Artifact.URL], placement{p, f})
		}
	}
	return files
}

// trial unpacks archives that outputs pass on as they are, and keeps nothing: one
// that does not hold what the agent needs of it would be found out on the other
// side of the gap. What came of one is remembered, so it happens once.
type trial struct {
	source pluginsdir.Source
	files  map[string][]placement
}

func (t *trial) place(ctx context.Context, a lock.Artifact) (bool, error) {
	for _, p := range t.files[a.URL] {
		p.file.Artifact = a
		if _, known := t.source.Expected(p.platform, p.file); known {
			continue
		}
		if _, err := pluginsdir.Digest(ctx, t.source, p.platform, p.file); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (out *dirOutput) place(ctx context.Context, a lock.Artifact) (changed bool, err error) {
	for _, p := range out.files[a.URL] {
		p.file.Artifact = a
		written, err := out.writer.Place(ctx, p.platform, p.file)
		if err != nil {
			return changed, err
		}
		if written {
			out.session.Observe(Event{Kind: EventWritten, Subject: path.Join(p.platform.String(), p.file.Path)})
		}
		changed = changed || written
	}
	return changed, nil
}

func (out *dirOutput) commit(ctx context.Context, l *lock.Lock, result *OutputResult) error {
	// Once it has begun, it is better brought to its end.
	written, err := out.writer.Commit(context.WithoutCancel(ctx), l)
	result.Changed = result.Changed || written
	return err
}

func (out *dirOutput) close() { out.writer.Close() }

// bundleOutput is a bundle.
type bundleOutput struct {
	session *Session
	target  Target
	blobs   blob.Source
	options WriteOptions
}

// place verifies what will be streamed, while a damaged blob can still be fetched
// again. Otherwise that is done while the bundle is written: one blob is verified
// while another is copied.
func (out *bundleOutput) place(ctx context.Context, a lock.Artifact) (bool, error) {
	if out.target.Path != standardStream {
		return false, nil
	}
	return false, out.blobs.Verify(ctx, a.SHA256)
}

func (out *bundleOutput) commit(ctx context.Context, l *lock.Lock, result *OutputResult) error {
	contents, err := bundle.Plan(ctx, l, out.blobs)
	if err != nil {
		return err
	}
	result.Tag, result.Digest, result.Size = contents.Tag, "sha256:"+contents.Index.Blob().SHA256.String(), contents.Size()
	out.session.Observe(Event{Kind: EventWriting, Subject: out.target.String(), Bytes: result.Size, Total: result.Size})
	o := bundle.Options{ModTime: out.options.ModTime, Waiting: out.session.waiting, Displaced: out.session.displaced}
	switch {
	case out.target.Path == standardStream:
		result.Changed = true
		return bundle.WriteStream(ctx, out.options.Stdout, contents, o)
	case out.target.Form == FormArchive:
		result.Changed, err = bundle.WriteFile(ctx, out.target.Path, contents, o)
	default:
		result.Changed, err = bundle.WriteLayout(ctx, out.target.Path, contents, o)
	}
	return err
}

func (out *bundleOutput) close() {}

// imageOutput is the mountable image.
type imageOutput struct {
	session *Session
	target  Target
	from    content
	options WriteOptions
}

// place does nothing: making a layer verifies what it is made of.
func (out *imageOutput) place(context.Context, lock.Artifact) (bool, error) { return false, nil }

func (out *imageOutput) commit(ctx context.Context, l *lock.Lock, result *OutputResult) error {
	o, err := out.session.imageOptions(l, out.options)
	if err != nil {
		return err
	}
	out.session.Observe(Event{Kind: EventWriting, Subject: out.target.String(), Bytes: -1, Total: -1})
	written, changed, err := image.WriteFile(ctx, out.target.Path, l.PluginsOnly(), out.from.cache, o)
	if err != nil {
		return err
	}
	result.Changed = changed
	result.describeImage(written)
	return nil
}

func (out *imageOutput) close() {}

// siteOutput is a static web root.
type siteOutput struct {
	*site.Writer
	baseURL string
}

func (out *siteOutput) place(ctx context.Context, a lock.Artifact) (bool, error) {
	return out.Place(ctx, a)
}

func (out *siteOutput) commit(ctx context.Context, l *lock.Lock, result *OutputResult) error {
	// Once it has begun, it is better brought to its end.
	written, err := out.Commit(context.WithoutCancel(ctx), l)
	if err != nil {
		return err
	}
	result.Changed = result.Changed || written
	if result.Tag, err = l.Tag(); err != nil {
		return err
	}
	if result.Templates, err = site.Templates(out.baseURL, l); err != nil {
		return err
	}
	result.Indexes = map[string]string{}
	for _, r := range l.Repositories {
		if result.Indexes[r.Name], err = site.IndexURL(out.baseURL, l, r.Name); err != nil {
			return err
		}
	}
	return nil
}

func (out *siteOutput) close() { out.Close() }

// openingOrder returns the indexes of the outputs by their paths, which must differ.
func openingOrder(targets []Target) ([]int, error) {
	paths := make([]string, len(targets))
	order := make([]int, len(targets))
	for i, target := range targets {
		real, err := realPath(target.Path)
		if err != nil {
			return nil, fault.New(fault.Usage, "the output %s: %w", target, err)
		}
		if target.Path == standardStream {
			real = standardStream
		}
		for j, other := range paths[:i] {
			switch {
			case real == other:
				return nil, fault.New(fault.Usage, "the output %s is given twice", target)
			case real == standardStream || other == standardStream:
			case within(real, other) || within(other, real):
				return nil, fault.New(fault.Usage, "of the outputs %s and %s, one lies in the other", target, targets[j])
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

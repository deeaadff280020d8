package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// version is a served version. It is closed when it is no longer served and no download uses it.
type version struct {
	*form.Version
	// retired says that the version was replaced or removed.
	retired atomic.Bool

	mu    sync.Mutex
	users int
}

// newVersion returns a version with one user.
func newVersion(v *form.Version) *version { return &version{Version: v, users: 1} }

// enter adds a user. It returns false if the version is closed.
func (v *version) enter() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.users == 0 {
		return false
	}
	v.users++
	return true
}

func (v *version) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.users--; v.users == 0 && v.Close != nil {
		_ = v.Close() // it was only read
	}
}

// Library is the content of a target: sources, which may be added, replaced and removed.
type Library struct {
	// open opens the target.
	open    func(context.Context) (*form.Served, error)
	problem func(error)
	served  *form.Served
	sources map[string]*source
	// failed is the problem with the whole target at the last look, reported the last one that was
	// reported.
	failed, reported string
}

// source is the state of a [form.Source].
type source struct {
	// seen describes the files at the last look, loaded when they were last opened.
	seen, loaded []fs.FileInfo
	// version is the served version, or nil.
	version *version
	// failed is why the files are not served, or nil.
	failed error
	// again is when the files are opened again after a failure, wait the time before that.
	again time.Time
	wait  time.Duration
	// reported is the last problem that was reported.
	reported string
	// missing says that the source did not exist at the last look.
	missing bool
}

// isOther reports whether the source is not a version, and was none before.
func (s *source) isOther() bool {
	return s.version == nil && errors.Is(s.failed, form.ErrNotVersion)
}

const (
	// firstWait and maxWait are the shortest and the longest time before a source is opened again after
	// a failure. What it lacks may have come without a change of the files that are checked.
	firstWait = 2 * time.Second
	maxWait   = time.Minute
)

// OpenLibrary opens a target. If nothing of it can be served, that is an error, unless it is an empty
// directory. Problem is called for each source that cannot be served.
func OpenLibrary(ctx context.Context, open func(context.Context) (*form.Served, error), problem func(error)) (*Library, error) {
	served, err := open(ctx)
	if err != nil {
		return nil, err
	}
	l := &Library{open: open, problem: problem, served: served, sources: map[string]*source{}}
	var failed []error
	for _, f := range served.Found {
		s := &source{}
		l.sources[f.Path] = s
		s.loaded = describe(f.Files)
		s.seen = s.loaded
		if err := l.take(s, f.Version, f.Err); err != nil {
			if fault.KindOf(err) == fault.Usage && f.Err == nil {
				l.Close()
				return nil, err
			}
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 && len(l.versions()) == 0 {
		return nil, failed[0]
	}
	for _, f := range served.Found {
		l.report(f.Path, l.sources[f.Path])
	}
	return l, nil
}

// take sets the version of a source, or the error of opening it.
func (l *Library) take(s *source, v *form.Version, err error) error {
	if err == nil {
		if other := l.holder(v.Tag); other != nil && other != s.version {
			err = fault.New(fault.Usage, "%s and %s are both version %s", other.Source, v.Source, v.Tag).
				WithHint("remove one of them; for several platforms, pull one bundle: --platform linux/amd64 --platform linux/arm64")
			_ = v.Close() // it was only read
		}
	}
	s.failed = err
	if err != nil {
		if s.isOther() {
			s.reported = ""
			return nil
		}
		s.wait = min(max(firstWait, 2*s.wait), maxWait)
		s.again = time.Now().Add(s.wait)
		return err
	}
	s.wait, s.reported = 0, ""
	s.version = newVersion(v)
	return nil
}

// holder returns the version of a tag, or nil.
func (l *Library) holder(tag string) *version {
	for _, s := range l.sources {
		if s.version != nil && s.version.Tag == tag {
			return s.version
		}
	}
	return nil
}

// report reports, once, why a source is not served.
func (l *Library) report(path string, s *source) (reported bool) {
	if s.failed == nil || s.isOther() || s.reported == s.failed.Error() {
		return false
	}
	s.reported = s.failed.Error()
	err := s.failed
	if !strings.Contains(err.Error(), path) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	if s.version != nil {
		l.problem(fmt.Errorf("not replaced, still serving the previous version %s: %w", s.version.Tag, err))
	} else {
		l.problem(fmt.Errorf("not served: %w", err))
	}
	return true
}

// versions returns the served versions, the newest first.
func (l *Library) versions() (all []*version) {
	for _, s := range l.sources {
		if s.version != nil {
			all = append(all, s.version)
		}
	}
	slices.SortFunc(all, func(a, b *version) int {
		return lock.CompareReleases(a.Lock.BotkubeVersion, a.Tag, b.Lock.BotkubeVersion, b.Tag)
	})
	return all
}

// failing returns how many sources cannot be served.
func (l *Library) failing() (n int64) {
	for _, s := range l.sources {
		if s.reported != "" {
			n++
		}
	}
	return n
}

// ignored returns the paths that are not versions.
func (l *Library) ignored() (paths []string) {
	for path, s := range l.sources {
		if s.isOther() {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// Close closes all versions.
func (l *Library) Close() {
	for _, s := range l.sources {
		if s.version != nil {
			s.version.leave()
		}
	}
}

// Change is a version that was added, replaced or removed.
type Change struct {
	Event Event
	// Tag is the version.
	Tag string
	// Source is the path of the bundle, or of the version's directory in a site.
	Source string
	// InPlaceOf is the version that Source had before, if that is another one.
	InPlaceOf string

	before *version
}

// Event says what happened to a version.
type Event string

// The events.
const (
	Added    Event = "added"
	Replaced Event = "replaced"
	Removed  Event = "removed"
)

// look looks for changes, and returns them with the number of sources that failed. A source counts as
// changed or removed if it is the same at two looks; with atOnce, at the first. Check must succeed
// before a new version is served.
func (l *Library) look(ctx context.Context, atOnce bool, check func(context.Context, *form.Version) error) (changes []Change, failures int) {
	sources, err := l.served.Look()
	if err != nil {
		return nil, l.fail(fmt.Errorf("looking for changes, still serving the previous content: %w", err), atOnce)
	}
	found := map[string]form.Found{}
	if l.isNothing(sources) {
		// The target may have another form now.
		served, err := l.open(ctx)
		if err != nil {
			l.remove(sources, atOnce)
			return nil, l.fail(fmt.Errorf("there is nothing to serve: %w", err), atOnce)
		}
		l.served = served
		sources = nil
		for _, f := range served.Found {
			sources = append(sources, f.Source)
			found[f.Path] = f
		}
	}
	l.failed, l.reported = "", ""
	changes = l.remove(sources, atOnce)
	for _, src := range sources {
		s := l.sources[src.Path]
		if s == nil {
			s = &source{}
			l.sources[src.Path] = s
		}
		opened, isOpen := found[src.Path]
		change, failed := l.lookAt(ctx, s, src, atOnce || isOpen, func() (*form.Version, error) {
			v, err := opened.Version, opened.Err
			if !isOpen {
				v, err = src.Open(ctx)
			}
			if err != nil {
				return nil, err
			}
			if err := check(ctx, v); err != nil {
				return nil, errors.Join(err, v.Close())
			}
			return v, nil
		})
		if change != nil {
			changes = append(changes, *change)
		}
		if failed && (s.wait > firstWait || atOnce) && l.report(src.Path, s) {
			failures++
		}
	}
	return changes, failures
}

// isNothing reports whether nothing is served, and no source may be served later.
func (l *Library) isNothing(sources []form.Source) bool {
	return len(l.versions()) == 0 && !slices.ContainsFunc(sources, func(src form.Source) bool {
		s := l.sources[src.Path]
		return s == nil || !s.isOther()
	})
}

// fail reports a problem with the whole target, once, if it is the same at two looks.
func (l *Library) fail(err error, atOnce bool) (failures int) {
	text := err.Error()
	lasts := text == l.failed || atOnce
	l.failed = text
	if !lasts || text == l.reported {
		return 0
	}
	l.reported = text
	l.problem(err)
	return 1
}

// remove removes the sources that no longer exist.
func (l *Library) remove(there []form.Source, atOnce bool) (changes []Change) {
	for _, path := range slices.Sorted(maps.Keys(l.sources)) {
		s := l.sources[path]
		if slices.ContainsFunc(there, func(src form.Source) bool { return src.Path == path }) {
			s.missing = false
			continue
		}
		if !s.missing && !atOnce {
			s.missing = true
			continue
		}
		if s.version != nil {
			changes = append(changes, Change{Event: Removed, Tag: s.version.Tag, Source: path, before: s.version})
		}
		delete(l.sources, path)
	}
	return changes
}

// lookAt opens a source if it changed, or failed some time ago.
func (l *Library) lookAt(ctx context.Context, s *source, src form.Source, atOnce bool, open func() (*form.Version, error)) (change *Change, failed bool) {
	now := describe(src.Files)
	settled := atOnce || same(s.seen, now)
	s.seen = now
	if same(s.loaded, now) {
		if s.failed == nil || s.isOther() || time.Now().Before(s.again) && !atOnce {
			return nil, false
		}
	} else {
		s.wait = 0
	}
	if !settled {
		return nil, false
	}
	before := s.version
	v, err := open()
	if ctx.Err() != nil || !same(now, describe(src.Files)) {
		if err == nil {
			_ = v.Close() // it was only read
		}
		return nil, false // another program is still writing it
	}
	s.loaded = now
	if err := l.take(s, v, err); err != nil || s.failed != nil {
		return nil, true
	}
	change = &Change{Event: Added, Tag: s.version.Tag, Source: src.Path, before: before}
	if before != nil {
		change.Event = Replaced
		if before.Tag != change.Tag {
			change.InPlaceOf = before.Tag
		}
	}
	return change, false
}

// describe returns the descriptions of files; nil for one that does not exist.
func describe(files []string) []fs.FileInfo {
	all := make([]fs.FileInfo, len(files))
	for i, path := range files {
		all[i], _ = os.Stat(path) // opening it will report the error
	}
	return all
}

func same(a, b []fs.FileInfo) bool {
	return slices.EqualFunc(a, b, func(a, b fs.FileInfo) bool {
		return (a == nil) == (b == nil) && (a == nil || unchanged(a, b))
	})
}

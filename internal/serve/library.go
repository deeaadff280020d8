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

// version is a version that is served. It is closed once it is neither served nor downloaded from.
type version struct {
	*form.Version
	// retired says that it was replaced or removed.
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
		_ = v.Close() // nothing was written to it
	}
}

// Library is what a target holds: sources that are added, replaced and removed.
type Library struct {
	// open finds out what is at the target.
	open    func(context.Context) (*form.Served, error)
	problem func(error)
	served  *form.Served
	sources map[string]*source
	// failed is the problem with the target as a whole at the last look, reported the last that was
	// reported.
	failed, reported string
}

// source is what is known of a [form.Source].
type source struct {
	// seen describes its files at the last look, loaded when it was last opened.
	seen, loaded []fs.FileInfo
	// version is the one that is served, or nil.
	version *version
	// failed is why the files that were last opened are not served, or nil.
	failed error
	// again is when they are opened once more, wait how long that is put off.
	again time.Time
	wait  time.Duration
	// reported is the last problem that was reported.
	reported string
	// missing says that it was not there at the last look.
	missing bool
}

// isOther reports whether it is something else than a version, and was none before.
func (s *source) isOther() bool {
	return s.version == nil && errors.Is(s.failed, form.ErrNotVersion)
}

const (
	// firstWait and maxWait bound the time after which a source is opened once more. What it lacks
	// may have come without a change of the files that are looked at.
	firstWait = 2 * time.Second
	maxWait   = time.Minute
)

// OpenLibrary opens a target. It is an error if nothing can be served of it, unless it is an empty
// directory. Problem is called for a source that is not served.
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

// take has a source hold a version, or the error of opening it.
func (l *Library) take(s *source, v *form.Version, err error) error {
	if err == nil {
		if other := l.holder(v.Tag); other != nil && other != s.version {
			err = fault.New(fault.Usage, "%s and %s are both of version %s", other.Source, v.Source, v.Tag).
				WithHint("leave one of them out; for several platforms, pull one bundle: --platform linux/amd64 --platform linux/arm64")
			_ = v.Close() // nothing was written to it
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
		l.problem(fmt.Errorf("refused, and version %s stays as it was: %w", s.version.Tag, err))
	} else {
		l.problem(fmt.Errorf("not served: %w", err))
	}
	return true
}

// versions are those that are served, the newest first.
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

// failing is how many sources are not served because something is wrong with them.
func (l *Library) failing() (n int64) {
	for _, s := range l.sources {
		if s.reported != "" {
			n++
		}
	}
	return n
}

// ignored are the paths of what is no version.
func (l *Library) ignored() (paths []string) {
	for path, s := range l.sources {
		if s.isOther() {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// Close closes what is served.
func (l *Library) Close() {
	for _, s := range l.sources {
		if s.version != nil {
			s.version.leave()
		}
	}
}

// Change is a version that is served from now on, or not any more.
type Change struct {
	// Event is one of those below.
	Event Event
	Tag   string
	// Source is where it is, or was.
	Source string
	// InPlaceOf is what was in Source before, if that is another version.
	InPlaceOf string

	before *version
}

// Event is what happened to a version.
type Event string

// The events.
const (
	Added    Event = "added"
	Replaced Event = "replaced"
	Removed  Event = "removed"
)

// look looks for changes, and returns them with the number of sources that failed. A source counts
// as changed, or as removed, when it is the same at two looks, or at once. Check is the last that a
// new version has to stand before it is served.
func (l *Library) look(ctx context.Context, atOnce bool, check func(context.Context, *form.Version) error) (changes []Change, failures int) {
	sources, err := l.served.Look()
	if err != nil {
		return nil, l.fail(fmt.Errorf("looking for changes, while what was found before is served: %w", err), atOnce)
	}
	found := map[string]form.Found{}
	if l.isNothing(sources) {
		// It may be of another form now.
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

// isNothing reports whether nothing is served, and there is nothing that might be later.
func (l *Library) isNothing(sources []form.Source) bool {
	return len(l.versions()) == 0 && !slices.ContainsFunc(sources, func(src form.Source) bool {
		s := l.sources[src.Path]
		return s == nil || !s.isOther()
	})
}

// fail reports, once, a problem with the target as a whole if it is the same at two looks.
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

// remove drops the sources that are not there any more.
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
			_ = v.Close() // nothing was written to it
		}
		return nil, false // it is still written
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

// describe returns the descriptions of files, nil for what is not there.
func describe(files []string) []fs.FileInfo {
	all := make([]fs.FileInfo, len(files))
	for i, path := range files {
		all[i], _ = os.Stat(path) // opening it says what is wrong
	}
	return all
}

func same(a, b []fs.FileInfo) bool {
	return slices.EqualFunc(a, b, func(a, b fs.FileInfo) bool {
		return (a == nil) == (b == nil) && (a == nil || unchanged(a, b))
	})
}

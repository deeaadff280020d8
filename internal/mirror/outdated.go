package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// Newest is the value of a version for the newest release of Botkube.
const Newest = "latest"

// OutdatedOptions say what [Session.Outdated] compares a mirror with.
type OutdatedOptions struct {
	// Release is a version of Botkube, or [Newest].
	Release string
	// Repositories are those of the mirror whose URL is given with its credentials.
	Repositories []agent.Repository
	// Headers are for the requests of the repositories' indexes.
	Headers []resolve.Header
}

// Outdated is what upstream has and a mirror lacks. It is printed as JSON: existing fields never
// change, see docs/reference/json-checks.md.
type Outdated struct {
	Identity
	// Outdated says that anything differs.
	Outdated bool `json:"outdated"`
	// Replaced are the alarms: what must not change, and did.
	Replaced []UpstreamChange `json:"replaced"`
	// Release is the release that the mirror is compared with. It is nil if the mirror has no
	// Botkube version.
	Release *NewerRelease `json:"release,omitempty"`
	// Plugins have a newer version, or are gone from the newer release.
	Plugins []NewerPlugin `json:"plugins"`
	// Changed are what may change in place.
	Changed []UpstreamChange `json:"changed"`
	// Files counts the upstream files of plugins and dependencies.
	Files int `json:"files"`
	// NotCompared are the files for which upstream gives no checksum.
	NotCompared []UncomparedFile `json:"notCompared"`
	// Failed are the questions without an answer that can be used.
	Failed []FailedQuestion `json:"failed"`
	// Next are the commands that bring the mirror up to date.
	Next []string `json:"next"`
	// NextLeavesOut are the replaced dependencies that the first of these commands leaves out, each
	// with the reason.
	NextLeavesOut []string `json:"nextLeavesOut,omitempty"`
}

// UpstreamChange is a difference between a mirror and upstream.
type UpstreamChange struct {
	lock.Difference
	// Plugins need the file that it is about: each is REPOSITORY/NAME.
	Plugins []string `json:"plugins,omitempty"`
}

// NewerRelease is a release of Botkube.
type NewerRelease struct {
	Version string `json:"version"`
	// Newer says that it is newer than the mirror's.
	Newer bool `json:"newer"`
}

// NewerPlugin is a plugin of a mirror with a newer version, or one that is gone.
type NewerPlugin struct {
	Repository string           `json:"repository"`
	Type       agent.PluginType `json:"type"`
	Name       string           `json:"name"`
	// Versions are those of the mirror.
	Versions []string `json:"versions"`
	// Newest is empty if the plugin is gone.
	Newest string `json:"newest,omitempty"`
	// Release is the Botkube release whose index has it, or empty for the index that the lock names.
	Release string `json:"release,omitempty"`
	// Elsewhere are plugins of that name in other repositories of the release.
	Elsewhere []agent.PluginKey `json:"elsewhere,omitempty"`
}

// UncomparedFile is a file that could only be compared by downloading it.
type UncomparedFile struct {
	URL     string   `json:"url"`
	Plugins []string `json:"plugins"`
	Reason  string   `json:"reason"`
}

// NoChecksum is the usual reason of an [UncomparedFile].
const NoChecksum = "neither the index nor the publisher gives a SHA-256 checksum"

// FailedQuestion is something that could not be compared, because a request to upstream failed.
type FailedQuestion struct {
	// About names what is not compared.
	About string `json:"about"`
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
	// ExitCode is that of a run which this failure would have ended.
	ExitCode int `json:"exitCode"`
}

// Failure returns an error if anything could not be compared.
func (o *Outdated) Failure() error {
	if len(o.Failed) == 0 {
		return nil
	}
	kind, lines, hints := fault.Kind(o.Failed[0].ExitCode), []string{}, []string{}
	for _, f := range o.Failed {
		lines = append(lines, fmt.Sprintf("  %s: %s", f.About, strings.ReplaceAll(f.Error, "\n", "\n    ")))
		for hint := range strings.SplitSeq(f.Hint, "\n") {
			if hint != "" && !slices.Contains(hints, hint) {
				hints = append(hints, hint)
			}
		}
		if f.ExitCode == int(fault.Upstream) {
			kind = fault.Upstream
		}
	}
	return fault.New(kind, "the comparison of %s is incomplete:\n%s", form.SourceName(o.Target), strings.Join(lines, "\n")).WithHint("%s", strings.Join(hints, "\n"))
}

// outdating is one run of [Session.Outdated].
type outdating struct {
	*Session
	options  OutdatedOptions
	resolver *resolve.Resolver
	// pinned is the lock of the mirror, current what upstream has of it.
	pinned  *lock.Lock
	current *resolve.Current
	// released are the indexes of the newer release.
	released map[string]*index.Index
	// newest waits for the newest release. It is nil if the mirror has no Botkube version.
	newest func() (*newestRelease, error)
	// trees wait for templates, by URL.
	trees map[string]func() (fetch.Result, error)
	found *Outdated
	// told are the warnings that the result gives as reasons.
	told map[string]bool
}

// Outdated compares a mirror with upstream: what is newer there, and what was replaced. It
// downloads no artifact except templates. It returns an error if the mirror could not be compared
// at all. [Outdated.Failure] returns what could not be compared.
func (s *Session) Outdated(ctx context.Context, target string, options OutdatedOptions) (*Outdated, error) {
	m, err := s.open(ctx, target)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	o := &outdating{Session: s, options: options, pinned: m.Lock, told: map[string]bool{}, trees: map[string]func() (fetch.Result, error){}, found: &Outdated{
		Identity: identify(m), Replaced: []UpstreamChange{}, Plugins: []NewerPlugin{}, Changed: []UpstreamChange{},
		Files: len(m.Lock.Artifacts), NotCompared: []UncomparedFile{}, Failed: []FailedQuestion{}, Next: []string{},
	}}
	if err := o.checkRelease(); err != nil {
		return nil, err
	}
	var warnings []string
	ahead := s.newPrefetcher(ctx, false)
	defer ahead.stop()
	o.resolver = s.resolver(func(files []fetch.Request) {
		for _, r := range files {
			if r.Tree == lock.DirArchiveYAML {
				o.trees[r.URL] = begin(ahead, func() (fetch.Result, error) { return s.fetch(ahead.ctx, r) })
			}
		}
	})
	o.resolver.Warn = func(text string) { warnings = append(warnings, text) }
	if m.Lock.BotkubeVersion != "" {
		o.newest = begin(ahead, func() (*newestRelease, error) { return o.askRelease(ahead.ctx) })
	}
	if o.current, err = o.resolver.Current(ctx, m.Lock, options.Repositories, options.Headers); err != nil {
		return nil, err
	}
	if err := o.templates(ctx); err != nil {
		return nil, err
	}
	o.fail(o.current.Failed)
	o.compare()
	for _, text := range warnings {
		if !o.told[text] {
			s.warn(text)
		}
	}
	if err := o.release(ctx); err != nil {
		return nil, err
	}
	o.plugins()
	f := o.found
	f.Outdated = len(f.Replaced)+len(f.Plugins)+len(f.Changed) > 0 || f.Release != nil && f.Release.Newer
	o.next()
	return f, nil
}

func (o *outdating) fail(all []resolve.Failed) {
	for _, f := range all {
		o.found.Failed = append(o.found.Failed, FailedQuestion{f.About, f.Err.Error(), hintOf(f.Err), int(fault.KindOf(f.Err))})
	}
}

// hintOf returns the hint of an error without steps that only a new selection can take.
func hintOf(err error) string {
	var lines []string
	for line := range strings.SplitSeq(fault.HintOf(err), "\n") {
		if !slices.ContainsFunc([]string{"--exclude", "--repository", "--with-", "--watcher-image", "the command lock"}, func(step string) bool { return strings.Contains(line, step) }) {
			lines = append(lines, line)
		}
	}
	hint := strings.Join(lines, "\n")
	if hint == "" && fetch.IsNotFound(err) {
		return "ask the publisher: upstream no longer has this file"
	}
	return hint
}

// templates downloads templates: no checksum tells whether they changed.
func (o *outdating) templates(ctx context.Context) error {
	for _, i := range o.current.OpenTemplates() {
		get := func() (fetch.Result, error) { return o.fetch(ctx, o.current.Downloads[i]) }
		if begun, ok := o.trees[o.current.Downloads[i].URL]; ok {
			get = begun
		}
		r, err := get()
		if err == nil {
			o.current.CompleteTemplates(i, r)
			continue
		}
		if fault.KindOf(err) == fault.Usage { // the program git is not here
			err = fault.New(fault.Upstream, "%w", err)
		}
		if err := o.current.Fail(ctx, err, "templates"); err != nil {
			return err
		}
	}
	return nil
}

// compare compares the versions that the lock pins.
func (o *outdating) compare() {
	needed := pluginsByURL(o.pinned)
	o.fill(needed)
	for _, d := range lock.Diff(o.pinned, o.current.Lock) {
		if d.Change == lock.Removed && d.Subject == lock.SubjectRepository && o.current.Indexes[d.Repository] != nil {
			continue // it is there, but has none of the pinned versions: the plugins tell that
		}
		to := &o.found.Replaced
		if o.mayChange(d) {
			to = &o.found.Changed
		}
		change := UpstreamChange{Difference: d}
		if d.Subject == lock.SubjectFile {
			change.Plugins = needed[d.URL]
		}
		*to = append(*to, change)
	}
}

// mayChange reports whether a difference is one of those that come with newer versions.
func (o *outdating) mayChange(d lock.Difference) bool {
	released := o.isOfRelease(d.Repository)
	if d.Change == lock.Removed && (d.Subject == lock.SubjectPlugin || d.Subject == lock.SubjectRepository) {
		return !released // the index of a repository of one's own moves on
	}
	switch d.Aspect {
	case lock.AspectIndex:
		return !released
	case lock.AspectSchemas, lock.AspectVerifiedBy, lock.AspectVerifiedWith, lock.AspectFromNewest, lock.AspectReplaces:
		return true
	}
	return d.Subject == lock.SubjectTemplates || d.Subject == lock.SubjectDependency && (fromNewest(o.pinned, d) || fromNewest(o.current.Lock, d))
}

// isDefault reports whether a repository is that of the lock's release.
func (o *outdating) isDefault(r lock.Repository) bool {
	return o.pinned.BotkubeVersion != "" && slices.ContainsFunc(agent.DefaultRepositories(o.pinned.BotkubeVersion), func(d agent.Repository) bool { return d.Name == r.Name && d.URL == r.URL })
}

// isOfRelease is [outdating.isDefault] of a repository's name.
func (o *outdating) isOfRelease(name string) bool {
	return slices.ContainsFunc(o.pinned.Repositories, func(r lock.Repository) bool { return r.Name == name && o.isDefault(r) })
}

// fromNewest reports whether a dependency comes and goes with newer versions of its plugin.
func fromNewest(l *lock.Lock, d lock.Difference) bool {
	for _, p := range l.Plugins {
		for _, b := range p.Builds {
			for _, dep := range b.Dependencies {
				if p.Repository == d.Repository && p.Type == d.Type && p.Name == d.Name && p.Version == d.Version && b.Platform == *d.Platform && dep.Name == d.Dependency {
					return dep.FromNewest
				}
			}
		}
	}
	return false
}

// fill completes what upstream told with what the lock pins: what is not known does not differ.
// needed has the plugins that need a file, by its URL.
func (o *outdating) fill(needed map[string][]string) {
	now, pinned := o.current.Lock, map[string]lock.Artifact{}
	for _, a := range o.pinned.Artifacts {
		pinned[a.URL] = a
	}
	o.fillTemplates()
	for i, a := range now.Artifacts {
		if was, had := pinned[a.URL]; had {
			o.fillArtifact(i, was, needed[a.URL])
		}
	}
	o.fillRepositories()
	now.Sort()
}

// fillTemplates completes templates that could not be downloaded.
func (o *outdating) fillTemplates() {
	files := map[string][]lock.TemplateFile{}
	for _, p := range o.pinned.Plugins {
		for _, t := range p.Templates {
			files[t.URL] = t.Files
		}
	}
	for _, p := range o.current.Lock.Plugins {
		for i, t := range p.Templates {
			if len(t.Files) == 0 {
				p.Templates[i].Files = files[t.URL]
			}
		}
	}
}

// fillArtifact completes artifact i, which the lock has, too: it was not downloaded unless it is
// templates.
func (o *outdating) fillArtifact(i int, was lock.Artifact, needed []string) {
	a := &o.current.Lock.Artifacts[i]
	if a.DirArchive == lock.DirArchiveYAML {
		if a.SHA256 == (lock.SHA256{}) { // they could not be downloaded
			*a = was
		}
		return
	}
	a.Blob = was.Blob
	if sum, given := o.current.Checksum(i); given {
		a.SHA256 = sum
		return
	}
	reason, troubles := NoChecksum, o.current.Troubles[a.URL]
	switch {
	case a.DirArchive == lock.DirArchiveAll:
		reason = "a git repository has no checksum"
	case len(o.current.Downloads[i].Checksums) > 0:
		reason = "the checksum is not SHA-256"
	case len(troubles) > 0:
		reason = strings.Join(troubles, "; ")
		a.VerifiedBy, a.VerifiedWith = was.VerifiedBy, was.VerifiedWith
	}
	for _, trouble := range troubles {
		o.told[trouble] = true
	}
	if o.current.Unasked[a.URL] {
		o.found.Failed = append(o.found.Failed, FailedQuestion{About: a.URL, Error: troubles[0], ExitCode: int(fault.Upstream)})
		return
	}
	o.found.NotCompared = append(o.found.NotCompared, UncomparedFile{a.URL, needed, reason})
}

// fillRepositories adds the repositories whose indexes could not be read.
func (o *outdating) fillRepositories() {
	now := o.current.Lock
	for _, r := range o.pinned.Repositories {
		if o.current.Indexes[r.Name] != nil {
			continue
		}
		now.Repositories = append(now.Repositories, r)
		for _, p := range o.pinned.Plugins {
			if p.Repository == r.Name {
				now.Plugins = append(now.Plugins, p)
			}
		}
	}
}

// checkRelease refuses a release that is none, or that the mirror cannot be compared with.
func (o *outdating) checkRelease() error {
	if o.options.Release == Newest {
		return nil
	}
	if o.pinned.BotkubeVersion == "" {
		return fault.New(fault.Usage, "%s has no Botkube version, so it cannot be compared with a release", form.SourceName(o.found.Target)).WithHint("leave out --release")
	}
	_, err := resolve.ReleaseTag(o.options.Release)
	return err
}

// newestRelease is what upstream says of the release that a mirror is compared with.
type newestRelease struct {
	tag string
	// indexes are those of a release that is newer, or nil.
	indexes *resolve.Current
}

// askRelease asks for the newest release of Botkube, and for the indexes of one that is newer.
func (o *outdating) askRelease(ctx context.Context) (*newestRelease, error) {
	have := o.pinned.BotkubeVersion
	tag, err := o.resolver.Release(ctx, o.options.Release)
	if err != nil {
		hint := strings.TrimPrefix(fault.HintOf(err)+"\nto skip the search for a newer release: --release "+have, "\n")
		return nil, fault.New(fault.KindOf(err), "%w", err).WithHint("%s", hint)
	}
	found := &newestRelease{tag: tag}
	if !o.isNewer(tag) || !slices.ContainsFunc(o.pinned.Repositories, o.isDefault) {
		return found, nil
	}
	var wanted []agent.Repository
	for _, r := range agent.DefaultRepositories(tag) {
		// The index of a repository that is not mirrored tells which plugins moved there.
		if i := slices.IndexFunc(o.pinned.Repositories, func(p lock.Repository) bool { return p.Name == r.Name }); i < 0 || o.isDefault(o.pinned.Repositories[i]) {
			wanted = append(wanted, r)
		}
	}
	found.indexes, err = o.resolver.IndexesOf(ctx, wanted, o.options.Headers)
	return found, err
}

// release looks at the newest release of Botkube.
func (o *outdating) release(ctx context.Context) error {
	if o.newest == nil {
		return nil
	}
	found, err := o.newest()
	switch {
	case err != nil && (found != nil || fault.KindOf(err) != fault.Upstream || ctx.Err() != nil):
		return err
	case err != nil:
		o.fail([]resolve.Failed{{About: "newest release", Err: err}})
		return nil
	}
	// A named version without an index may be no release.
	isRelease := o.options.Release == Newest || found.indexes == nil || len(found.indexes.Indexes) > 0
	o.found.Release = &NewerRelease{found.tag, isRelease && o.isNewer(found.tag)}
	if found.indexes != nil {
		for i := range found.indexes.Failed {
			found.indexes.Failed[i].About += " in Botkube " + found.tag
		}
		o.fail(found.indexes.Failed)
		o.released = found.indexes.Indexes
	}
	return nil
}

// isNewer reports whether a release is newer than the mirror's.
func (o *outdating) isNewer(tag string) bool {
	return newer(tag, o.pinned.BotkubeVersion, o.options.Release != Newest)
}

// newer reports whether a version is newer than another. A pre-release is not, unless the other is
// one, too, or pre-releases are asked for.
func newer(a, than string, prereleases bool) bool {
	return agent.Newer(a, than) && (prereleases || agent.WithoutPrerelease(a) == a || agent.WithoutPrerelease(than) != than)
}

// plugins looks for newer versions of the plugins of the lock.
func (o *outdating) plugins() {
	for i, p := range o.pinned.Plugins {
		same := func(q lock.Plugin) bool { return q.Repository == p.Repository && q.Type == p.Type && q.Name == p.Name }
		if i > 0 && same(o.pinned.Plugins[i-1]) {
			continue
		}
		found := NewerPlugin{Repository: p.Repository, Type: p.Type, Name: p.Name}
		for _, q := range o.pinned.Plugins {
			if same(q) && !slices.Contains(found.Versions, q.Version) {
				found.Versions = append(found.Versions, q.Version)
			}
		}
		o.newestIn(found, o.current.Indexes[p.Repository])
		if r := o.found.Release; r != nil && o.isOfRelease(p.Repository) {
			found.Release = r.Version
			o.newestIn(found, o.released[p.Repository])
		}
	}
}

// newestIn notes what an index has of a plugin that the lock does not have; nil is an index that
// was not read.
func (o *outdating) newestIn(p NewerPlugin, ix *index.Index) {
	if ix == nil {
		return
	}
	versions := ix.Versions(p.Type, p.Name)
	if len(versions) == 0 && (p.Release != "" || !o.isOfRelease(p.Repository)) {
		for _, repository := range slices.Sorted(maps.Keys(o.released)) {
			if moved := o.released[repository].Versions(p.Type, p.Name); p.Release != "" && len(moved) > 0 {
				p.Elsewhere = append(p.Elsewhere, agent.PluginKey{Repository: repository, Name: p.Name, Version: moved[0].Version})
			}
		}
		o.found.Plugins = append(o.found.Plugins, p)
		return
	}
	for _, e := range versions {
		if slices.Contains(p.Versions, e.Version) {
			return // what follows is older
		}
		if slices.ContainsFunc(p.Versions, func(have string) bool {
			return !follows(e.Version, have, p.Release != "" && o.options.Release != Newest)
		}) {
			continue
		}
		p.Newest = e.Version
		o.found.Plugins = append(o.found.Plugins, p)
		return
	}
}

// follows is [newer], but versions that have no order follow each other.
func follows(version, have string, prereleases bool) bool {
	if ordered(version) && ordered(have) {
		return newer(version, have, prereleases)
	}
	return version != have
}

func ordered(v string) bool {
	_, err := version.NewVersion(v)
	return err == nil
}

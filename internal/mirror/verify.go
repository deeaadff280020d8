package mirror

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/dir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
	"github.com/botkube-mirror/botkube-mirror/internal/values"
)

// VerifyOptions say what [Session.Verify] does.
type VerifyOptions struct {
	// Target is a path, docker://REFERENCE, or "-" for Stdin.
	Target string
	Stdin  io.Reader
	// Against is a lock, or another mirror, that the target is compared with; or empty.
	Against string
	// Unpack has the archives of a bundle unpacked too, as an agent's directory
	// needs them.
	Unpack bool
	// Values are as in [resolve.Selection]: whether an agent with these would start from
	// the target alone.
	Values []string
	// AllEnabled is as in [resolve.Selection].
	AllEnabled bool
	// Version is that of the chart that the values are for, where the lock has none.
	Version string
	Place
	// ToolVersion is that of this program.
	ToolVersion string
}

// Verification is what a mirror was found to be. It is printed as JSON for
// machines: what is here stays as it is, see docs/verify.md.
type Verification struct {
	Tool   Tool   `json:"tool"`
	Target string `json:"target"`
	Kind   Kind   `json:"kind"`
	// Intact says that there is no problem.
	Intact         bool             `json:"intact"`
	BotkubeVersion string           `json:"botkubeVersion,omitempty"`
	Platforms      []agent.Platform `json:"platforms"`
	// Tag is that of a bundle, an image or the version of a site.
	Tag string `json:"tag,omitempty"`
	// Digest identifies the target: that of the image index of a bundle or an
	// image, of SHA256SUMS of a directory or a site.
	Digest string `json:"digest,omitempty"`
	// Lock is the digest of the lock, as the command lock writes it.
	Lock string `json:"lock,omitempty"`
	// Mount is where an agent must see a directory or an image.
	Mount string `json:"mount,omitempty"`
	// BaseURL is where a site must be served.
	BaseURL string `json:"baseURL,omitempty"`
	// Unpacked says that the archives of a bundle were unpacked as well.
	Unpacked bool            `json:"unpacked,omitempty"`
	Files    []audit.File    `json:"files"`
	Problems []audit.Problem `json:"problems"`
	// Agents are what agents would do, by platform.
	Agents []audit.Prediction `json:"agents"`
	// Against is what the target was compared with.
	Against *Against `json:"against,omitempty"`
	// Values is what an agent with given values would do.
	Values *values.Checked `json:"values,omitempty"`
	// Unverified counts the files of earlier versions that were not looked at.
	Unverified int      `json:"unverified,omitempty"`
	Notes      []string `json:"notes,omitempty"`
	// Bytes is how much was read.
	Bytes int64 `json:"bytes"`

	// place is the one that was given, if the mirror is written for another.
	place *Place
}

// Tool is the program that verified.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Against is a lock that a target was compared with.
type Against struct {
	Target string `json:"target"`
	// Lock is its digest.
	Lock string `json:"lock"`
	// Remade says that every unpacked file was made again of its upstream file, and
	// compared.
	Remade bool `json:"remade,omitempty"`
	// Differences are from it to the target.
	Differences []lock.Difference `json:"differences"`
	// NotCompared are what one of the two has no room for.
	NotCompared []NotCompared `json:"notCompared,omitempty"`
}

// Failure is the error of a mirror that is not intact, or nil: damage is of kind
// [fault.Integrity], and what is only missing [fault.Incomplete]. So is the error of values
// that leave open whether an agent starts.
func (v *Verification) Failure() error {
	if v.Intact && v.Values != nil {
		return v.Values.Failure(v.name())
	}
	if v.Intact {
		return nil
	}
	counts := map[audit.Kind]int{}
	kind := fault.Incomplete
	for _, p := range v.Problems {
		counts[p.Kind]++
		if p.Kind != audit.KindMissing && p.Kind != audit.KindUnfit && p.Kind != audit.KindSetting {
			kind = fault.Integrity
		}
	}
	var parts []string
	for _, k := range []audit.Kind{audit.KindDamaged, audit.KindMissing, audit.KindUnfit, audit.KindUnexpected, audit.KindIndex, audit.KindDiffers, audit.KindSetting} {
		if n := counts[k]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, problemNames[k]))
		}
	}
	found := "is not intact"
	if v.Values != nil && len(v.Problems) == len(v.Values.Problems) {
		found = "is intact, but an agent with these values would not start from it alone"
	}
	return fault.New(kind, "%s %s: %s", v.name(), found, strings.Join(parts, ", ")).WithHint("%s", v.remedy(counts))
}

// Altered reports whether a file is not what is made again of its upstream files.
func (v *Verification) Altered() bool {
	return slices.ContainsFunc(v.Problems, func(p audit.Problem) bool { return p.Kind == audit.KindDiffers && p.Path != "" })
}

var problemNames = map[audit.Kind]string{
	audit.KindDamaged: "damaged", audit.KindMissing: "missing", audit.KindUnexpected: "unexpected", audit.KindUnfit: "that an agent cannot run",
	audit.KindSetting: "wrong in the values", audit.KindIndex: "wrong in an index", audit.KindDiffers: "different from what it is compared with",
}

func (v *Verification) name() string {
	if v.Target == form.StandardStream {
		return "standard input"
	}
	return v.Target
}

// remedy says what to do about a mirror that is not intact.
func (v *Verification) remedy(counts map[audit.Kind]int) string {
	if v.Altered() {
		return "what is written beside these files agrees with them, or is gone, and yet they are not what was carried over: find out who altered them before anything runs them\n" + v.rewrite()
	}
	if v.Values != nil && len(v.Problems) == len(v.Values.Problems) {
		return v.Values.Remedy(v.Target)
	}
	if len(v.Problems) == counts[audit.KindUnfit] {
		return "these files are as they were published: pull again without the plugins that need them (--exclude), and tell their publishers"
	}
	if v.onlyMisplaced() {
		return v.relocate()
	}
	if v.Against != nil && len(v.Problems) == len(v.Against.Differences) {
		return "it is whole, but another mirror than that of the lock: name the right lock, or get the right mirror"
	}
	if slices.ContainsFunc(v.Problems, func(p audit.Problem) bool { return strings.HasSuffix(p.Detail, fs.ErrPermission.Error()) }) {
		return "run it as a user who may read all of it: what cannot be read may be right"
	}
	if counts[audit.KindUnexpected] > 0 && v.Kind == KindDirectory {
		return "look at what is there unasked, and remove it by hand: nothing else touches it\n" + v.rewrite()
	}
	return v.rewrite()
}

func (v *Verification) rewrite() string {
	switch {
	case strings.HasPrefix(v.Target, form.RegistryPrefix):
		return "push it again with --force from the bundle, where that is intact, and ask whoever runs the registry to look at its storage: a registry may keep what it has under a digest, damaged as it is, until that is removed there"
	case v.Kind == KindDirectory || v.Kind == KindSite:
		return "run the unpack or the pull that wrote it again: it writes what is damaged or missing anew, and leaves the rest"
	case v.Kind == KindImage:
		return "write it anew of the bundle, or copy it again from where it was written"
	}
	return "copy it again from where it was pulled, and compare sha256sum on both sides; there, the next pull mends it"
}

// verifying is one run of [Session.Verify].
type verifying struct {
	*Session
	options VerifyOptions
	report  audit.Report
	result  *Verification
	lock    *lock.Lock
	// misplaced says that it is written for another place than the one that is given.
	misplaced bool
	// valuesFiles are what the options name.
	valuesFiles []chart.File
	read        atomic.Int64
	// remake makes the files of the target of the upstream files of another
	// mirror, and compares them; nil where the target has no such files. It
	// reports whether those were all.
	remake func(ctx context.Context, from *source) (all bool, err error)
}

// Verify reads every byte of a mirror, and tells everything that is wrong with
// it. An error says why that could not be found out; whether the mirror is intact,
// [Verification.Failure] does.
func (s *Session) Verify(ctx context.Context, o VerifyOptions) (*Verification, error) {
	v := &verifying{Session: s, options: o, result: &Verification{
		Tool: Tool{"botkube-mirror", o.ToolVersion}, Target: o.Target, Platforms: []agent.Platform{},
	}}
	if err := v.options.check(); err != nil {
		return nil, err
	}
	if err := v.tryValues(); err != nil {
		return nil, err
	}
	other, err := v.other(ctx)
	if err != nil {
		return nil, err
	}
	if err := v.target(ctx); err != nil {
		return nil, err
	}
	v.located()
	if err := v.against(ctx, other); err != nil {
		return nil, err
	}
	if err := v.values(); err != nil {
		return nil, err
	}
	return v.finish()
}

// is settles what the target is.
func (v *verifying) is(kind Kind) error {
	v.result.Kind = kind
	if v.options.Unpack && kind != KindBundle {
		return fault.New(fault.Usage, "only a bundle has archives to unpack, and %s is none", v.result.name()).WithHint("leave out --unpack: what is in it is unpacked already, or never was packed")
	}
	return v.isServable(kind)
}

func (v *verifying) finish() (*Verification, error) {
	r := v.result
	if v.lock != nil {
		data, err := v.lock.Marshal()
		if err != nil {
			return nil, err
		}
		r.Lock = "sha256:" + lock.Sum(data).String()
		r.BotkubeVersion, r.Platforms = v.lock.BotkubeVersion, v.lock.Platforms
	}
	r.Files, r.Problems, r.Agents, r.Notes = v.report.Files(), v.report.Problems(), v.report.Predictions(), v.report.Notes()
	r.Unverified = v.report.Left()
	for _, o := range r.Agents {
		// A call to elsewhere always has a cause among the problems; should it
		// have none, it is one.
		if len(r.Problems) == 0 && len(o.External)+len(o.Failures) > 0 {
			r.Problems = append(r.Problems, audit.Problem{Kind: audit.KindIndex, Detail: "an agent for " + o.Platform.String() + " would not start from it alone"})
		}
	}
	r.Intact, r.Bytes = len(r.Problems) == 0, v.read.Load()
	if v.misplaced {
		r.place = &v.options.Place
	}
	// To a machine, an empty list is one.
	r.Files = append([]audit.File{}, r.Files...)
	r.Problems = append([]audit.Problem{}, r.Problems...)
	r.Agents = append([]audit.Prediction{}, r.Agents...)
	return r, nil
}

// hashed counts what was read, and tells of it.
func (v *verifying) hashed(n int64) {
	v.read.Add(n)
	v.Observe(Event{Kind: EventProgress, Subject: v.options.Target, Bytes: n})
}

// planned tells how much there is to be read.
func (v *verifying) planned(total int64, files int) {
	v.Observe(Event{Kind: EventPlanned, Count: files, Total: total})
}

// target finds out what the target is, and looks at all of it.
func (v *verifying) target(ctx context.Context) error {
	target := v.options.Target
	if reference, ok := strings.CutPrefix(target, form.RegistryPrefix); ok {
		return v.registry(ctx, reference)
	}
	if target == form.StandardStream {
		return v.standardInput(ctx)
	}
	at, err := locate(target)
	if err != nil {
		return err
	}
	path := at.path
	fi, err := os.Stat(path)
	if err != nil {
		return unopened(path, err)
	}
	switch {
	case oci.Sniff(path) != oci.NoLayout:
		return v.layout(ctx, at)
	case fi.IsDir():
		return v.directory(ctx, path)
	case !fi.Mode().IsRegular():
		return fault.New(fault.Usage, "%s is neither a regular file nor a directory", path).WithHint(inspectHint)
	}
	return v.file(ctx, path)
}

// file verifies a file that does not begin like a tar: a bundle, of which too
// little is left to tell, or no mirror.
func (v *verifying) file(ctx context.Context, path string) error {
	start, err := startOf(path)
	if err != nil {
		return unopened(path, err)
	}
	if looksLikeLock(start) {
		return fault.New(fault.Usage, "%s is a lock, which there is nothing to verify of", path).
			WithHint("compare a mirror with it: botkube-mirror verify MIRROR --against %s", path)
	}
	return v.layout(ctx, located{path: path})
}

// layout verifies a bundle or an image, in a file or a directory.
func (v *verifying) layout(ctx context.Context, at located) error {
	l, err := oci.Open(ctx, at.path)
	if err != nil {
		return v.unreadable(KindBundle, err)
	}
	return v.layoutIn(ctx, l, at)
}

// layoutIn verifies a bundle or an image in a layout, and closes that.
func (v *verifying) layoutIn(ctx context.Context, l *oci.Layout, at located) error {
	defer l.Close()
	notBundle := error(bundle.ErrNotBundle)
	if at.form != "image" {
		b, err := bundle.OpenIncomplete(ctx, l, at.name)
		if err == nil {
			v.named(b.Contents().Tag, b.Names(), b.Others())
			return v.bundle(ctx, b)
		}
		if !maybeImage(err) {
			return v.unreadable(KindBundle, err)
		}
		notBundle = err
	}
	if err := v.is(KindImage); err != nil {
		return err
	}
	im, err := image.AuditLayout(ctx, l, at.name, runtime.GOMAXPROCS(0), &v.report, v.hashed)
	if err != nil {
		return v.unreadable(KindImage, noImage(l.Name(), notBundle, err))
	}
	tag := ""
	if im.Lock != nil {
		if tag, err = im.Lock.Tag(); err != nil {
			return err
		}
	}
	v.named(tag, im.Names, im.Others)
	v.imageFound(im)
	return nil
}

// othersTold is how many documents beside a mirror in its layout are told of.
const othersTold = 8

// named notes what other tools made of the index.json of a layout: the tags that a
// mirror has there, if its own is not among them, and the documents beside it.
func (v *verifying) named(tag string, names []string, others []oci.Named) {
	if own := (oci.Named{Names: names}); len(names) > 1 || len(names) > 0 && !own.Answers(tag) {
		v.report.Note(fmt.Sprintf("index.json calls it %s", oci.Clip(strings.Join(names, ", "))))
	}
	var told []string
	for _, n := range others[:min(len(others), othersTold)] {
		told = append(told, n.String())
	}
	if len(others) > othersTold {
		told = append(told, fmt.Sprintf("and %d more", len(others)-othersTold))
	}
	if len(told) > 0 {
		v.report.Note("index.json also names what is not part of it, and was not verified: " + strings.Join(told, "; "))
	}
}

// unreadable reports a mirror of which nothing more can be found out than that
// it is damaged.
func (v *verifying) unreadable(kind Kind, err error) error {
	state, ok := audit.StateOf(err)
	if !ok {
		return err
	}
	v.result.Kind = kind
	v.report.Fail(audit.Problem{Kind: audit.Kind(state), Detail: err.Error()})
	return nil
}

func (v *verifying) imageFound(im *image.Image) {
	v.lock = im.Lock
	r := v.result
	r.Kind, r.Tag, r.Digest, r.Mount = KindImage, im.Tag, digestOf(im.Top), im.Mount
	v.remake = func(ctx context.Context, from *source) (bool, error) {
		return v.remakeFiles(ctx, from, func(_ agent.Platform, file string) string { return im.Mount + "/" + file })
	}
}

func (v *verifying) standardInput(ctx context.Context) error {
	l, err := oci.OpenStream(ctx, v.options.Stdin)
	if err != nil {
		return v.unreadable(KindBundle, err)
	}
	return v.layoutIn(ctx, l, located{})
}

// directory verifies a directory that is no layout: what an agent starts from, a
// site, or a version of one.
func (v *verifying) directory(ctx context.Context, path string) error {
	switch root, tag := filepath.Split(filepath.Clean(path)); {
	case dir.IsDirectory(path):
		return v.cacheDirectory(ctx, path)
	case site.HasVersions(path):
		return v.site(ctx, path, "")
	case root != "" && site.HasVersions(filepath.Clean(root)):
		return v.site(ctx, filepath.Clean(root), tag)
	case dir.MayBeDirectory(path):
		return v.cacheDirectory(ctx, path)
	}
	_, err := dir.ReadLock(path) // says what is missing, if it may be a copy
	return fault.New(fault.Usage, "%s is neither a directory that pull wrote nor a site nor a bundle", path).
		WithHint("%s", cmp.Or(fault.HintOf(err), inspectHint))
}

// sizes sums up the upstream files of a lock: about what there is to be read.
func sizes(l *lock.Lock) (total int64) {
	for _, a := range l.Artifacts {
		total += a.Size
	}
	return total
}

func (v *verifying) cacheDirectory(ctx context.Context, path string) error {
	if err := v.is(KindDirectory); err != nil {
		return err
	}
	if l, err := dir.ReadLock(path); err == nil {
		v.planned(sizes(l), len(l.Artifacts))
	}
	found, err := dir.Audit(ctx, path, &v.report, dir.AuditOptions{Mount: v.options.Mount, Waiting: v.waiting, Hashed: v.hashed})
	if err != nil {
		return err
	}
	v.lock, v.result.Mount = found.Lock, found.Mount
	if found.Lock != nil {
		v.result.Digest = "sha256:" + found.Digest.String()
		v.remake = func(ctx context.Context, from *source) (bool, error) {
			return v.remakeFiles(ctx, from, func(p agent.Platform, file string) string {
				if len(found.Lock.Platforms) > 1 {
					return p.Dir() + "/" + file
				}
				return file
			})
		}
	}
	return nil
}

func (v *verifying) site(ctx context.Context, root, tag string) error {
	if err := v.is(KindSite); err != nil {
		return err
	}
	o := site.AuditOptions{Tag: tag, Waiting: v.waiting, Hashed: v.hashed}
	if !v.options.Served {
		o.BaseURL = v.options.BaseURL
	}
	versions, err := site.Audit(ctx, root, &v.report, o)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		return fault.New(fault.Usage, "the site %s has no version %s", root, tag).WithHint("see what it has: botkube-mirror list %s", root)
	}
	v.writtenFor(versions)
	if len(versions) > 1 {
		v.severalVersions(root, versions)
		return nil
	}
	v.lock, v.result.Tag = versions[0].Lock, versions[0].Tag
	if versions[0].Digest != (lock.SHA256{}) {
		v.result.Digest = "sha256:" + versions[0].Digest.String()
	}
	return nil
}

// severalVersions describes a site that has no one lock.
func (v *verifying) severalVersions(root string, versions []site.Audited) {
	var tags, served []string
	for _, version := range versions {
		tags = append(tags, version.Tag)
		if version.BaseURL != "" && version.BaseURL != v.result.BaseURL && !v.options.Served {
			served = append(served, fmt.Sprintf("%s at %s", version.Tag, version.BaseURL))
		}
		if version.Lock != nil {
			v.result.Platforms = append(v.result.Platforms, version.Lock.Platforms...)
		}
	}
	slices.SortFunc(v.result.Platforms, agent.ComparePlatforms)
	v.result.Platforms = slices.Compact(v.result.Platforms)
	v.report.Note(fmt.Sprintf("the site has several versions, all of which were verified: %s", strings.Join(tags, ", ")))
	if len(served) > 0 {
		v.report.Note(fmt.Sprintf("not every version must be served at %s: %s", v.result.BaseURL, strings.Join(served, ", ")))
	}
}

// other opens what the target is compared with, before all of the target is read
// in vain.
func (v *verifying) other(ctx context.Context) (*inspected, error) {
	if v.options.Against == "" {
		return nil, nil
	}
	if v.options.Against == form.StandardStream && v.options.Target == form.StandardStream {
		return nil, fault.New(fault.Usage, "standard input can be read once only").WithHint("write one of them to a file")
	}
	return v.inspect(ctx, v.options.Against, v.options.Stdin)
}

// against compares the target with another mirror's lock, if there is one.
func (v *verifying) against(ctx context.Context, other *inspected) error {
	if other == nil {
		return nil
	}
	if v.lock == nil && v.result.Kind == KindSite && len(v.report.Problems()) == 0 {
		return fault.New(fault.Usage, "%s has several versions, each with a lock of its own", v.options.Target).
			WithHint("name one of them: %s", filepath.Join(strings.TrimPrefix(v.options.Target, "site:"), "VERSION"))
	}
	if v.lock == nil {
		v.report.Note(fmt.Sprintf("it was not compared with %s: it has no one lock that can be read", v.options.Against))
		return nil // why is a problem already
	}
	data, err := other.lock.Marshal()
	if err != nil {
		return err
	}
	compared := &Against{Target: v.options.Against, Lock: "sha256:" + lock.Sum(data).String(), Differences: []lock.Difference{}}
	v.result.Against = compared
	v.compare(compared, other)
	if other.kind == KindBundle && v.remake != nil && v.options.Against != form.StandardStream {
		return v.compareRemade(ctx, compared)
	}
	return nil
}

// compare reports how the target's lock differs. A directory is for fewer
// platforms than a lock may be, and holds no image and no chart.
func (v *verifying) compare(compared *Against, other *inspected) {
	theirs, ours := other.lock, v.lock
	if !v.result.Kind.holdsMembers() || !other.kind.holdsMembers() {
		for _, l := range []*lock.Lock{theirs, ours} {
			compared.leaveOut(v.result.Kind, l)
		}
		theirs, ours = theirs.PluginsOnly(), ours.PluginsOnly()
	}
	if v.result.Kind == KindDirectory {
		if part := intersect(theirs.Platforms, ours.Platforms); len(part) > 0 && len(part) < len(theirs.Platforms) {
			v.report.Note(fmt.Sprintf("%s is also for %s, which the directory is not for", compared.Target, agent.JoinPlatforms(without(theirs.Platforms, part))))
			theirs = theirs.Subset(part, func(lock.Plugin) bool { return true })
		}
	}
	compared.Differences = append(compared.Differences, lock.Diff(theirs, ours)...)
	for _, d := range compared.Differences {
		p := audit.Problem{Kind: audit.KindDiffers, Detail: d.String()}
		switch d.Change {
		case lock.Added:
			p.Detail = d.What() + " is here, but not in what it is compared with"
		case lock.Removed:
			p = audit.Problem{Kind: audit.KindMissing, Detail: d.What() + " is not here"}
		}
		v.report.Fail(p)
	}
}

func (a *Against) leaveOut(narrow Kind, l *lock.Lock) {
	d := Diffed{}
	d.leaveOut(narrow, l)
	a.NotCompared = append(a.NotCompared, d.NotCompared...)
}

func intersect(a, b []agent.Platform) []agent.Platform {
	return slices.DeleteFunc(slices.Clone(a), func(p agent.Platform) bool { return !slices.Contains(b, p) })
}

func without(a, b []agent.Platform) []agent.Platform {
	return slices.DeleteFunc(slices.Clone(a), func(p agent.Platform) bool { return slices.Contains(b, p) })
}

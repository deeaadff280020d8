// Package push publishes what a bundle holds in a registry: the bundle itself, the mountable image
// that is made of it, and its members. It refuses what a registry, or a tag with other content,
// does not let it publish before anything is sent, and sets the tags last.
package push

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// Options say what is published, and where.
type Options struct {
	// Prefix is HOST[:PORT][/PATH], below which the repositories are.
	Prefix string
	// ChartPath is where below the prefix the chart is; empty means [DefaultChartPath].
	ChartPath string
	// Tags are those of the image and the bundle; none means the Botkube version.
	Tags []string
	// Skip leaves parts out.
	Skip []Part
	// Force moves tags that have other content.
	Force bool
	// DryRun finds out what would be sent and what is in the way, and writes nothing.
	DryRun bool
}

// Source is what is published: a mirror, and the bundle and the image that are made of it.
type Source struct {
	// Name is what the user calls it.
	Name string
	Lock *lock.Lock
	form.Content
	// Image says how the mountable image is made.
	Image form.WriteOptions
	// Origin is where the source lies, if that is in a registry.
	Origin *Origin
}

// Origin is the repository that a bundle is read from.
type Origin struct {
	Registry   *registry.Client
	Repository *registry.Repository
	// Digest is that of the bundle there, and Tag its tag, or empty.
	Digest lock.SHA256
	Tag    string
	// Store is what its blobs come through. Fetch brings one of any repository.
	Store *store.Store
	Fetch func(ctx context.Context, from *registry.Repository, b lock.Blob) (transferred int64, err error)
}

func (o *Origin) inStore(b lock.Blob) bool {
	size, there := o.Store.Has(b.SHA256)
	return there && size == b.Size
}

// Result is what was published. It is printed as JSON for machines.
type Result struct {
	DryRun         bool         `json:"dryRun,omitempty"`
	Source         string       `json:"source"`
	BotkubeVersion string       `json:"botkubeVersion,omitempty"`
	Parts          []PartResult `json:"parts"`
	// UploadedBytes went over the network, what was sent again included.
	UploadedBytes int64 `json:"uploadedBytes"`
	// Absent are parts that the source does not have.
	Absent []Part `json:"absent,omitempty"`
}

// PartResult is one part in the registry.
type PartResult struct {
	Part Part `json:"part"`
	// Reference has the first of the tags.
	Reference string      `json:"reference"`
	Tags      []TagResult `json:"tags"`
	// Digest is empty if a dry run does not know it.
	Digest string `json:"digest,omitempty"`
	// Changed says whether a tag was set: it was not there, or had other content.
	Changed bool `json:"changed"`
	// Size is that of all blobs, in bytes.
	Size int64 `json:"size"`
	// UploadedBytes is how much of it went over the network.
	UploadedBytes int64 `json:"uploadedBytes"`
	// MountOnly are the platforms whose image has no program to seed a volume.
	MountOnly []agent.Platform `json:"mountOnly,omitempty"`
	// ToSend and There are what a dry run finds out of the blobs, unless Unknown says why it
	// cannot.
	ToSend  *Amount `json:"toSend,omitempty"`
	There   *Amount `json:"there,omitempty"`
	Unknown string  `json:"unknown,omitempty"`
	// Referrers are signatures, SBOMs and whatever else refers to a manifest of the part, if the
	// source is in a registry. ReferrersUnknown says why they are not known.
	Referrers        []ReferrerResult `json:"referrers,omitempty"`
	ReferrersUnknown string           `json:"referrersUnknown,omitempty"`
	// OwnIndex says that the index of an image is not upstream's, because the source has not all
	// that upstream's names.
	OwnIndex bool `json:"ownIndex,omitempty"`
	// Problem is what is in the way.
	Problem string `json:"inTheWay,omitempty"`
}

// TagResult is a tag of a part.
type TagResult struct {
	Tag string `json:"tag"`
	// There is the digest that the tag had before, if it was there.
	There string `json:"there,omitempty"`
	// Changed says whether it was set, or would be. A dry run says it if it knows the digest.
	Changed bool `json:"changed"`
}

// Observer is told what happens, from several goroutines.
type Observer struct {
	// Planned is told how many blobs of a part there are.
	Planned func(blobs int, size int64)
	// Uploading, Progress and Uploaded are about a blob. The registry may have had it.
	Uploading func(blob string, size int64)
	Progress  func(blob string, size int64) func(done int64)
	Uploaded  func(blob string, size int64, reused bool)
	// Tagged is told of a tag that was set.
	Tagged func(reference string)
}

// Pusher publishes.
type Pusher struct {
	Registry *registry.Client
	// Parallel is how many blobs are uploaded at a time.
	Parallel int
	Observer Observer
}

type push struct {
	Pusher
	Source
	options Options
	bundle  *bundle.Contents
	// upstream are the blobs that come from the source, not from here.
	upstream     map[lock.SHA256]bool
	parts        []Part
	destinations map[Part]*destination
	// verdict is the error with which a dry run ends.
	verdict error
}

// Push publishes a source in a registry. Blobs that the registry has are not sent again. A tag that
// has other content is an error, unless Force is set, before anything is uploaded for it. A dry run
// returns a result beside the error of what is in the way.
func (p Pusher) Push(ctx context.Context, src Source, o Options) (*Result, error) {
	run := &push{Pusher: p, Source: src, options: o, upstream: map[lock.SHA256]bool{}}
	for _, b := range src.Lock.Blobs() {
		run.upstream[b.SHA256] = true
	}
	if c := src.Lock.Chart; c != nil {
		// What Helm wants to know of a chart is read from it.
		if err := run.obtain(ctx, c.Blob); err != nil {
			return nil, err
		}
	}
	var err error
	if run.bundle, err = bundle.Plan(ctx, src.Lock, src.Blobs); err != nil {
		return nil, err
	}
	result := &Result{DryRun: o.DryRun, BotkubeVersion: src.Lock.BotkubeVersion, Absent: run.choose()}
	if len(run.parts) == 0 {
		return nil, fault.New(fault.Usage, "nothing of %s is left to publish", src.Name).WithHint("skip fewer parts")
	}
	if err := run.prepare(ctx); err != nil {
		return nil, err
	}
	for _, part := range run.parts {
		uploaded, err := run.upload(ctx, part)
		if err != nil {
			return nil, run.publishing(part, err)
		}
		result.Parts = append(result.Parts, uploaded)
		result.UploadedBytes += uploaded.UploadedBytes
	}
	for i, part := range run.parts {
		sent, err := run.copyReferrers(ctx, part, &result.Parts[i])
		if err != nil {
			err = run.inTheWay(run.destinations[part], run.referring(ctx, part, err))
		}
		if err != nil {
			return nil, err
		}
		result.UploadedBytes += sent
		if problem := run.destinations[part].problem; problem != nil {
			result.Parts[i].Problem = problem.Error()
		}
	}
	// What the registry refuses of any part, it refused before there is a tag of any.
	for i, part := range run.parts {
		if err := run.tag(ctx, part, &result.Parts[i]); err != nil {
			return nil, run.publishing(part, err)
		}
	}
	return result, run.verdict
}

// obtain makes a blob of the source ready to be read.
func (p *push) obtain(ctx context.Context, b lock.Blob) error {
	if p.Obtain == nil || !p.upstream[b.SHA256] {
		return nil
	}
	_, err := p.Obtain(ctx, b)
	return err
}

// choose settles which parts are published, and returns those that the source lacks.
func (p *push) choose() (absent []Part) {
	for _, part := range Parts {
		switch {
		case slices.Contains(p.options.Skip, part):
		case part.heldBy(p.Lock):
			p.parts = append(p.parts, part)
		case part != WatcherImage: // most charts run no such container
			absent = append(absent, part)
		}
	}
	return absent
}

// tagsOf returns the tags of a part, so that charts, Helm and the command values find it. The
// agent's image keeps its tag, and a chart has its version. The watcher's image has the Botkube
// version, because upstream's tag is the same in many of them. The rest gets the tags that the user
// names, or the Botkube version.
func (p *push) tagsOf(part Part) []string {
	switch part {
	case AgentImage:
		if tag := AgentTag(p.Lock); tag != "" {
			return []string{tag}
		}
	case Chart:
		return chartTags(p.Lock.Chart.Version)
	case Image, Bundle:
		if len(p.options.Tags) > 0 {
			return p.options.Tags
		}
	}
	return []string{p.bundle.Tag}
}

// chartTags returns a chart's version as Helm writes it in tags, and the same with or without v:
// Helm asks for the very tag that a user names, and finds the newest among those without only.
func chartTags(version string) []string {
	tag := strings.ReplaceAll(version, "+", "_")
	number, had := strings.CutPrefix(tag, "v")
	other := number
	if !had {
		other = "v" + tag
	}
	if !startsWithDigit(number) || !lock.IsTag(other) {
		return []string{tag}
	}
	return []string{tag, other}
}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// documents returns the document of a part that gets the tag, and those below it. Of the
// image, there are none before it is made.
func (p *push) documents(part Part) (top bundle.Document, below []bundle.Document, err error) {
	member := slices.DeleteFunc(slices.Clone(p.bundle.Manifests), func(d bundle.Document) bool { return d.Member != kinds[part].member })
	switch part {
	case Image:
		return top, nil, nil
	case Bundle:
		return p.bundle.Index, slices.Clone(p.bundle.Manifests), nil
	case Chart:
		return member[0], nil, nil
	}
	top, err = p.bundle.ImageIndex(kinds[part].role)
	return top, member, err
}

// tag sets the tags of a part that do not have its digest.
func (p *push) tag(ctx context.Context, part Part, uploaded *PartResult) error {
	to := p.destinations[part]
	var digest lock.SHA256
	if to.top.Data != nil {
		digest = to.top.Blob().SHA256
		uploaded.Digest = digest.OCI()
	}
	for _, t := range to.tags {
		set := TagResult{Tag: t.name, Changed: to.top.Data != nil && !t.has(digest)}
		if t.there != nil {
			set.There = t.there.OCI()
		}
		uploaded.Tags = append(uploaded.Tags, set)
		uploaded.Changed = uploaded.Changed || set.Changed
		if !set.Changed || p.options.DryRun {
			continue
		}
		if err := to.repo.PutManifest(ctx, t.name, to.top.MediaType, to.top.Data); err != nil {
			return err
		}
		p.Observer.Tagged(to.reference(t))
	}
	return nil
}

// publishing is an error of a part that is being published, with the next step
// where that is to leave the part out.
func (p *push) publishing(part Part, err error) error {
	err = fmt.Errorf("publishing %s: %w", p.destinations[part], err)
	switch registry.RefusalOf(err) {
	case registry.RefusedDocument:
		if part == Image || kinds[part].role != "" {
			return err
		}
		return fault.New(fault.KindOf(err), "%w; no tag was set", err).
			WithHint("the registry takes images only, it seems: --skip %s publishes the rest; a newer version of the registry, or a switch of it, may take OCI artifacts", part)
	case registry.RefusedTag:
		return fault.New(fault.KindOf(err), "%w", err).
			WithHint("the registry does not let a tag be moved (immutable tags): push to another PREFIX, leave the part out with --skip %s, or have that lifted for this tag", part)
	}
	return err
}

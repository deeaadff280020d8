// Package push publishes a bundle in a registry: the bundle itself, the mountable image that it makes
// from it, the agent's images and the chart. Before it sends anything, it checks that the registry
// accepts all parts and that no tag has other content. It sets the tags last.
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

// Options say what to publish, and where.
type Options struct {
	// Prefix is HOST[:PORT][/PATH]. All repositories are below it.
	Prefix string
	// ChartPath is the path of the chart's repository below the prefix; empty means
	// [DefaultChartPath].
	ChartPath string
	// Tags are the tags of the image and the bundle; none means the Botkube version.
	Tags []string
	// Skip has the parts to leave out.
	Skip []Part
	// Force replaces tags that have other content.
	Force bool
	// DryRun finds out what would be sent, and what prevents the push. It writes nothing.
	DryRun bool
}

// Source is the mirror to publish.
type Source struct {
	// Name is the source as the user wrote it.
	Name string
	Lock *lock.Lock
	form.Content
	// Image has the options for making the mountable image.
	Image form.WriteOptions
	// Origin is the source's repository if the source is in a registry; otherwise nil.
	Origin *Origin
}

// Origin is the repository of a bundle that is read from a registry.
type Origin struct {
	Registry   *registry.Client
	Repository *registry.Repository
	// Digest is the bundle's digest there, and Tag its tag, or empty.
	Digest lock.SHA256
	Tag    string
	// Store keeps the blobs that are downloaded. Fetch downloads a blob of any repository, and
	// returns how many bytes came.
	Store *store.Store
	Fetch func(ctx context.Context, from *registry.Repository, b lock.Blob) (transferred int64, err error)
}

func (o *Origin) inStore(b lock.Blob) bool {
	size, there := o.Store.Has(b.SHA256)
	return there && size == b.Size
}

// Result is what was published. It is the JSON result of the command push.
type Result struct {
	DryRun         bool         `json:"dryRun,omitempty"`
	Source         string       `json:"source"`
	BotkubeVersion string       `json:"botkubeVersion,omitempty"`
	Parts          []PartResult `json:"parts"`
	// UploadedBytes is how many bytes were sent, with those that were sent again.
	UploadedBytes int64 `json:"uploadedBytes"`
	// Absent has the parts that the source does not have.
	Absent []Part `json:"absent,omitempty"`
}

// PartResult is one part in the registry.
type PartResult struct {
	Part Part `json:"part"`
	// Reference has the first of the tags.
	Reference string      `json:"reference"`
	Tags      []TagResult `json:"tags"`
	// Digest is sha256:…; empty if a dry run does not know it.
	Digest string `json:"digest,omitempty"`
	// Changed says whether a tag was set, because it did not exist or had other content.
	Changed bool `json:"changed"`
	// Size is the size of all blobs in bytes.
	Size int64 `json:"size"`
	// UploadedBytes is how many bytes were sent.
	UploadedBytes int64 `json:"uploadedBytes"`
	// Platforms are those of the image with the plugins.
	Platforms []agent.Platform `json:"-"`
	// MountOnly has the platforms whose image has no program that can fill a volume.
	MountOnly []agent.Platform `json:"mountOnly,omitempty"`
	// ToSend and There count the blobs that a dry run would send, and that the registry has. Unknown
	// says why they are not known.
	ToSend  *Amount `json:"toSend,omitempty"`
	There   *Amount `json:"there,omitempty"`
	Unknown string  `json:"unknown,omitempty"`
	// Referrers has the signatures, SBOMs and other referrers of the part's manifests, if the source
	// is in a registry. ReferrersUnknown says why they are not known.
	Referrers        []ReferrerResult `json:"referrers,omitempty"`
	ReferrersUnknown string           `json:"referrersUnknown,omitempty"`
	// OwnIndex says that an image gets an index with another digest than upstream's, because the
	// source does not have all that upstream's index names.
	OwnIndex bool `json:"ownIndex,omitempty"`
	// Problem says why the part cannot be pushed (dry run).
	Problem string `json:"inTheWay,omitempty"`
}

// TagResult is a tag of a part.
type TagResult struct {
	Tag string `json:"tag"`
	// There is the digest that the tag had before; empty if it did not exist.
	There string `json:"there,omitempty"`
	// Changed says whether the tag was set or, in a dry run, would be. If a dry run does not know the
	// digest, it is false.
	Changed bool `json:"changed"`
}

// Observer has functions that are called while a push runs. Calls may be concurrent. Sizes are in
// bytes; -1 means unknown.
type Observer struct {
	// Planned gets the number and the size of the blobs of a part.
	Planned func(blobs int, size int64)
	// Uploading, Progress and Uploaded are called for a blob. Reused says that the registry had it.
	Uploading func(blob string, size int64)
	Progress  func(blob string, size int64) func(done int64)
	Uploaded  func(blob string, size int64, reused bool)
	// Tagged is called after a tag was set.
	Tagged func(reference string)
}

// Pusher publishes sources.
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
	// upstream has the blobs of the lock; other blobs are made here.
	upstream     map[lock.SHA256]bool
	parts        []Part
	destinations map[Part]*destination
	// verdict is the error at the end of a dry run.
	verdict error
}

// Push publishes a source in a registry. It does not send blobs that the registry has. A tag with
// other content is an error before anything is uploaded for it, unless Force is set. A dry run may
// return both a result and an error.
func (p Pusher) Push(ctx context.Context, src Source, o Options) (*Result, error) {
	run := &push{Pusher: p, Source: src, options: o, upstream: map[lock.SHA256]bool{}}
	for _, b := range src.Lock.Blobs() {
		run.upstream[b.SHA256] = true
	}
	if c := src.Lock.Chart; c != nil {
		// The metadata for Helm is read from the chart.
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
		return nil, fault.New(fault.Usage, "nothing of %s is left to publish", src.Name).WithHint("remove parts from --skip")
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
	// No tag is set before the registry has accepted all parts.
	for i, part := range run.parts {
		if err := run.tag(ctx, part, &result.Parts[i]); err != nil {
			return nil, run.publishing(part, err)
		}
	}
	return result, run.verdict
}

// obtain downloads a blob of the source if it is in a registry.
func (p *push) obtain(ctx context.Context, b lock.Blob) error {
	if p.Obtain == nil || !p.upstream[b.SHA256] {
		return nil
	}
	_, err := p.Obtain(ctx, b)
	return err
}

// choose selects the parts to publish, and returns those that the source does not have.
func (p *push) choose() (absent []Part) {
	for _, part := range Parts {
		switch {
		case slices.Contains(p.options.Skip, part):
		case part.heldBy(p.Lock):
			p.parts = append(p.parts, part)
		case part != WatcherImage: // most charts have no such container
			absent = append(absent, part)
		}
	}
	return absent
}

// tagsOf returns the tags of a part. Charts, Helm and botkube-mirror values rely on them. The agent's
// image keeps its tag, and a chart has its version. The watcher image has the Botkube version, because
// upstream uses one tag for many versions. The image and the bundle have the user's tags, or the
// Botkube version.
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

// chartTags returns a chart's version as Helm writes it in a tag, with and without v. Helm requests
// the tag exactly as the user writes it, and looks for the newest version in tags without v only.
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

// documents returns the document of a part that gets the tag, and the manifests below it. For the
// image, it returns none: they are made later.
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
		if t.digest != nil {
			set.There = t.digest.OCI()
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

// publishing returns the error for a part, with a hint if leaving out the part helps.
func (p *push) publishing(part Part, err error) error {
	err = fmt.Errorf("publishing %s: %w", p.destinations[part], err)
	switch registry.RefusalOf(err) {
	case registry.RefusedDocument:
		if part == Image || kinds[part].role != "" {
			return err
		}
		return fault.New(fault.KindOf(err), "%w; no tag was set", err).
			WithHint("publish the other parts: --skip %s\nthe registry seems to accept images only: a newer version or a setting may accept OCI artifacts", part)
	case registry.RefusedTag:
		return fault.New(fault.KindOf(err), "%w", err).
			WithHint("push to another PREFIX, or leave the part out with --skip %s, or allow overwriting this tag in the registry (immutable tags)", part)
	}
	return err
}

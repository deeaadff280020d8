package mirror

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// Part is something that a push publishes.
type Part string

// The parts, by the names that flags have for them.
const (
	// PartImage is the mountable image, in PREFIX/botkube-plugins.
	PartImage Part = "image"
	// PartBundle is the bundle itself, in PREFIX/botkube-plugins-bundle.
	PartBundle Part = "bundle"
	// PartAgentImage is the agent's image, in PREFIX/botkube.
	PartAgentImage Part = "agent-image"
	// PartWatcherImage is the image of the second container of charts v1.0.0 to v1.4.1,
	// in PREFIX/k8s-sidecar.
	PartWatcherImage Part = "watcher-image"
	// PartChart is the Helm chart, in PREFIX/charts/botkube, or where
	// [PushOptions.ChartPath] has it.
	PartChart Part = "chart"
)

// Parts lists all parts, in the order in which they are published. The bundle
// comes last: a site that finds it finds the rest as well.
var Parts = []Part{PartImage, PartAgentImage, PartWatcherImage, PartChart, PartBundle}

// image returns which of a lock's images a part is; false where it is none.
func (p Part) image() (lock.ImageRole, bool) {
	switch p {
	case PartAgentImage:
		return lock.RoleAgent, true
	case PartWatcherImage:
		return lock.RoleWatcher, true
	}
	return "", false
}

// imagePart returns the part that one of a lock's images is.
func imagePart(role lock.ImageRole) Part {
	if role == lock.RoleWatcher {
		return PartWatcherImage
	}
	return PartAgentImage
}

// DefaultChartPath is where below PREFIX the chart is, unless told otherwise.
const DefaultChartPath = "charts/botkube"

// PushOptions say what [Session.Push] does.
type PushOptions struct {
	SubsetOptions
	// Source is as in [UnpackOptions].
	Source string
	Stdin  io.Reader
	// Prefix is HOST[:PORT][/PATH], below which the repositories are.
	Prefix string
	// ChartPath is where below the prefix the chart is; empty means [DefaultChartPath].
	ChartPath string
	// Skip leaves parts out.
	Skip []Part
	// Force moves tags that have other content.
	Force bool
	// Mount, Seeders and ModTime are those of the mountable image.
	Mount   string
	Seeders form.Seeders
	ModTime time.Time
}

// Pushed is what a push did. It is printed as JSON for machines.
type Pushed struct {
	Source         string       `json:"source"`
	BotkubeVersion string       `json:"botkubeVersion,omitempty"`
	Parts          []PushedPart `json:"parts"`
	// UploadedBytes went over the network, what was sent again included.
	UploadedBytes int64 `json:"uploadedBytes"`
	// Absent are parts that the source does not have.
	Absent []Part `json:"absent,omitempty"`
}

// PushedPart is one part in the registry.
type PushedPart struct {
	Part Part `json:"part"`
	// Reference has the tag.
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	// Changed says whether the tag was set: it was not there, or had other content.
	Changed bool `json:"changed"`
	// Size is that of all blobs, in bytes.
	Size int64 `json:"size"`
	// UploadedBytes is how much of it went over the network.
	UploadedBytes int64 `json:"uploadedBytes"`
	// MountOnly is as in [OutputResult].
	MountOnly []agent.Platform `json:"mountOnly,omitempty"`
}

// Push publishes a bundle's content in a registry. Blobs that the registry has
// are not sent again. A tag that has other content is an error, unless Force
// is set, before anything is uploaded for it.
func (s *Session) Push(ctx context.Context, o PushOptions) (*Pushed, error) {
	if err := image.CheckMount(o.Mount); err != nil {
		return nil, err
	}
	src, err := s.openSource(ctx, o.Source, o.Stdin)
	if err != nil {
		return nil, err
	}
	defer src.close()
	if src.Blobs == nil {
		return nil, fault.New(fault.Usage, "%s is a directory of unpacked plugins; only a bundle can be published", src.name).
			WithHint("name the bundle that it was made of")
	}
	l, err := src.subset(o.SubsetOptions)
	if err != nil {
		return nil, err
	}
	if err := checkRoom(s.pushNeeds(src, l, o.Skip)); err != nil {
		return nil, err
	}
	contents, err := s.contentsOf(ctx, src, l)
	if err != nil {
		return nil, err
	}
	p := &push{session: s, options: o, src: src, lock: l, contents: contents, upstream: map[lock.SHA256]bool{}}
	for _, b := range l.Blobs() {
		p.upstream[b.SHA256] = true
	}
	result := &Pushed{Source: o.Source, BotkubeVersion: l.BotkubeVersion}
	for _, part := range Parts {
		switch {
		case slices.Contains(o.Skip, part):
		case p.has(part):
			p.parts = append(p.parts, part)
		case part == PartWatcherImage: // most charts run no such container
		default:
			result.Absent = append(result.Absent, part)
		}
	}
	if len(p.parts) == 0 {
		return nil, fault.New(fault.Usage, "nothing of %s is left to publish", src.name).WithHint("skip fewer parts")
	}
	if err := p.prepare(ctx); err != nil {
		return nil, err
	}
	if result.Parts, err = p.publish(ctx); err != nil {
		return nil, err
	}
	for _, pushed := range result.Parts {
		result.UploadedBytes += pushed.UploadedBytes
	}
	return result, nil
}

// contentsOf returns the bundle of a lock whose blobs a source has.
func (s *Session) contentsOf(ctx context.Context, src *source, l *lock.Lock) (*bundle.Contents, error) {
	if l.Chart != nil && src.obtain != nil {
		// What Helm wants to know of a chart is read from it.
		if _, err := src.obtain(ctx, l.Chart.Blob); err != nil {
			return nil, err
		}
	}
	return bundle.Plan(ctx, l, src.Blobs)
}

// push is one run of [Session.Push].
type push struct {
	session  *Session
	options  PushOptions
	src      *source
	lock     *lock.Lock
	contents *bundle.Contents
	// upstream are the blobs that come from the source, not from here.
	upstream map[lock.SHA256]bool
	parts    []Part
	// places are where the parts go.
	places map[Part]*place
}

// place is a tag of a repository.
type place struct {
	part Part
	repo *registry.Repository
	tag  string
	// there is the digest that the tag has, if it is there.
	there  lock.SHA256
	exists bool
	// top is the document that gets the tag; of the image, once it is made.
	top bundle.Document
}

func (p *place) String() string { return p.repo.Name().String() + ":" + p.tag }

// has reports whether the tag is there and has a digest. What it names is there
// too then, for a registry takes no manifest before that.
func (p *place) has(digest lock.SHA256) bool { return p.exists && p.there == digest }

// has reports whether the source has what a part is made of.
func (p *push) has(part Part) bool {
	if role, ok := part.image(); ok {
		return p.lock.Image(role) != nil
	}
	return part != PartChart || p.lock.Chart != nil
}

// tag returns the tag of a part: the Botkube version, but for a chart its own
// version, for Helm looks for that, and for the agent's image the one that it had. The
// watcher's has the same tag upstream for many versions of Botkube.
func (p *push) tag(part Part) string {
	switch part {
	case PartAgentImage:
		if tag := agentImageTag(p.lock); tag != "" {
			return tag
		}
	case PartChart:
		return strings.ReplaceAll(p.lock.Chart.Version, "+", "_")
	}
	return p.contents.Tag
}

// agentImageTag returns the tag that the agent's image had upstream, if it had one.
func agentImageTag(l *lock.Lock) string {
	if l.AgentImage == nil {
		return ""
	}
	ref, err := registry.ParseReference(l.AgentImage.Reference)
	if err != nil {
		return ""
	}
	return ref.Tag()
}

// checkTag refuses to give a tag that is there another content.
func (p *push) checkTag(at *place, digest lock.SHA256) error {
	if !at.exists || at.has(digest) || p.options.Force {
		return nil
	}
	return fault.New(fault.Integrity, "%s is there already, with other content: it is sha256:%s, but would be sha256:%s", at, at.there, digest).
		WithHint("%s", p.differs(at))
}

// differs says what to do about a tag that has other content.
func (p *push) differs(at *place) string {
	switch at.part {
	case PartBundle:
		return fmt.Sprintf("see what differs: botkube-mirror diff %s%s %s; --force replaces it", form.RegistryPrefix, at, p.src.name)
	case PartImage:
		return "the lock, the mount or the program in it differs (every version of botkube-mirror is another program); --force replaces it, --skip image leaves it as it is"
	}
	return fmt.Sprintf("--force replaces it, --skip %s leaves it as it is", at.part)
}

// top returns the document that gets the tag of a part.
func (p *push) top(part Part) (bundle.Document, error) {
	if role, ok := part.image(); ok {
		return p.contents.ImageIndex(role)
	}
	if part == PartChart {
		return p.manifests(bundle.MemberChart)[0], nil
	}
	return p.contents.Index, nil
}

// manifests returns the manifests of a member of the bundle.
func (p *push) manifests(member string) []bundle.Document {
	return slices.DeleteFunc(slices.Clone(p.contents.Manifests), func(d bundle.Document) bool { return d.Member != member })
}

// publish uploads all parts, and then gives each its tag: what the registry
// refuses of any part, it refuses before there is a tag of any.
func (p *push) publish(ctx context.Context) ([]PushedPart, error) {
	var parts []PushedPart
	for _, part := range p.parts {
		pushed, err := p.upload(ctx, part)
		if err != nil {
			return nil, p.publishing(part, err)
		}
		parts = append(parts, pushed)
	}
	for i, part := range p.parts {
		at := p.places[part]
		digest := lock.Sum(at.top.Data)
		parts[i].Digest = "sha256:" + digest.String()
		if at.has(digest) {
			continue
		}
		parts[i].Changed = true
		if err := at.repo.PutManifest(ctx, at.tag, at.top.MediaType, at.top.Data); err != nil {
			return nil, p.publishing(part, err)
		}
		p.session.Observe(Event{Kind: EventCompleted, Subject: at.String()})
	}
	return parts, nil
}

// upload brings everything of a part to the registry but its tag.
func (p *push) upload(ctx context.Context, part Part) (PushedPart, error) {
	at := p.places[part]
	pushed := PushedPart{Part: part, Reference: at.String()}
	if part == PartImage {
		err := p.uploadImage(ctx, at, &pushed)
		return pushed, err
	}
	var below []bundle.Document
	switch part {
	case PartBundle:
		below = p.contents.Manifests
	case PartAgentImage:
		below = p.manifests(bundle.MemberAgentImage)
	case PartWatcherImage:
		below = p.manifests(bundle.MemberWatcherImage)
	}
	blobs := blobsOf(append(slices.Clone(below), at.top))
	for _, b := range blobs {
		pushed.Size += b.Size
	}
	up := &uploader{session: p.session, repo: at.repo}
	if err := p.uploadAll(ctx, up, blobs); err != nil {
		return pushed, err
	}
	pushed.UploadedBytes = up.sent.Load()
	if at.has(at.top.Blob().SHA256) {
		return pushed, nil
	}
	for _, m := range append(below, at.top) {
		if err := at.repo.PutManifest(ctx, digestOf(m.Blob()), m.MediaType, m.Data); err != nil {
			return pushed, err
		}
	}
	return pushed, nil
}

func digestOf(b lock.Blob) string { return "sha256:" + b.SHA256.String() }

// blobsOf returns the blobs of manifests, each once, the largest first.
func blobsOf(manifests []bundle.Document) []lock.Blob {
	var blobs []lock.Blob
	seen := map[lock.SHA256]bool{}
	for _, m := range manifests {
		for _, b := range m.Blobs {
			if !seen[b.SHA256] {
				blobs = append(blobs, b)
			}
			seen[b.SHA256] = true
		}
	}
	slices.SortStableFunc(blobs, func(a, b lock.Blob) int { return cmp.Compare(b.Size, a.Size) })
	return blobs
}

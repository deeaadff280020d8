package resolve

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// agentRepository is where the agent's image is published.
const agentRepository = "ghcr.io/kubeshop/botkube"

// IsAgentImage reports whether a reference is of the image that Botkube publishes.
func IsAgentImage(reference string) bool {
	return strings.HasPrefix(reference, agentRepository+":") || strings.HasPrefix(reference, agentRepository+"@")
}

// OCI's image-spec v1.1. A digest is a text, so that one that is malformed can be named.
type (
	imageIndex struct {
		Manifests []descriptor `json:"manifests"`
	}
	imageManifest struct {
		Config descriptor   `json:"config"`
		Layers []descriptor `json:"layers"`
	}
	descriptor struct {
		Digest   string         `json:"digest"`
		Size     int64          `json:"size"`
		Platform *imagePlatform `json:"platform,omitempty"`
	}
	// imagePlatform is that of a descriptor, and of an image's configuration.
	imagePlatform struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant,omitempty"`
	}
)

// maxLayers bounds the blobs of a manifest; overlay file systems have fewer.
const maxLayers = 512

// agentReference returns which image of the agent is wanted.
func (sel Selection) agentReference() (registry.Reference, error) {
	reference := sel.Members.AgentImage
	if reference == Default {
		if sel.Version == "" && sel.Members.AgentTag == "" {
			return registry.Reference{}, fault.New(fault.Usage, "which image of the agent is wanted cannot be told without a Botkube version").
				WithHint("give --version, or name the image: --with-agent-image=%s:v1.14.0", agentRepository)
		}
		reference = agentRepository + ":" + cmp.Or(sel.Members.AgentTag, strings.ReplaceAll(sel.Version, "+", "_"))
	}
	return parseImage(lock.RoleAgent, reference)
}

// parseImage reads a reference, which must say which image of a repository it is.
func parseImage(role lock.ImageRole, reference string) (registry.Reference, error) {
	ref, err := registry.ParseReference(reference)
	if err == nil && ref.Identifier() == "" {
		err = fault.New(fault.Usage, "%s %s has neither tag nor digest", role.What(), ref).WithHint("name one: %s:%s", ref, tagExamples[role])
	}
	return ref, err
}

var tagExamples = map[lock.ImageRole]string{lock.RoleAgent: "v1.14.0", lock.RoleWatcher: "in-cluster-config"}

// imageFlag returns the flag that has an image be taken.
func imageFlag(role lock.ImageRole) string {
	if role == lock.RoleWatcher {
		return "--watcher-image"
	}
	return "--with-agent-image"
}

func without(role lock.ImageRole) string {
	if role == lock.RoleWatcher {
		return "leave the image out with --watcher-image none: the command values then leaves out the container"
	}
	return "leave out " + imageFlag(role)
}

func (r *Resolver) images(ctx context.Context, sel Selection, plan *Plan) error {
	if sel.Members.AgentImage == "" {
		return nil
	}
	plan.ImageSources = map[lock.ImageRole]*registry.Repository{}
	ref, err := sel.agentReference()
	if err == nil {
		err = r.image(ctx, lock.RoleAgent, ref, sel, plan)
	}
	if err != nil || sel.Members.WatcherImage == "" {
		return err
	}
	if ref, err = parseImage(lock.RoleWatcher, sel.Members.WatcherImage); err != nil {
		return err
	}
	return adviseWatcher(r.image(ctx, lock.RoleWatcher, ref, sel, plan), sel.pinned)
}

// adviseWatcher says what to do where a registry has no image of the second container for us.
func adviseWatcher(err error, pinned *lock.Lock) error {
	refused := registry.IsNotFound(err) || registry.RefusalOf(err) != registry.NotRefused
	if err == nil || !refused || pinnedImage(pinned, lock.RoleWatcher) != nil {
		return err
	}
	hint := "charts v1.0.0 to v1.4.1 run a second container of this image: name the image with --watcher-image REFERENCE, or " + without(lock.RoleWatcher)
	return fault.New(fault.KindOf(err), "%w", err).WithHint("%s", strings.TrimPrefix(fault.HintOf(err)+"\n"+hint, "\n"))
}

// image pins an image for the platforms of a plan, and stores its manifests, not its layers.
// A platform that is not Linux has no image, for it has no agent.
func (r *Resolver) image(ctx context.Context, role lock.ImageRole, ref registry.Reference, sel Selection, plan *Plan) error {
	had := pinnedImage(sel.pinned, role)
	if had != nil && had.Reference != ref.String() {
		return fault.New(fault.Integrity, "%s %s is wanted, but the lock pins %s", role.What(), ref, had.Reference).
			WithHint("leave out %s: the lock says which; or write a new one with the command lock", imageFlag(role))
	}
	var platforms []agent.Platform
	for _, p := range plan.Lock.Platforms {
		if p.OS == "linux" {
			platforms = append(platforms, p)
		}
	}
	if len(platforms) == 0 {
		return fault.New(fault.Usage, "the agent has an image for Linux only, but the platforms are %s", agent.JoinPlatforms(plan.Lock.Platforms)).
			WithHint("add --platform linux/amd64, or leave out --with-agent-image")
	}
	source, err := r.Registry.Repository(ctx, ref.Repository(), false)
	if err != nil {
		return fmt.Errorf("resolving %s %s: %w", role.What(), ref, err)
	}
	image := &lock.Image{Reference: ref.String()}
	if had != nil && len(had.Manifests) > 0 {
		err = r.pinnedManifests(ctx, source, platforms, had, sel.Members.WholeImage, image)
	} else {
		wanted := wantedImage{ref: ref, role: role, platforms: platforms, all: sel.AllPlatforms || sel.Members.WholeImage, whole: sel.Members.WholeImage}
		err = r.imageManifests(ctx, source, wanted, image)
	}
	if err != nil {
		err = fmt.Errorf("resolving %s %s: %w", role.What(), ref, err)
		if asked := source.Instead(); asked != "" && fault.KindOf(err) == fault.Integrity && fault.HintOf(err) == "" {
			return fault.New(fault.Integrity, "%w", err).WithHint("check that %s has this image: a --via rule reads it from there instead of from %s", asked, ref.Repository())
		}
		return err
	}
	plan.Lock.SetImage(role, image)
	plan.ImageSources[role] = source
	return nil
}

func pinnedImage(l *lock.Lock, role lock.ImageRole) *lock.Image {
	if l == nil {
		return nil
	}
	return l.Image(role)
}

// wantedImage is an image that is asked for.
type wantedImage struct {
	ref       registry.Reference
	role      lock.ImageRole
	platforms []agent.Platform
	// all says that platforms without plugins are wanted, too. whole says that the index must keep
	// its digest.
	all, whole bool
}

// partly is the error of an image that is wanted whole, and why it cannot be.
func (w wantedImage) partly(why string) error {
	if !w.whole {
		return nil
	}
	return fault.New(fault.Incomplete, "the image cannot be taken with the digest of %s: %s", w.ref, why).WithHint("leave out --whole-image")
}

// imageManifests reads an image index, or an image for one platform.
func (r *Resolver) imageManifests(ctx context.Context, repo *registry.Repository, want wantedImage, to *lock.Image) error {
	top, err := repo.Manifest(ctx, want.ref.Identifier())
	if err != nil {
		return err
	}
	if !lock.IsIndex(top.MediaType) {
		m, err := r.imageManifest(top)
		if err == nil {
			m.Platform, err = r.solePlatform(ctx, repo, m)
		}
		if err == nil && !slices.Equal(want.platforms, []agent.Platform{m.Platform}) {
			err = fault.New(fault.Incomplete, "the image is for %s only, but wanted for %s", m.Platform, agent.JoinPlatforms(want.platforms)).
				WithHint("name an image for all the platforms, or %s", without(want.role))
		}
		to.Manifests = []lock.ImageManifest{m}
		to.Index = &lock.ImageIndex{MediaType: m.MediaType, SHA256: m.SHA256}
		return err
	}
	var index imageIndex
	if err := json.Unmarshal(top.Data, &index); err != nil {
		return fault.New(fault.Integrity, "reading the image index: %w", textfile.JSONError(top.Data, err))
	}
	for _, p := range want.platforms {
		d, err := choose(index.Manifests, p, want.role)
		if err != nil {
			return err
		}
		sum, err := registry.ParseDigest(d.Digest)
		if err != nil {
			return fault.New(fault.Integrity, "the image index names %.80q for %s: %w", d.Digest, p, err)
		}
		var m lock.ImageManifest
		found, err := repo.Manifest(ctx, sum.OCI())
		if err == nil {
			m, err = r.imageManifest(found)
		}
		if err != nil {
			return err
		}
		m.Platform = p
		to.Manifests = append(to.Manifests, m)
	}
	var why string
	to.Index, why, err = r.wholeIndex(ctx, repo, top, index, to.Manifests, want.all)
	if err == nil && to.Index == nil {
		err = want.partly(why)
	}
	return err
}

// wholeIndex returns an index that can be published as it is, because all that it names is taken.
// So values and signatures with its digest stay valid. Beside the given manifests, it takes what
// runs nowhere, such as attestations, and other platforms if all are wanted. If the index would not
// be whole, it returns nil and the reason.
func (r *Resolver) wholeIndex(ctx context.Context, repo *registry.Repository, top registry.Manifest, index imageIndex, manifests []lock.ImageManifest, all bool) (whole *lock.ImageIndex, why string, err error) {
	if len(top.Data) > lock.MaxImageIndex || len(index.Manifests) > lock.MaxIndexed {
		return nil, fmt.Sprintf("its index has %d bytes and names %d manifests; at most %d and %d are read", len(top.Data), len(index.Manifests), lock.MaxImageIndex, lock.MaxIndexed), nil
	}
	taken := map[lock.SHA256]bool{}
	for _, m := range manifests {
		taken[m.SHA256] = true
	}
	whole = &lock.ImageIndex{MediaType: top.MediaType, SHA256: top.Digest, Data: top.Data}
	for _, d := range index.Manifests {
		sum, err := registry.ParseDigest(d.Digest)
		if err != nil {
			return nil, fmt.Sprintf("its index names %.80q", d.Digest), nil
		}
		if d.runs() && !taken[sum] && !all {
			return nil, "it is for other platforms, too", nil
		}
		if taken[sum] {
			continue
		}
		taken[sum] = true
		found, err := repo.Manifest(ctx, sum.OCI())
		if registry.IsNotFound(err) {
			return nil, "the registry does not have " + sum.OCI() + ", which its index names", nil
		}
		if err != nil {
			return nil, "", err
		}
		if !lock.IsManifest(found.MediaType) { // an index within an index has no place in a bundle
			return nil, fmt.Sprintf("its index names %s of type %.100q", sum.OCI(), found.MediaType), nil
		}
		m, err := r.imageManifest(found)
		if fault.KindOf(err) == fault.Integrity { // of what no agent runs, nothing need be right
			return nil, err.Error(), nil
		}
		if err != nil {
			return nil, "", err
		}
		whole.Others = append(whole.Others, m)
	}
	return whole, "", nil
}

// runs reports whether a manifest is one of an image, not an attestation or the like.
func (d descriptor) runs() bool { return d.Platform != nil && d.Platform.OS != "unknown" }

// Of several variants of an architecture, the last by name counts: for arm, that is the newest.
func choose(manifests []descriptor, want agent.Platform, role lock.ImageRole) (descriptor, error) {
	var fitting []descriptor
	var offered []agent.Platform
	for _, d := range manifests {
		if !d.runs() {
			continue // an attestation
		}
		p, err := agent.ParsePlatform(d.Platform.OS + "/" + d.Platform.Architecture)
		if err != nil {
			continue // not one that can be wanted
		}
		if !slices.Contains(offered, p) && len(offered) < maxOffered {
			offered = append(offered, p)
		}
		if p == want {
			fitting = append(fitting, d)
		}
	}
	if len(fitting) == 0 {
		return descriptor{}, fault.New(fault.Incomplete, "there is no image for %s, only for %s", want, cmp.Or(agent.JoinPlatforms(offered), "none")).
			WithHint("leave out that platform, or %s", without(role))
	}
	return slices.MaxFunc(fitting, func(a, b descriptor) int { return cmp.Compare(a.Platform.Variant, b.Platform.Variant) }), nil
}

const maxOffered = 20

// pinnedManifests takes from a lock what is for platforms. The index stays if that is all.
func (r *Resolver) pinnedManifests(ctx context.Context, repo *registry.Repository, platforms []agent.Platform, pinned *lock.Image, whole bool, to *lock.Image) error {
	for _, p := range platforms {
		i := slices.IndexFunc(pinned.Manifests, func(m lock.ImageManifest) bool { return m.Platform == p })
		if i < 0 {
			return fault.New(fault.Integrity, "the lock pins no image for %s", p).
				WithHint("write a new lock with the command lock")
		}
		to.Manifests = append(to.Manifests, pinned.Manifests[i])
	}
	if len(to.Manifests) == len(pinned.Manifests) {
		to.Index = pinned.Index
	}
	if whole && to.Index == nil {
		return fault.New(fault.Integrity, "the image is wanted whole, but the lock pins a part of it").
			WithHint("leave out --whole-image, or write a new lock with the command lock and --whole-image")
	}
	for _, m := range to.All() {
		if r.Store.Verify(ctx, m.SHA256) == nil {
			continue
		}
		found, err := repo.Manifest(ctx, m.SHA256.OCI())
		if err != nil {
			return err
		}
		if _, err := r.Store.Put(found.Data); err != nil {
			return err
		}
	}
	return nil
}

func (r *Resolver) imageManifest(found registry.Manifest) (lock.ImageManifest, error) {
	m := lock.ImageManifest{MediaType: found.MediaType}
	var manifest imageManifest
	if err := json.Unmarshal(found.Data, &manifest); err != nil {
		return m, fault.New(fault.Integrity, "reading the manifest: %w", textfile.JSONError(found.Data, err))
	}
	if len(manifest.Layers) > maxLayers {
		return m, fault.New(fault.Integrity, "the manifest names %d layers; at most %d are read", len(manifest.Layers), maxLayers)
	}
	for _, d := range append([]descriptor{manifest.Config}, manifest.Layers...) {
		sum, err := registry.ParseDigest(d.Digest)
		if err != nil {
			return m, fault.New(fault.Integrity, "the manifest names %.80q: %w", d.Digest, err)
		}
		if d.Size <= 0 {
			return m, fault.New(fault.Integrity, "the manifest names sha256:%s with a size of %d bytes", sum, d.Size)
		}
		m.Blobs = append(m.Blobs, lock.Blob{Size: d.Size, SHA256: sum})
	}
	var err error
	m.Blob, err = r.put(found.Data)
	return m, err
}

const maxConfig = 8 << 20

func (r *Resolver) solePlatform(ctx context.Context, repo *registry.Repository, m lock.ImageManifest) (agent.Platform, error) {
	if m.Blobs[0].Size > maxConfig {
		return agent.Platform{}, fault.New(fault.Integrity, "the image's configuration has %d bytes; at most %d are read", m.Blobs[0].Size, maxConfig)
	}
	if _, err := repo.Fetch(ctx, m.Blobs[0], r.Store, func(int64) {}); err != nil {
		return agent.Platform{}, err
	}
	data, err := r.Store.ReadAll(m.Blobs[0].SHA256, maxConfig)
	if err != nil {
		return agent.Platform{}, err
	}
	var config imagePlatform
	if err := json.Unmarshal(data, &config); err != nil {
		return agent.Platform{}, fault.New(fault.Integrity, "reading the image's configuration: %w", textfile.JSONError(data, err))
	}
	return agent.ParsePlatform(config.OS + "/" + config.Architecture)
}

// noWatcher, in the place of a reference, leaves the image of the second container out.
const noWatcher = "none"

// settleWatcher has a selection with the agent's image name that of the second container, too,
// of charts that run one: that of the flag, of the lock, or the one beside the agent's image.
func (sel *Selection) settleWatcher(values *configured.Agent) error {
	given := sel.Members.WatcherImage
	sel.Members.WatcherImage = ""
	if sel.Members.AgentImage == "" {
		if sel.Members.WholeImage {
			return fault.New(fault.Usage, "--whole-image goes with the agent's image, which is not wanted").WithHint("add --with-agent-image")
		}
		if given == "" || given == noWatcher {
			return nil
		}
		return fault.New(fault.Usage, "--watcher-image goes with the agent's image, which is not wanted").WithHint("add --with-agent-image")
	}
	if sel.pinned != nil && sel.pinned.AgentImage != nil {
		return sel.lockedWatcher(given)
	}
	ref, err := sel.agentReference()
	if err != nil {
		return err
	}
	version := cmp.Or(sel.Version, chart.ImageVersion(ref.String()))
	has := chart.HasWatcher(version)
	switch {
	case given == noWatcher || !has && given == "":
		return nil
	case !has:
		return fault.New(fault.Usage, "--watcher-image: of the charts, only v1.0.0 to v1.4.1 run a second container, and this is for %s", cmp.Or(version, "an unknown version")).
			WithHint("leave it out, or give --version")
	case given != "":
		sel.Members.WatcherImage = given
		return nil
	}
	published, err := chart.WatcherImage(version)
	if err != nil {
		return fault.New(fault.Usage, "%w", err).WithHint("name the image of the chart's second container: --watcher-image REFERENCE, or none")
	}
	if values != nil {
		published = values.WatcherImage(published, imageFlag(lock.RoleWatcher))
	}
	if published != "" {
		sel.Members.WatcherImage, err = besideAgent(ref, published)
	}
	return err
}

// lockedWatcher takes what a lock says that has the agent's image.
func (sel *Selection) lockedWatcher(given string) error {
	pinned := sel.pinned.WatcherImage
	switch {
	case pinned == nil && given != "" && given != noWatcher:
		return fault.New(fault.Integrity, "the watcher image %.200q is wanted, but the lock pins none", given).
			WithHint("leave out --watcher-image, or write a new lock with the command lock")
	case pinned != nil && given == noWatcher:
		return fault.New(fault.Integrity, "the watcher image is not wanted, but the lock pins %s", pinned.Reference).
			WithHint("leave out --watcher-image, or write a new lock with the command lock")
	case pinned != nil:
		sel.Members.WatcherImage = cmp.Or(given, pinned.Reference)
	}
	return nil
}

// besideAgent returns an image of Botkube's where the agent's comes from, which may be a copy.
func besideAgent(agentImage registry.Reference, published string) (string, error) {
	ref, err := registry.ParseReference(published)
	if err != nil {
		return "", err
	}
	from := agentImage.Repository()
	in := path.Join(from.Host(), path.Dir(from.Path()), path.Base(ref.Repository().Path()))
	return in + published[len(ref.Repository().String()):], nil
}

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

// agentRepository is the repository of the agent's image.
const agentRepository = "ghcr.io/kubeshop/botkube"

// IsAgentImage reports whether a reference is in the repository of Botkube's own image.
func IsAgentImage(reference string) bool {
	return strings.HasPrefix(reference, agentRepository+":") || strings.HasPrefix(reference, agentRepository+"@")
}

// The types of OCI's image-spec v1.1. A digest is a string, so that messages can quote a malformed one.
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
	// imagePlatform is the platform of a descriptor or of an image's configuration.
	imagePlatform struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant,omitempty"`
	}
)

// maxLayers is how many layers a manifest may have. Overlay file systems support fewer.
const maxLayers = 512

// agentReference returns the reference of the selected agent image.
func (sel Selection) agentReference() (registry.Reference, error) {
	reference := sel.Members.AgentImage
	if reference == Default {
		if sel.Version == "" && sel.Members.AgentTag == "" {
			return registry.Reference{}, fault.New(fault.Usage, "--with-agent-image needs a Botkube version or a reference").
				WithHint("add --version v1.14.0, or name the image: --with-agent-image=%s:v1.14.0", agentRepository)
		}
		reference = agentRepository + ":" + cmp.Or(sel.Members.AgentTag, strings.ReplaceAll(sel.Version, "+", "_"))
	}
	return parseImage(lock.RoleAgent, reference)
}

// parseImage parses a reference, which must have a tag or a digest.
func parseImage(role lock.ImageRole, reference string) (registry.Reference, error) {
	ref, err := registry.ParseReference(reference)
	if err == nil && ref.Identifier() == "" {
		err = fault.New(fault.Usage, "%s %s has no tag and no digest", role.What(), ref).WithHint("add one, for example %s:%s", ref, tagExamples[role])
	}
	return ref, err
}

var tagExamples = map[lock.ImageRole]string{lock.RoleAgent: "v1.14.0", lock.RoleWatcher: "in-cluster-config"}

// imageFlag returns the flag for an image.
func imageFlag(role lock.ImageRole) string {
	if role == lock.RoleWatcher {
		return "--watcher-image"
	}
	return "--with-agent-image"
}

// without returns the hint to leave an image out.
func without(role lock.ImageRole) string {
	if role == lock.RoleWatcher {
		return "leave it out with --watcher-image none: then botkube-mirror values turns its container off"
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

// adviseWatcher adds a hint to the error for a registry that has no image of the second container.
func adviseWatcher(err error, pinned *lock.Lock) error {
	refused := registry.IsNotFound(err) || registry.RefusalOf(err) != registry.NotRefused
	if err == nil || !refused || pinnedImage(pinned, lock.RoleWatcher) != nil {
		return err
	}
	hint := "the charts v1.0.0 to v1.4.1 run a second container with this image: name another image with --watcher-image REFERENCE, or " + without(lock.RoleWatcher)
	return fault.New(fault.KindOf(err), "%w", err).WithHint("%s", strings.TrimPrefix(fault.HintOf(err)+"\n"+hint, "\n"))
}

// image pins an image for the plan's platforms. It stores the manifests, but not the layers. It skips
// platforms other than Linux, on which no agent runs.
func (r *Resolver) image(ctx context.Context, role lock.ImageRole, ref registry.Reference, sel Selection, plan *Plan) error {
	had := pinnedImage(sel.pinned, role)
	if had != nil && had.Reference != ref.String() {
		return fault.New(fault.Integrity, "%s is %s, but the lock pins %s", role.What(), ref, had.Reference).
			WithHint("write %s without a reference to use the lock's image; or write a new lock with botkube-mirror lock", imageFlag(role))
	}
	var platforms []agent.Platform
	for _, p := range plan.Lock.Platforms {
		if p.OS == "linux" {
			platforms = append(platforms, p)
		}
	}
	if len(platforms) == 0 {
		return fault.New(fault.Usage, "the agent's image exists for Linux only, but the platforms are %s", agent.JoinPlatforms(plan.Lock.Platforms)).
			WithHint("add --platform linux/amd64, or leave out --with-agent-image")
	}
	source, err := r.Registry.Repository(ctx, ref.Repository(), false)
	if err != nil {
		return fmt.Errorf("%s %s: %w", role.What(), ref, err)
	}
	image := &lock.Image{Reference: ref.String()}
	if had != nil && len(had.Manifests) > 0 {
		err = r.pinnedManifests(ctx, source, platforms, had, sel.Members.WholeImage, image)
	} else {
		wanted := wantedImage{ref: ref, role: role, platforms: platforms, all: sel.AllPlatforms || sel.Members.WholeImage, whole: sel.Members.WholeImage}
		err = r.imageManifests(ctx, source, wanted, image)
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w", role.What(), ref, err)
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

// wantedImage is a selected image.
type wantedImage struct {
	ref       registry.Reference
	role      lock.ImageRole
	platforms []agent.Platform
	// all selects platforms without plugins, too. Whole says that the index must keep its digest.
	all, whole bool
}

// partly returns the error for --whole-image if the image cannot be taken whole, or nil.
func (w wantedImage) partly(why string) error {
	if !w.whole {
		return nil
	}
	return fault.New(fault.Incomplete, "the image cannot keep its digest: %s", why).WithHint("leave out --whole-image")
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
			err = fault.New(fault.Incomplete, "the image is for %s only, but the platforms are %s", m.Platform, agent.JoinPlatforms(want.platforms)).
				WithHint("name an image for all platforms, or %s", without(want.role))
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
			return fault.New(fault.Integrity, "the image index has the digest %.80q for %s: %w", d.Digest, p, err)
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

// wholeIndex returns an image index that can be published unchanged, because the mirror has all that
// it names. So its digest, and signatures of it, stay valid. In addition to the given manifests, it
// takes attestations and the like, and other platforms if all is set. If the mirror cannot have all
// of it, it returns nil and the reason.
func (r *Resolver) wholeIndex(ctx context.Context, repo *registry.Repository, top registry.Manifest, index imageIndex, manifests []lock.ImageManifest, all bool) (whole *lock.ImageIndex, why string, err error) {
	if len(top.Data) > lock.MaxImageIndex || len(index.Manifests) > lock.MaxIndexed {
		return nil, fmt.Sprintf("its image index has %d bytes and %d manifests, more than the limit of %d bytes or %d manifests", len(top.Data), len(index.Manifests), lock.MaxImageIndex, lock.MaxIndexed), nil
	}
	taken := map[lock.SHA256]bool{}
	for _, m := range manifests {
		taken[m.SHA256] = true
	}
	whole = &lock.ImageIndex{MediaType: top.MediaType, SHA256: top.Digest, Data: top.Data}
	for _, d := range index.Manifests {
		sum, err := registry.ParseDigest(d.Digest)
		if err != nil {
			return nil, fmt.Sprintf("its image index has the malformed digest %.80q", d.Digest), nil
		}
		if d.runs() && !taken[sum] && !all {
			return nil, "the image is for other platforms, too", nil
		}
		if taken[sum] {
			continue
		}
		taken[sum] = true
		found, err := repo.Manifest(ctx, sum.OCI())
		if registry.IsNotFound(err) {
			return nil, "the registry does not have the manifest " + sum.OCI() + " of its image index", nil
		}
		if err != nil {
			return nil, "", err
		}
		if !lock.IsManifest(found.MediaType) { // a bundle cannot have an index in an index
			return nil, fmt.Sprintf("its image index has %s of type %.100q", sum.OCI(), found.MediaType), nil
		}
		m, err := r.imageManifest(found)
		if fault.KindOf(err) == fault.Integrity { // not an error, because no agent runs it
			return nil, err.Error(), nil
		}
		if err != nil {
			return nil, "", err
		}
		whole.Others = append(whole.Others, m)
	}
	return whole, "", nil
}

// runs reports whether a manifest is an image, not an attestation or the like.
func (d descriptor) runs() bool { return d.Platform != nil && d.Platform.OS != "unknown" }

// choose returns the manifest for a platform. If there are several variants of an architecture, it
// takes the last by name: for arm, the newest.
func choose(manifests []descriptor, want agent.Platform, role lock.ImageRole) (descriptor, error) {
	var fitting []descriptor
	var offered []agent.Platform
	for _, d := range manifests {
		if !d.runs() {
			continue // an attestation
		}
		p, err := agent.ParsePlatform(d.Platform.OS + "/" + d.Platform.Architecture)
		if err != nil {
			continue // a platform that cannot be selected
		}
		if !slices.Contains(offered, p) && len(offered) < maxOffered {
			offered = append(offered, p)
		}
		if p == want {
			fitting = append(fitting, d)
		}
	}
	if len(fitting) == 0 {
		return descriptor{}, fault.New(fault.Incomplete, "there is no image for %s; there is one for: %s", want, cmp.Or(agent.JoinPlatforms(offered), "no platform")).
			WithHint("leave out that platform, or %s", without(role))
	}
	return slices.MaxFunc(fitting, func(a, b descriptor) int { return cmp.Compare(a.Platform.Variant, b.Platform.Variant) }), nil
}

const maxOffered = 20

// pinnedManifests copies the manifests for platforms from a lock's image. It copies the index, too, if
// these are all.
func (r *Resolver) pinnedManifests(ctx context.Context, repo *registry.Repository, platforms []agent.Platform, pinned *lock.Image, whole bool, to *lock.Image) error {
	for _, p := range platforms {
		i := slices.IndexFunc(pinned.Manifests, func(m lock.ImageManifest) bool { return m.Platform == p })
		if i < 0 {
			return fault.New(fault.Integrity, "the lock pins no image for %s", p).
				WithHint("write a new lock with botkube-mirror lock")
		}
		to.Manifests = append(to.Manifests, pinned.Manifests[i])
	}
	if len(to.Manifests) == len(pinned.Manifests) {
		to.Index = pinned.Index
	}
	if whole && to.Index == nil {
		return fault.New(fault.Integrity, "--whole-image is given, but the lock pins a part of the image").
			WithHint("leave out --whole-image, or write a new lock: botkube-mirror lock --whole-image")
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
		return m, fault.New(fault.Integrity, "the manifest has %d layers, more than the limit of %d", len(manifest.Layers), maxLayers)
	}
	for _, d := range append([]descriptor{manifest.Config}, manifest.Layers...) {
		sum, err := registry.ParseDigest(d.Digest)
		if err != nil {
			return m, fault.New(fault.Integrity, "the manifest has the digest %.80q: %w", d.Digest, err)
		}
		if d.Size <= 0 {
			return m, fault.New(fault.Integrity, "the manifest has sha256:%s with a size of %d bytes", sum, d.Size)
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
		return agent.Platform{}, fault.New(fault.Integrity, "the image's configuration has %d bytes, more than the limit of %d", m.Blobs[0].Size, maxConfig)
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

// noWatcher, as a value of --watcher-image, leaves the image out.
const noWatcher = "none"

// settleWatcher selects the image of the second container, if the agent's image is selected and the
// chart has one. The reference comes from the flag, from the lock, or from beside the agent's image.
func (sel *Selection) settleWatcher(values *configured.Agent) error {
	given := sel.Members.WatcherImage
	sel.Members.WatcherImage = ""
	if sel.Members.AgentImage == "" {
		if sel.Members.WholeImage {
			return fault.New(fault.Usage, "--whole-image is given without --with-agent-image").WithHint("add --with-agent-image")
		}
		if given == "" || given == noWatcher {
			return nil
		}
		return fault.New(fault.Usage, "--watcher-image is given without --with-agent-image").WithHint("add --with-agent-image")
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
		return fault.New(fault.Usage, "--watcher-image is for the charts v1.0.0 to v1.4.1, but the version is %s", cmp.Or(version, "not known")).
			WithHint("leave out --watcher-image, or add --version")
	case given != "":
		sel.Members.WatcherImage = given
		return nil
	}
	published, err := chart.WatcherImage(version)
	if err != nil {
		return fault.New(fault.Usage, "%w", err).WithHint("name the image of the chart's second container: --watcher-image REFERENCE\nor leave it out: --watcher-image none")
	}
	if values != nil {
		published = values.WatcherImage(published, imageFlag(lock.RoleWatcher))
	}
	if published != "" {
		sel.Members.WatcherImage, err = besideAgent(ref, published)
	}
	return err
}

// lockedWatcher selects the image of the second container that the lock pins.
func (sel *Selection) lockedWatcher(given string) error {
	pinned := sel.pinned.WatcherImage
	switch {
	case pinned == nil && given != "" && given != noWatcher:
		return fault.New(fault.Integrity, "--watcher-image is %.200q, but the lock pins no watcher image", given).
			WithHint("leave out --watcher-image, or write a new lock with botkube-mirror lock")
	case pinned != nil && given == noWatcher:
		return fault.New(fault.Integrity, "--watcher-image is none, but the lock pins %s", pinned.Reference).
			WithHint("leave out --watcher-image, or write a new lock with botkube-mirror lock")
	case pinned != nil:
		sel.Members.WatcherImage = cmp.Or(given, pinned.Reference)
	}
	return nil
}

// besideAgent returns the reference of a published image in the registry directory of the agent's
// image, which may be a company's copy.
func besideAgent(agentImage registry.Reference, published string) (string, error) {
	ref, err := registry.ParseReference(published)
	if err != nil {
		return "", err
	}
	from := agentImage.Repository()
	in := path.Join(from.Host(), path.Dir(from.Path()), path.Base(ref.Repository().Path()))
	return in + published[len(ref.Repository().String()):], nil
}

package values

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/deploy"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
	"github.com/botkube-mirror/botkube-mirror/internal/push"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// Options say what [Deploy] makes. One of Claim, Image and BaseURL is how files come to the
// agent; a site's indexes may say BaseURL.
type Options struct {
	// Claim is the name of a PersistentVolumeClaim, and SubPath the directory in it; nil is what
	// unpack makes.
	Claim   string
	SubPath *string
	// SeedFrom is the image that fills the claim, which is then made with Storage (empty: by the
	// mirror's size), StorageClass and AccessMode.
	SeedFrom, Storage, StorageClass, AccessMode string
	Image                                       string
	// BaseURL is that of a site.
	BaseURL string
	// Mount is empty for the mirror's, and Assumed that of a mirror that does not say it.
	Mount, Assumed string
	// Platforms are the nodes'; none are all of the mirror.
	Platforms []agent.Platform
	// Registry is the prefix that a push was given, or empty.
	Registry          string
	PullSecrets       []string
	Policy            bool
	APIServers, Allow []deploy.Network
	// Values are the paths of the user's own values files.
	Values []string
	// AllEnabled counts every plugin that Values enable, even if no channel uses it.
	AllEnabled bool
	// Version is the Botkube version, of the form v1.14.0, of a mirror that does not say it.
	Version string
	Format  Format
}

// Format is the kind of document that [Deploy] makes. Empty means Helm values.
type Format string

const (
	Manifests Format = "manifests"
	Patch     Format = "patch"
)

func (f Format) helm() bool { return f != Manifests && f != Patch }

type deployment struct {
	*form.Mirror
	Options
	name string
	out  *deploy.Options
	// user has the user's own values, or is nil.
	user *configured.Agent
}

// Deploy returns Helm values, or Kubernetes objects, with which an agent starts offline from a
// mirror, and notes for the user.
func Deploy(ctx context.Context, m *form.Mirror, o Options) (made *deploy.Rendering, notes []string, err error) {
	d := &deployment{Mirror: m, Options: o, name: agent.Redact(m.String())}
	if err := d.settle(ctx); err != nil {
		return nil, nil, err
	}
	notes = append(d.out.Notes(), d.watcherNotes()...)
	if c := d.out.Claim; c != nil && c.SubPath != "" && d.SubPath == nil {
		notes = append(notes, fmt.Sprintf("the agent looks for its files in %s on the volume, where unpack puts them if it writes several platforms. If they are at the top of the volume, add --sub-path ''", c.SubPath))
	}
	if d.Registry == "" && d.Lock.AgentImage != nil {
		notes = append(notes, "nodes still pull the agent's image from its original registry: to use the mirrored image, add --registry REGISTRY/PREFIX, as given to push")
	}
	switch d.Format {
	case Manifests:
		made, err = deploy.Manifests(*d.out)
	case Patch:
		made, err = deploy.Patch(*d.out)
	default:
		made, err = deploy.Values(*d.out)
	}
	return made, notes, err
}

// Check refuses more than one way for the agent to get its files.
func (o *Options) Check() error {
	ways := slices.DeleteFunc([]string{o.Claim, o.Image, o.BaseURL}, func(given string) bool { return given == "" })
	if len(ways) > 1 {
		return fault.New(fault.Usage, "--pvc, --image and --base-url exclude each other: the agent gets its files in one way").
			WithHint("keep one of them: a volume (--pvc), an image (--image) or a site (--base-url)")
	}
	return nil
}

func (d *deployment) settle(ctx context.Context) error {
	nodes, err := d.nodes()
	if err != nil {
		return err
	}
	if d.out, err = form.Deployment(d.name, cmp.Or(d.Lock.BotkubeVersion, d.Version), nodes, d.Lock); err != nil {
		return err
	}
	d.out.PullSecrets = d.PullSecrets
	if d.Policy {
		d.out.Policy = &deploy.Policy{APIServers: d.APIServers, Allow: d.Allow}
	}
	for _, step := range []func() error{d.mount, d.deliver, d.agentImage, func() error { return d.readValues(ctx) }, d.watcher, d.takeUser} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// nodes are the platforms that are wanted, all of the mirror's unless some are named.
func (d *deployment) nodes() ([]agent.Platform, error) {
	for _, p := range d.Platforms {
		if !slices.Contains(d.Lock.Platforms, p) {
			return nil, fault.New(fault.Usage, "%s has no plugins for %s: it is for %s", d.name, p, agent.JoinPlatforms(d.Lock.Platforms)).
				WithHint("pull again with internet access, and add --platform %s", p)
		}
	}
	if len(d.Platforms) == 0 {
		return d.Lock.Platforms, nil
	}
	return d.Platforms, nil
}

func (d *deployment) mount() error {
	written, given := d.Mirror.Mount, d.Options.Mount
	if written != "" && given != "" && given != written {
		return fault.New(fault.Usage, "--mount %s: the indexes of %s name files below %s", given, d.name, written).
			WithHint("remove --mount, or write the mirror for that path: botkube-mirror unpack BUNDLE -o DIR --mount %s", given)
	}
	d.out.Mount = cmp.Or(given, written, d.Assumed)
	return pluginsdir.CheckMount(d.out.Mount)
}

func (d *deployment) deliver() (err error) {
	written, base := d.Mirror.BaseURL, d.Options.BaseURL
	if d.Claim == "" && d.Image == "" && base == "" {
		base = written
	}
	switch {
	case d.Claim != "":
		d.nameNowhere()
		return d.claim()
	case d.Image != "":
		d.nameNowhere()
		d.out.Image = &deploy.ImageVolume{Path: strings.TrimPrefix(d.out.Mount, "/")}
		d.out.Image.Reference, err = d.imageReference("--image", d.Image)
		return err
	case base != "":
		if err := site.Deliver(d.out, base, d.Lock); err != nil {
			return err
		}
		if written != "" && written != d.out.Site.BaseURL {
			d.out.Site.Written = written
		}
		return nil
	}
	return fault.New(fault.Usage, "one of --pvc, --seed-from, --image and --base-url is required: how the agent gets its files").
		WithHint("from a volume that holds them: --pvc NAME\nfrom a volume that a Job fills: --seed-from IMAGE\nfrom an image that is mounted: --image IMAGE\nfrom a site: --base-url URL")
}

func (d *deployment) claim() (err error) {
	c := &deploy.Claim{Name: d.Claim}
	d.out.Claim = c
	if d.SeedFrom != "" {
		if c.Seed, err = d.seed(); err != nil {
			return err
		}
	}
	switch {
	case d.SubPath != nil:
		c.SubPath = *d.SubPath
	case c.Seed == nil && len(d.out.Platforms) == 1 && len(d.Lock.Platforms) > 1:
		// A directory for several platforms has one for each in it.
		c.SubPath = d.out.Platforms[0].Dir()
	}
	return nil
}

func (d *deployment) seed() (*deploy.Seed, error) {
	for _, p := range d.MountOnly {
		if slices.Contains(d.out.Platforms, p) {
			return nil, fault.New(fault.Usage, "no Job can fill a volume from %s: it has no program for %s", d.name, p).
				WithHint("write the image with a program: --seeder %s=FILE\nor mount the image: --image IMAGE", p)
		}
	}
	part := d.Lock.Subset(d.out.Platforms, func(lock.Plugin) bool { return true })
	digest, err := part.Digest()
	if err != nil {
		return nil, err
	}
	var size int64
	for _, a := range part.Artifacts {
		size += a.Size
	}
	s := &deploy.Seed{
		Storage: cmp.Or(d.Storage, deploy.StorageFor(size)), StorageClass: d.StorageClass, AccessMode: d.AccessMode,
		LockDigest: digest.OCI(),
	}
	s.Image, err = d.imageReference("--seed-from", d.SeedFrom)
	return s, err
}

// imageReference reads the reference of an image for a kubelet. If it is the mirror itself, its
// digest is known.
func (d *deployment) imageReference(flag, raw string) (string, error) {
	ref, err := registry.ParseReference(strings.TrimPrefix(raw, form.RegistryPrefix))
	if err != nil {
		return "", err
	}
	switch {
	case ref.Identifier() == "":
		return "", fault.New(fault.Usage, "%s %s has no tag and no digest", flag, ref).
			WithHint("add the tag that push printed, for example %s:v1.14.0", ref)
	case d.Access == form.Mounted && d.Target == form.RegistryPrefix+ref.String() && ref.Identifier() == ref.Tag():
		return ref.String() + "@" + d.Digest, nil
	}
	return ref.String(), nil
}

// nameNowhere gives each index on disk a URL that leads nowhere.
func (d *deployment) nameNowhere() {
	for _, r := range d.Lock.Repositories {
		path := (&url.URL{Path: "/" + r.Name + "/plugins-index.yaml"}).String()
		d.out.Repositories = append(d.out.Repositories, agent.Repository{Name: r.Name, URL: agent.Nowhere + path})
	}
}

func (d *deployment) agentImage() error {
	if d.Registry == "" {
		return nil
	}
	name, err := push.Repository(d.Registry, push.AgentImage)
	if err != nil {
		return err
	}
	if d.Lock.AgentImage == nil && d.Members {
		return fault.New(fault.Usage, "the agent's image is not below %s: %s does not have it, so push did not publish it", d.Registry, d.name).
			WithHint("pull with --with-agent-image and push the new bundle; or remove --registry")
	}
	tag := cmp.Or(push.AgentTag(d.Lock), d.out.BotkubeVersion)
	if tag == "" {
		return fault.New(fault.Usage, "the tag of the agent's image is unknown: %s does not name a version of Botkube", d.name).
			WithHint("name the bundle that was pushed; or remove --registry, and set image.tag in your values")
	}
	d.out.AgentImage = &deploy.ChartImage{Registry: name.Host(), Repository: name.Path(), Tag: tag}
	_, err = registry.ParseReference(name.String() + ":" + tag)
	return err
}

// watcher settles what becomes of the chart's second container. A patch would add it to a
// Deployment without it, so it must be known.
func (d *deployment) watcher() error {
	runs := d.Format.helm()
	if d.user != nil {
		runs = runs || slices.ContainsFunc(d.user.Values.Pulls, func(p chart.Pull) bool { return p.Setting == chart.WatcherSetting })
	}
	d.out.Watcher = chart.HasWatcher(d.out.BotkubeVersion)
	if !d.out.Watcher || d.Registry == "" || d.Lock.WatcherImage == nil || !runs {
		return nil
	}
	name, err := push.Repository(d.Registry, push.WatcherImage)
	if err != nil {
		return err
	}
	tag, err := d.Lock.Tag()
	d.out.WatcherImage = &deploy.ChartImage{Registry: name.Host(), Repository: name.Path(), Tag: tag}
	return err
}

// watcherNotes say why the second container is left out, though the registry may have its image.
func (d *deployment) watcherNotes() []string {
	switch {
	case d.Registry == "" || !d.out.Watcher || d.out.WatcherImage != nil:
		return nil
	case d.Lock.WatcherImage != nil && !d.out.Configured:
		return []string{"the container cfg-watcher is left out: only --values tells whether the agent's Deployment has it"}
	case !d.Members:
		return []string{"the container cfg-watcher is left out: " + d.name + " does not tell whether its image is below " + d.Registry + "; to keep the container, name the bundle"}
	}
	return nil
}

func (d *deployment) readValues(ctx context.Context) error {
	if len(d.Options.Values) == 0 {
		return nil
	}
	files, err := configured.Files(ctx, d.Options.Values)
	if err != nil {
		return err
	}
	if d.user, err = configured.Read(d.out.BotkubeVersion, files, d.AllEnabled); err != nil {
		return err
	}
	if err := d.user.Check(); err != nil {
		return err
	}
	d.out.BotkubeVersion = d.user.ChartVersion
	if d.user.Values.Merged == nil && d.Format.helm() {
		return fault.New(fault.Usage, "--values names objects that the chart rendered, but Helm needs values").
			WithHint("give the values files; or, without Helm, use --format manifests")
	}
	if tag := d.user.Values.ImageTag; tag != "" && d.out.AgentImage != nil && tag != d.out.AgentImage.Tag {
		if name, digest, pinned := strings.Cut(tag, "@"); pinned && name == d.out.AgentImage.Tag && push.HasAgentDigest(d.Lock, digest) {
			d.out.AgentImage.Tag = tag // the digest is there, too
			return nil
		}
		d.user.Notes = append(d.user.Notes, fmt.Sprintf("image.tag in your values is %.128q, but push published the agent's image as %q: that tag is used", tag, d.out.AgentImage.Tag))
	}
	return nil
}

func (d *deployment) takeUser() error {
	out := d.out
	if d.user == nil {
		return nil
	}
	values := d.user.Values
	out.Configured, out.User, out.Environment, out.Read = true, values.Merged, values.Environment, d.user.Notes
	out.Absent = form.Unmirrored(out.BotkubeVersion, d.Lock, values.Config.Plugins.Repositories)
	out.Missing = d.missing()
	if out.Policy != nil {
		out.Policy.PluginEgress = d.user.Egress(out.BotkubeVersion, mirrored(d.Lock))
	}
	return d.takeTemplates()
}

func (d *deployment) missing() []string {
	var missing []string
	there := pluginsOf(d.Lock)
	for _, p := range d.user.All() {
		key, err := agent.DecomposePluginKey(p.Key)
		if err != nil || slices.ContainsFunc(d.out.Platforms, func(on agent.Platform) bool { return there.lacks(p.Type, key, on) != "" }) {
			missing = append(missing, p.Key)
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// takeTemplates has exec take from a site what that has of its templates. In a volume, they lie
// where exec looks first.
func (d *deployment) takeTemplates() error {
	sources, err := d.user.TemplateSources(d.out.BotkubeVersion)
	if err != nil {
		return err
	}
	var served []form.Template
	base := ""
	if d.out.Site != nil {
		base, d.out.Site.Unasked = d.out.Site.BaseURL, false
		if served, err = site.Templates(base, d.Lock); err != nil {
			return err
		}
	}
	there := pluginsOf(d.Lock)
	for _, s := range sources {
		key, err := agent.DecomposePluginKey(s.Key)
		if err != nil {
			continue // the agent refuses it
		}
		p := there.newest(agent.Executor, key)
		if p == nil {
			continue // which is noted
		}
		t := deploy.Templates{Group: s.Group, Plugin: s.Key}
		changed := false
		for _, ref := range sourcesOf(p, s.Refs) {
			at := servedAt(served, base, p, ref)
			t.URLs = append(t.URLs, cmp.Or(at, ref))
			changed = changed || at != ""
			if at == "" && downloads(ref) && mirroredTemplate(p, ref) < 0 {
				d.out.Cloned = append(d.out.Cloned, agent.Redact(ref))
			}
		}
		if changed {
			d.out.Site.Templates = append(d.out.Site.Templates, t)
		}
	}
	slices.Sort(d.out.Cloned)
	d.out.Cloned = slices.Compact(d.out.Cloned)
	return nil
}

// sourcesOf returns the sources that an exec plugin reads: the configured ones, or its default.
// If only the index had that, it is among what was mirrored.
func sourcesOf(p *lock.Plugin, configured []string) []string {
	if len(configured) > 0 {
		return configured
	}
	e := agent.Entry{Type: p.Type, Name: p.Name, Version: p.Version}
	if ref := e.DefaultTemplates(p.Repository); ref != "" {
		return []string{ref}
	}
	var refs []string
	for _, t := range p.Templates {
		if agent.TemplateDirectory(t.Ref) == t.Directory { // nothing was redacted
			refs = append(refs, t.Ref)
		}
	}
	return refs
}

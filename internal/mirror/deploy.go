package mirror

import (
	"cmp"
	"context"
	"fmt"
	"io"
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
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/push"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// ValuesOptions say what [Session.Values] makes. Of Claim, Image and BaseURL, one is
// how files come to the agent; with a site, BaseURL may be left to its indexes.
type ValuesOptions struct {
	// Target is as in [ListOptions].
	Target string
	Stdin  io.Reader
	// Claim is the name of a PersistentVolumeClaim, and SubPath where in it the
	// directory is; nil is what unpack would have made.
	Claim   string
	SubPath *string
	// SeedFrom is the image that fills the claim, which is made then with Storage
	// (empty: by the size of what is mirrored), StorageClass and AccessMode.
	SeedFrom, Storage, StorageClass, AccessMode string
	// Image is the image to mount.
	Image string
	// BaseURL is that of a site.
	BaseURL string
	// Mount is empty for that of the mirror, and Assumed that of a mirror that
	// does not say it.
	Mount, Assumed string
	// Platforms are those of the nodes; none are all that the mirror is for.
	Platforms []agent.Platform
	// Registry is the prefix that a push was given, or empty.
	Registry    string
	PullSecrets []string
	// Policy adds a NetworkPolicy.
	Policy            bool
	APIServers, Allow []deploy.Network
	// Values are the paths of the user's own values files, over which what is
	// printed is given to Helm.
	Values []string
	// AllEnabled is as in [resolve.Selection].
	AllEnabled bool
	// Version is the Botkube version for a mirror that does not say it.
	Version string
	// Form is what is made; Helm values, unless it says otherwise.
	Form ValuesForm
}

// ValuesForm is what an agent is configured with.
type ValuesForm string

// What is for agents that are not installed by Helm.
const (
	ValuesManifests ValuesForm = "manifests"
	ValuesPatch     ValuesForm = "patch"
)

// plain reports whether no Helm is needed.
func (f ValuesForm) plain() bool { return f == ValuesManifests || f == ValuesPatch }

// Values returns the Helm values, or the Kubernetes objects, with which an agent
// starts from a mirror, of which only documents are read.
func (s *Session) Values(ctx context.Context, o ValuesOptions) (*deploy.Rendering, error) {
	if err := o.checkDelivery(); err != nil {
		return nil, err
	}
	in, err := s.inspect(ctx, o.Target, o.Stdin)
	if err != nil {
		return nil, err
	}
	d, err := o.deployment(in)
	if err != nil {
		return nil, err
	}
	for _, n := range append(d.Notes(), o.watcherNotes(d, in)...) {
		s.Observe(Event{Kind: EventNote, Detail: n})
	}
	if o.Registry == "" && in.lock.AgentImage != nil {
		s.Observe(Event{Kind: EventNote, Detail: "the mirror has the agent's image too, which the nodes still pull from elsewhere: --registry REGISTRY/PREFIX has them take it from where push put it"})
	}
	switch o.Form {
	case ValuesManifests:
		return deploy.Manifests(*d)
	case ValuesPatch:
		return deploy.Patch(*d)
	}
	return deploy.Values(*d)
}

// checkDelivery wants at most one way for files to come to the agent.
func (o *ValuesOptions) checkDelivery() error {
	ways := 0
	for _, given := range []bool{o.Claim != "", o.Image != "", o.BaseURL != ""} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return fault.New(fault.Usage, "files come to the agent in one way: a volume (--pvc), an image (--image) or a site (--base-url), and several are given").
			WithHint("leave out all but one")
	}
	return nil
}

// deployment settles what the agent is configured for.
func (o *ValuesOptions) deployment(in *inspected) (*deploy.Options, error) {
	digest, err := in.lock.Digest()
	if err != nil {
		return nil, err
	}
	version := in.lock.BotkubeVersion
	if version == "" && o.Version != "" {
		if version, err = resolve.ReleaseTag(o.Version); err != nil {
			return nil, err
		}
	}
	d := &deploy.Options{
		Target: in.name(), BotkubeVersion: version, LockDigest: "sha256:" + digest.String(),
		PullSecrets: o.PullSecrets,
	}
	if d.Platforms, err = o.platforms(in); err != nil {
		return nil, err
	}
	if d.Mount, err = o.mountOf(in); err != nil {
		return nil, err
	}
	if err := o.deliver(d, in); err != nil {
		return nil, err
	}
	if err := repositories(d, in); err != nil {
		return nil, err
	}
	if d.AgentImage, err = o.agentImage(in, version); err != nil {
		return nil, err
	}
	if err := o.watcher(d, in, nil); err != nil {
		return nil, err
	}
	if o.Policy {
		d.Policy = &deploy.Policy{APIServers: o.APIServers, Allow: o.Allow}
	}
	return d, o.user(d, in)
}

// user takes into account what the user's own values say.
func (o *ValuesOptions) user(d *deploy.Options, in *inspected) error {
	if len(o.Values) == 0 {
		d.Absent = unmirrored(in.lock, defaultNames(d.BotkubeVersion))
		if d.Site != nil {
			d.Site.Unasked = slices.ContainsFunc(in.lock.Plugins, func(p lock.Plugin) bool { return len(p.Templates) > 0 })
		}
		return nil
	}
	files, err := configured.Files(o.Values)
	if err != nil {
		return err
	}
	c, err := configured.Read(d.BotkubeVersion, files, o.AllEnabled)
	if err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	d.BotkubeVersion = c.ChartVersion
	if c.Values.Merged == nil && !o.Form.plain() {
		return fault.New(fault.Usage, "the files that --values names are what a chart rendered, and Helm takes values").
			WithHint("give the values themselves; or --format manifests, for those without Helm")
	}
	if tag := c.Values.ImageTag; tag != "" && d.AgentImage != nil && tag != d.AgentImage.Tag {
		c.Notes = append(c.Notes, fmt.Sprintf("your values have the tag %.128q of the agent's image, and push put it there as %q, which is what counts here", tag, d.AgentImage.Tag))
	}
	if err := o.watcher(d, in, c); err != nil {
		return err
	}
	d.Configured, d.User, d.Environment, d.Read = true, c.Values.Merged, c.Values.Environment, c.Notes
	// The chart's too, even if the values take them away: they may have these in
	// them from an earlier time.
	configured := append(c.Values.Config.RepositoryNames(), defaultNames(d.BotkubeVersion)...)
	slices.Sort(configured)
	d.Absent = unmirrored(in.lock, slices.Compact(configured))
	d.Missing = missingPlugins(in.lock, d.Platforms, c)
	templates, unmirrored, err := servedTemplates(d, in.lock, c)
	if err != nil {
		return err
	}
	d.Cloned = unmirrored
	if d.Site != nil {
		d.Site.Templates = templates
	}
	if d.Policy == nil {
		return nil
	}
	found := c.Egress(d.BotkubeVersion, mirroredIn(in.lock))
	d.Policy.Unknown = found.Unknown
	for _, e := range found.Calls {
		if e.Stop != "" || e.Destination == agent.DestinationInCommand {
			continue // the values stop it, or nothing can be said about it
		}
		what := e.Purpose
		if e.Plugin != "" {
			what = e.Plugin + " for " + e.Purpose
		}
		d.Policy.Destinations = append(d.Policy.Destinations, deploy.Destination{URL: e.Destination, What: what, InCluster: e.InCluster, Proxied: e.Proxy != ""})
	}
	return nil
}

// unmirrored returns which repositories are not mirrored.
func unmirrored(l *lock.Lock, configured []string) []string {
	return slices.DeleteFunc(slices.Clone(configured), func(name string) bool {
		return slices.ContainsFunc(l.Repositories, func(r lock.Repository) bool { return r.Name == name })
	})
}

// missingPlugins returns which plugins the agent would start that are not mirrored.
func missingPlugins(l *lock.Lock, platforms []agent.Platform, c *configured.Agent) []string {
	var missing []string
	for t, enabled := range map[agent.PluginType][]agent.EnabledPlugin{agent.Executor: c.Executors, agent.Source: c.Sources} {
		for _, p := range enabled {
			key, err := agent.ParsePluginKey(strings.TrimSuffix(p.Key, "@"))
			lacks := func(on agent.Platform) bool { return notMirrored(l, t, key, on) != "" }
			if err != nil || slices.ContainsFunc(platforms, lacks) {
				missing = append(missing, p.Key)
			}
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// servedTemplates has exec take from a site what the site has of the templates that
// the user's values have it download. In a volume, they lie where exec looks first.
// Unmirrored are those that it would download from elsewhere.
func servedTemplates(d *deploy.Options, l *lock.Lock, c *configured.Agent) (set []deploy.Templates, unmirrored []string, err error) {
	sources, err := c.Values.Config.Templates(d.BotkubeVersion)
	if err != nil {
		return nil, nil, fault.New(fault.Usage, "reading values: the configuration of exec: %w", err)
	}
	var served []form.Template
	if d.Site != nil {
		if served, err = site.Templates(d.Site.BaseURL, l); err != nil {
			return nil, nil, err
		}
	}
	for _, s := range sources {
		p := newestOf(l, agent.Executor, s.Key)
		if p == nil {
			continue // which is noted
		}
		t := deploy.Templates{Group: s.Group, Plugin: s.Key}
		changed := false
		for _, ref := range refsOf(p, s.Refs) {
			at := servedAt(served, p, ref)
			t.URLs = append(t.URLs, cmp.Or(at, ref))
			changed = changed || at != ""
			if at == "" && !mirrorsTemplates(p, ref) {
				unmirrored = append(unmirrored, agent.Redact(ref))
			}
		}
		if changed {
			set = append(set, t)
		}
	}
	slices.Sort(unmirrored)
	return set, slices.Compact(unmirrored), nil
}

// mirrorsTemplates reports whether exec finds a source of templates of a plugin in a
// mirror, or in its own container.
func mirrorsTemplates(p *lock.Plugin, ref string) bool {
	_, local, err := fetch.Locate(ref)
	return err == nil && local || slices.ContainsFunc(p.Templates, func(t lock.Template) bool { return t.Directory == agent.TemplateDirectory(ref) })
}

// refsOf returns the sources of templates that an exec plugin reads: the configured
// ones, or its default. Where only the index had said which that is, it is among what
// was mirrored.
func refsOf(p *lock.Plugin, configured []string) []string {
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

// newestOf returns the plugin of a lock that an agent takes a key for, or nil.
func newestOf(l *lock.Lock, t agent.PluginType, key string) (newest *lock.Plugin) {
	k, err := agent.ParsePluginKey(strings.TrimSuffix(key, "@"))
	if err != nil {
		return nil
	}
	for i, p := range l.Plugins {
		if p.Type == t && matches(k, p) && (newest == nil || agent.Newer(p.Version, newest.Version)) {
			newest = &l.Plugins[i]
		}
	}
	return newest
}

// servedAt returns where a site has a source of templates of a plugin, or "".
func servedAt(served []form.Template, p *lock.Plugin, ref string) string {
	i := slices.IndexFunc(p.Templates, func(t lock.Template) bool { return t.Directory == agent.TemplateDirectory(ref) })
	for _, s := range served {
		if s.Plugin == p.Key() && (i >= 0 && s.Ref == p.Templates[i].Ref || s.URL == ref) {
			return s.URL
		}
	}
	return ""
}

// defaultNames returns the repositories of a chart.
func defaultNames(version string) []string {
	var names []string
	for _, r := range agent.DefaultRepositories(version) {
		names = append(names, r.Name)
	}
	return names
}

// name is what a target is called in a sentence.
func (in *inspected) name() string {
	if in.target == form.StandardStream {
		return "standard input"
	}
	return agent.Redact(in.target)
}

// platforms returns those of the nodes that the agent may run on.
func (o *ValuesOptions) platforms(in *inspected) ([]agent.Platform, error) {
	for _, p := range o.Platforms {
		if !slices.Contains(in.lock.Platforms, p) {
			return nil, fault.New(fault.Usage, "%s is not for %s, but for %s", in.name(), p, agent.JoinPlatforms(in.lock.Platforms)).
				WithHint("pull it for that platform too, where there is internet: --platform %s", p)
		}
	}
	all := deploy.KubernetesPlatforms(o.Platforms)
	if len(o.Platforms) == 0 {
		all = deploy.KubernetesPlatforms(in.lock.Platforms)
	}
	if len(all) == 0 {
		return nil, fault.New(fault.Usage, "%s is for %s, and Botkube's agent runs on Linux nodes", in.name(), agent.JoinPlatforms(in.lock.Platforms)).
			WithHint("pull it for linux/amd64 or linux/arm64")
	}
	return all, nil
}

// mountOf returns where the agent is to see the mirror.
func (o *ValuesOptions) mountOf(in *inspected) (string, error) {
	if in.mount != "" && o.Mount != "" && o.Mount != in.mount {
		return "", fault.New(fault.Usage, "the indexes of %s were written for %s, and --mount %s is another place", in.name(), in.mount, o.Mount).
			WithHint("leave out --mount, or write it anew: botkube-mirror unpack … --mount %s", o.Mount)
	}
	mount := cmp.Or(o.Mount, in.mount, o.Assumed)
	return mount, pluginsdir.CheckMount(mount)
}

// deliver settles how files come to the agent.
func (o *ValuesOptions) deliver(d *deploy.Options, in *inspected) (err error) {
	base := o.BaseURL
	if o.Claim == "" && o.Image == "" && base == "" {
		base = in.baseURL
	}
	switch {
	case o.Claim != "":
		d.Claim, err = o.claim(d, in)
	case o.Image != "":
		d.Image = &deploy.ImageVolume{Path: strings.TrimPrefix(d.Mount, "/")}
		d.Image.Reference, err = in.imageReference("--image", o.Image)
	case base != "":
		d.Site = &deploy.Site{BaseURL: strings.TrimSuffix(base, "/")}
		if in.baseURL != "" && in.baseURL != d.Site.BaseURL {
			d.Site.Written = in.baseURL
		}
		return site.CheckBaseURL(base)
	default:
		return fault.New(fault.Usage, "it is not said how the files come to the agent").
			WithHint("in a volume that holds them: --pvc NAME\nin a volume that a Job fills: --seed-from IMAGE\nin an image that is mounted: --image IMAGE\nfrom a site: --base-url URL")
	}
	return err
}

func (o *ValuesOptions) claim(d *deploy.Options, in *inspected) (*deploy.Claim, error) {
	c := &deploy.Claim{Name: o.Claim}
	if o.SeedFrom != "" {
		var err error
		if c.Seed, err = o.seed(d, in); err != nil {
			return nil, err
		}
	}
	switch {
	case o.SubPath != nil:
		c.SubPath = *o.SubPath
	case c.Seed == nil && len(d.Platforms) == 1 && len(in.lock.Platforms) > 1:
		// A directory for several platforms has one for each in it.
		c.SubPath = d.Platforms[0].Dir()
	}
	return c, nil
}

// seed says how a Job fills the claim.
func (o *ValuesOptions) seed(d *deploy.Options, in *inspected) (*deploy.Seed, error) {
	for _, p := range in.mountOnly {
		if slices.Contains(d.Platforms, p) {
			return nil, fault.New(fault.Usage, "%s has no program for %s, so no Job can fill a volume from it", in.name(), p).
				WithHint("write the image with one: --seeder %s=FILE, or mount it: --image", p)
		}
	}
	part := in.lock.Subset(d.Platforms, func(lock.Plugin) bool { return true })
	digest, err := part.Digest()
	if err != nil {
		return nil, err
	}
	s := &deploy.Seed{
		Storage: cmp.Or(o.Storage, deploy.StorageFor(sizes(part))), StorageClass: o.StorageClass, AccessMode: o.AccessMode,
		LockDigest: "sha256:" + digest.String(),
	}
	s.Image, err = in.imageReference("--seed-from", o.SeedFrom)
	return s, err
}

// imageReference reads the reference of an image that a kubelet can pull. Of the
// image that is read itself, it is known which digest the tag has.
func (in *inspected) imageReference(flag, raw string) (string, error) {
	ref, err := registry.ParseReference(strings.TrimPrefix(raw, form.RegistryPrefix))
	if err != nil {
		return "", err
	}
	if ref.Identifier() == "" {
		return "", fault.New(fault.Usage, "%s %s has neither tag nor digest", flag, ref).
			WithHint("add what push printed, for example %s:v1.14.0", ref)
	}
	if in.kind == KindImage && in.target == form.RegistryPrefix+ref.String() && ref.Identifier() == ref.Tag() {
		return ref.String() + "@" + in.digest, nil
	}
	return ref.String(), nil
}

// repositories says where the agent finds indexes.
func repositories(d *deploy.Options, in *inspected) error {
	for _, r := range in.lock.Repositories {
		u := nowhere(r.Name)
		if d.Site != nil {
			var err error
			if u, err = site.IndexURL(d.Site.BaseURL, in.lock, r.Name); err != nil {
				return err
			}
		}
		d.Repositories = append(d.Repositories, agent.Repository{Name: r.Name, URL: u})
	}
	return nil
}

// nowhere returns a URL for an index that is on disk. There must be one, and it
// must be http (pkg/plugin/manager.go, fetchIndex); the top-level domain invalid
// has no hosts (RFC 6761, 6.4).
func nowhere(repository string) string {
	return (&url.URL{Scheme: "http", Host: "mirror.invalid", Path: "/" + repository + "/plugins-index.yaml"}).String()
}

// agentImage returns where a push put the agent's image.
func (o *ValuesOptions) agentImage(in *inspected, version string) (*deploy.ChartImage, error) {
	if o.Registry == "" {
		return nil, nil
	}
	name, err := push.Repository(o.Registry, push.AgentImage)
	if err != nil {
		return nil, err
	}
	if in.lock.AgentImage == nil && in.kind.holdsMembers() {
		return nil, fault.New(fault.Usage, "%s does not have the agent's image, so push did not put it below %s", in.name(), o.Registry).
			WithHint("pull it with --with-agent-image, and push that; or leave out --registry")
	}
	tag := cmp.Or(push.AgentTag(in.lock), version)
	if tag == "" {
		return nil, fault.New(fault.Usage, "%s does not say for which version of Botkube it is, and so not what the agent's image is tagged with", in.name()).
			WithHint("name the bundle that was pushed, or leave out --registry, and set image.tag yourself")
	}
	if _, err := registry.ParseReference(name.String() + ":" + tag); err != nil {
		return nil, err
	}
	return &deploy.ChartImage{Registry: name.Host(), Repository: name.Path(), Tag: tag}, nil
}

// watcher settles what becomes of the chart's second container. Configured is nil where
// the user's values are not known. A Deployment that does not have the container would
// get one that is no container by a patch, so that must be known.
func (o *ValuesOptions) watcher(d *deploy.Options, in *inspected, c *configured.Agent) error {
	version, runs := d.BotkubeVersion, !o.Form.plain()
	if c != nil {
		version = c.ChartVersion
		runs = runs || slices.ContainsFunc(c.Values.Pulls, func(p chart.Pull) bool { return p.Setting == chart.WatcherSetting })
	}
	d.Watcher, d.WatcherImage = chart.HasWatcher(version), nil
	if !d.Watcher || o.Registry == "" || in.lock.WatcherImage == nil || !runs {
		return nil
	}
	name, err := push.Repository(o.Registry, push.WatcherImage)
	if err != nil {
		return err
	}
	tag, err := in.lock.Tag()
	d.WatcherImage = &deploy.ChartImage{Registry: name.Host(), Repository: name.Path(), Tag: tag}
	return err
}

// watcherNotes say why the second container is left out though its image may be in the
// registry.
func (o *ValuesOptions) watcherNotes(d *deploy.Options, in *inspected) []string {
	switch {
	case o.Registry == "" || !d.Watcher || d.WatcherImage != nil:
		return nil
	case in.lock.WatcherImage != nil && !d.Configured:
		return []string{"the container cfg-watcher is left out: without --values it is not known whether the agent's Deployment has it"}
	case !in.kind.holdsMembers():
		return []string{"the container cfg-watcher is left out: " + in.name() + " does not say whether push put its image below " + o.Registry + "; name the bundle to keep the container"}
	}
	return nil
}

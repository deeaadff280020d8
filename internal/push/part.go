package push

import (
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// Part is a part of a bundle that a push publishes in a repository of its own.
type Part string

// The parts, by their names in flags.
const (
	// Image is the mountable image.
	Image Part = "image"
	// Bundle is the bundle itself.
	Bundle Part = "bundle"
	// AgentImage is the agent's image.
	AgentImage Part = "agent-image"
	// WatcherImage is the image of the second container of charts v1.0.0 to v1.4.1.
	WatcherImage Part = "watcher-image"
	// Chart is the Helm chart.
	Chart Part = "chart"
)

// Parts lists all parts in the order of publishing. The bundle comes last: who finds it there also
// finds the rest.
var Parts = []Part{Image, AgentImage, WatcherImage, Chart, Bundle}

// Skippable lists the parts that --skip can name.
var Skippable = append(slices.Clone(Parts), Referrers)

// DefaultChartPath is the default path of the chart's repository below the prefix.
const DefaultChartPath = "charts/botkube"

// kinds has, for each part, the path of its repository below the prefix, its member in the bundle if
// it is one, and its role in the lock if it is an image.
var kinds = map[Part]struct {
	path, member string
	role         lock.ImageRole
}{
	Image:        {path: "botkube-plugins"},
	Bundle:       {path: "botkube-plugins-bundle"},
	AgentImage:   {path: "botkube", member: bundle.MemberAgentImage, role: lock.RoleAgent},
	WatcherImage: {path: "k8s-sidecar", member: bundle.MemberWatcherImage, role: lock.RoleWatcher},
	Chart:        {path: DefaultChartPath, member: bundle.MemberChart},
}

// PartOf returns the part for an image of a lock.
func PartOf(role lock.ImageRole) Part {
	if role == lock.RoleWatcher {
		return WatcherImage
	}
	return AgentImage
}

func (p Part) heldBy(l *lock.Lock) bool {
	if role := kinds[p].role; role != "" {
		return l.Image(role) != nil
	}
	return p != Chart || l.Chart != nil
}

// Repository returns the repository of a part below a prefix. Errors are of kind [fault.Usage].
func Repository(prefix string, part Part) (registry.Name, error) {
	return below(prefix, kinds[part].path)
}

// below returns a repository below a prefix. An error about the prefix quotes only the prefix.
func below(prefix, path string) (registry.Name, error) {
	prefix = strings.TrimSuffix(strings.TrimPrefix(prefix, form.RegistryPrefix), "/")
	if strings.Contains(prefix, "/") { // a prefix without a path is valid, too
		if _, err := registry.ParseRepository(prefix); err != nil {
			return registry.Name{}, err
		}
	}
	return registry.ParseRepository(prefix + "/" + path)
}

func (o Options) path(part Part) string {
	if part == Chart && o.ChartPath != "" {
		return o.ChartPath
	}
	return kinds[part].path
}

// repositories returns where parts go, and refuses what cannot be.
func (o Options) repositories(parts []Part) (map[Part]registry.Name, error) {
	names := map[Part]registry.Name{}
	for _, part := range parts {
		name, err := below(o.Prefix, o.path(part))
		if err != nil {
			return nil, err
		}
		if err := checkLevels(name, part); err != nil {
			return nil, err
		}
		names[part] = name
	}
	return names, nil
}

// Check refuses what cannot be asked for, whatever is published. It makes tags unique.
func (o *Options) Check() error {
	if o.Prefix == "" {
		return fault.New(fault.Usage, "the registry to publish in, REGISTRY/PREFIX, is empty").
			WithHint("name it, for example registry.example.com/mirror; if it comes from a variable, set that")
	}
	var tags []string
	for _, tag := range o.Tags {
		if !lock.IsTag(tag) {
			return fault.New(fault.Usage, "--tag %.200q is not a tag of a registry", tag).
				WithHint("a tag has 1 to 128 letters, digits, underscores, full stops and hyphens, and begins with a letter, a digit or an underscore")
		}
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	o.Tags = tags
	if len(tags) > 0 && slices.Contains(o.Skip, Image) && slices.Contains(o.Skip, Bundle) {
		return fault.New(fault.Usage, "--tag is for the image and the bundle, and --skip leaves out both").
			WithHint("leave out --tag, or skip one of them only")
	}
	return o.checkChartPath()
}

// checkChartPath returns an error for a path that the chart cannot have, also if this push leaves out
// the chart or the part at that path.
func (o Options) checkChartPath() error {
	name, err := below(o.Prefix, o.path(Chart))
	if err != nil {
		return err
	}
	for _, part := range Parts {
		if part != Chart && o.path(part) == o.ChartPath {
			return fault.New(fault.Usage, "--chart-path %s: %s is the repository of the %s", o.ChartPath, name, part).WithHint("use another path, for example --chart-path botkube-chart")
		}
	}
	return nil
}

// checkLevels returns an error for a repository of Docker Hub whose path is not USER/NAME.
func checkLevels(name registry.Name, part Part) error {
	levels := strings.Count(name.Path(), "/")
	if !name.IsDockerHub() || levels == 1 {
		return nil
	}
	err := fault.New(fault.Usage, "%s: a repository of Docker Hub must have the form %s/USER/NAME", name, name.Host())
	if part == Chart && levels == 2 {
		return err.WithHint("%s", hintChartPath)
	}
	return err.WithHint("push to %s/USER, with the name of the user or the organisation", name.Host())
}

// AgentTag returns the upstream tag of a lock's agent image, or "".
func AgentTag(l *lock.Lock) string {
	if l.AgentImage == nil {
		return ""
	}
	ref, err := registry.ParseReference(l.AgentImage.Reference)
	if err != nil {
		return ""
	}
	return ref.Tag()
}

// HasAgentDigest reports whether a push of the lock's agent image publishes a digest, of upstream's
// index or of a manifest.
func HasAgentDigest(l *lock.Lock, digest string) bool {
	im := l.AgentImage
	if im == nil {
		return false
	}
	return im.Index != nil && im.Index.SHA256.OCI() == digest ||
		slices.ContainsFunc(im.All(), func(m lock.ImageManifest) bool { return m.SHA256.OCI() == digest })
}

// CheckMount returns an error if the mountable image cannot have its plugins at a path.
func CheckMount(mount string) error { return image.CheckMount(mount) }

// NeedTemporary returns how many bytes of temporary files making the image of a lock needs.
func NeedTemporary(l *lock.Lock) int64 { return image.NeedTemporary(l) }

// Blobs lists the blobs of a lock that a push reads if it skips some parts.
func Blobs(l *lock.Lock, skip []Part) (blobs []lock.Blob) {
	wanted := func(p Part) bool { return !slices.Contains(skip, p) || !slices.Contains(skip, Bundle) }
	if wanted(Image) {
		for _, a := range l.Artifacts {
			blobs = append(blobs, a.Blob)
		}
	}
	for _, b := range l.ImageBlobs() {
		if wanted(PartOf(b.Role)) {
			blobs = append(blobs, b.Blob)
		}
	}
	if l.Chart != nil {
		blobs = append(blobs, l.Chart.Blob) // read even if it is skipped
	}
	return blobs
}

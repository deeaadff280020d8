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

// Part is something that a push publishes.
type Part string

// The parts, by the names that flags have for them.
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

// Parts lists all parts, in the order in which they are published. The bundle
// comes last: a site that finds it finds the rest as well.
var Parts = []Part{Image, AgentImage, WatcherImage, Chart, Bundle}

// Skippable lists what a push can leave out.
var Skippable = append(slices.Clone(Parts), Referrers)

// DefaultChartPath is where below a prefix the chart is, unless told otherwise.
const DefaultChartPath = "charts/botkube"

// kinds has for each part where below a prefix it is, and, of one that is a member of the
// bundle, which. An image has a role in the lock.
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

// PartOf returns the part that one of a lock's images is.
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

// Repository returns where below a prefix a part is published.
func Repository(prefix string, part Part) (registry.Name, error) {
	return below(prefix, kinds[part].path)
}

// below returns a repository below a prefix that the user gave. What is
// wrong with the prefix is told of the prefix.
func below(prefix, path string) (registry.Name, error) {
	prefix = strings.TrimSuffix(strings.TrimPrefix(prefix, form.RegistryPrefix), "/")
	if strings.Contains(prefix, "/") { // it need have no path, which the parser wants
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

// checkChartPath refuses a path that cannot be the chart's, whatever this push
// publishes: the next one may publish more.
func (o Options) checkChartPath() error {
	name, err := below(o.Prefix, o.path(Chart))
	if err != nil {
		return err
	}
	for _, part := range Parts {
		if part != Chart && o.path(part) == o.ChartPath {
			return fault.New(fault.Usage, "--chart-path %s: %s is where the %s goes", o.ChartPath, name, part).WithHint("name another path, such as botkube-chart")
		}
	}
	return nil
}

// checkLevels refuses a repository that Docker Hub cannot have: it has names of
// two levels, USER/NAME.
func checkLevels(name registry.Name, part Part) error {
	levels := strings.Count(name.Path(), "/")
	if !name.IsDockerHub() || levels == 1 {
		return nil
	}
	err := fault.New(fault.Usage, "%s: repositories of Docker Hub are called %s/USER/NAME", name, name.Host())
	if part == Chart && levels == 2 {
		return err.WithHint("%s", hintChartPath)
	}
	return err.WithHint("name the user or the organisation, and nothing below: %s/USER", name.Host())
}

// AgentTag returns the tag that the agent's image of a lock has upstream, if it has one.
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

// HasAgentDigest reports whether a push of the lock's agent image brings a digest to its
// repository. It may be that of upstream's index, or of a manifest.
func HasAgentDigest(l *lock.Lock, digest string) bool {
	im := l.AgentImage
	if im == nil {
		return false
	}
	return im.Index != nil && im.Index.SHA256.OCI() == digest ||
		slices.ContainsFunc(im.All(), func(m lock.ImageManifest) bool { return m.SHA256.OCI() == digest })
}

// CheckMount reports why the mountable image cannot have its plugins at a path.
func CheckMount(mount string) error { return image.CheckMount(mount) }

// NeedTemporary is how many bytes of the image of a lock wait in temporary files.
func NeedTemporary(l *lock.Lock) int64 { return image.NeedTemporary(l) }

// Blobs lists the blobs of a lock that a push reads, if it skips some parts.
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
		blobs = append(blobs, l.Chart.Blob) // it is read in any case
	}
	return blobs
}

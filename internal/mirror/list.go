package mirror

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// KindUpstream is the kind of a listing of upstream, which is not a mirror yet.
const KindUpstream form.Kind = "upstream"

// Identity identifies a mirror.
type Identity struct {
	// Target is empty for what upstream offers.
	Target         string           `json:"target,omitempty"`
	Kind           form.Kind        `json:"kind"`
	BotkubeVersion string           `json:"botkubeVersion,omitempty"`
	Platforms      []agent.Platform `json:"platforms"`
	// Tag is that of a bundle, an image or a version of a site; the first two have a digest.
	Tag    string `json:"tag,omitempty"`
	Digest string `json:"digest,omitempty"`
}

func identify(m *form.Mirror) Identity {
	return Identity{
		Target: m.Target, Kind: m.Kind, BotkubeVersion: m.Lock.BotkubeVersion, Platforms: m.Lock.Platforms,
		Tag: m.Tag, Digest: m.Digest,
	}
}

// Listing is the content of a mirror. It is printed as JSON: existing fields never change, see
// docs/reference/json-checks.md.
type Listing struct {
	Identity
	// Mount is where an agent must see a directory or an image.
	Mount string `json:"mount,omitempty"`
	// MountOnly is as in [OutputResult].
	MountOnly    []agent.Platform   `json:"mountOnly,omitempty"`
	Repositories []ListedRepository `json:"repositories"`
	Plugins      []ListedPlugin     `json:"plugins"`
	AgentImage   *ListedImage       `json:"agentImage,omitempty"`
	// WatcherImage is as in [lock.Lock].
	WatcherImage *ListedImage `json:"watcherImage,omitempty"`
	Chart        *ListedChart `json:"chart,omitempty"`
	Totals       ListedTotals `json:"totals"`
	// Values is as in [Result].
	Values *configured.Agent `json:"values,omitempty"`
}

// ListedRepository is a plugin repository of a [Listing].
type ListedRepository struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	// Blob is the index as upstream served it.
	lock.Blob
}

// ListedPlugin is a plugin of a [Listing], with the upstream files of its builds.
type ListedPlugin struct {
	lock.Plugin
	Builds    []ListedBuild     `json:"builds"`
	Templates []ListedTemplates `json:"templates,omitempty"`
}

// ListedBuild is a plugin for one platform. File is its archive or binary.
type ListedBuild struct {
	lock.Build
	File         ListedFile         `json:"file"`
	Dependencies []ListedDependency `json:"dependencies"`
}

// ListedDependency is a dependency for one platform, with its upstream file.
type ListedDependency struct {
	lock.Dependency
	File ListedFile `json:"file"`
}

// ListedTemplates is a source of templates of the executor exec.
type ListedTemplates struct {
	// Ref and Directory are as in [lock.Template].
	Ref       string `json:"ref"`
	Directory string `json:"directory"`
	// Files are what it has; none if they are not known before the download.
	Files []lock.TemplateFile `json:"files"`
	// File is the archive that was made of them.
	File ListedFile `json:"file"`
}

// ListedFile is an upstream file, with the source of its checksum: see [lock.Artifact].
type ListedFile struct {
	// URL is what is requested.
	URL string `json:"url"`
	// Size is in bytes, or -1 if it is not known before the download.
	Size int64 `json:"size"`
	// SHA256 is empty if it is not known before the download.
	SHA256       string              `json:"sha256,omitempty"`
	VerifiedBy   lock.ChecksumSource `json:"verifiedBy"`
	VerifiedWith []string            `json:"verifiedWith,omitempty"`
}

// ListedImage is an image of a bundle, such as the agent's.
type ListedImage struct {
	Reference string `json:"reference"`
	// Index is the digest of upstream's index, if the mirror has all that it names. Others counts
	// manifests that it names for no platform of the mirror, such as attestations.
	Index     string           `json:"index,omitempty"`
	Others    int              `json:"others,omitempty"`
	Platforms []ListedManifest `json:"platforms"`
	// Size is that of all blobs, each once, in bytes.
	Size int64 `json:"size"`
}

// ListedManifest is an image for one platform.
type ListedManifest struct {
	Platform agent.Platform `json:"platform"`
	// SHA256 is the digest of the manifest.
	SHA256 lock.SHA256 `json:"sha256"`
	// Size is that of the manifest and what it names, each once, in bytes.
	Size int64 `json:"size"`
}

// ListedChart is Botkube's Helm chart in a bundle.
type ListedChart struct {
	Name    string     `json:"name"`
	Version string     `json:"version"`
	File    ListedFile `json:"file"`
}

// ListedTotals are the sums of a [Listing]. Sizes are in bytes.
type ListedTotals struct {
	// Files counts the upstream files of plugins and dependencies.
	Files int `json:"files"`
	// Bytes is their size, the same content counted once.
	Bytes int64 `json:"bytes"`
	// UnknownSizes counts the files whose size is not known, which is not in Bytes.
	UnknownSizes int `json:"unknownSizes"`
	// VerifiedBy counts the files by the source of their checksum.
	VerifiedBy map[lock.ChecksumSource]int `json:"verifiedBy"`
	// AllBytes is Bytes with images and the chart.
	AllBytes int64 `json:"allBytes"`
}

// List lists the content of a mirror. It reads only documents, no plugin files.
func (s *Session) List(ctx context.Context, target string, of lock.Selection) (*Listing, error) {
	in, err := s.open(ctx, target)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	part, err := (&source{Mirror: in}).subset(of)
	if err != nil {
		return nil, err
	}
	in.Lock = part
	l := &Listing{Identity: identify(in), Mount: in.Mount}
	for _, p := range in.MountOnly {
		if slices.Contains(l.Platforms, p) {
			l.MountOnly = append(l.MountOnly, p)
		}
	}
	l.describe(part, pinnedFiles(part))
	return l, nil
}

// listLock lists what a lock pins.
func listLock(l *lock.Lock) *Listing {
	var listed Listing
	listed.describe(l, pinnedFiles(l))
	return &listed
}

func pinnedFiles(l *lock.Lock) map[string]ListedFile {
	files := map[string]ListedFile{}
	for _, a := range l.Artifacts {
		files[a.URL] = ListedFile{URL: a.URL, Size: a.Size, SHA256: a.SHA256.String(), VerifiedBy: a.VerifiedBy, VerifiedWith: a.VerifiedWith}
	}
	return files
}

// ListUpstream lists what a pull would mirror, and downloads no artifact. A selection without
// platforms is for all platforms. Plugins are listed only for platforms on which they can start.
func (s *Session) ListUpstream(ctx context.Context, sel resolve.Selection) (*Listing, error) {
	if len(sel.Platforms) == 0 && sel.Lock == "" {
		sel.AllPlatforms = true
	}
	sel.WhereStartable = sel.Lock == ""
	sel.Pin = true // nothing is made of a listing
	ahead := s.newPrefetcher(ctx, false)
	defer ahead.stop()
	plan, configured, err := ahead.resolve(ctx, sel)
	if err != nil {
		return nil, err
	}
	d := ahead.downloads(plan, PullOptions{})
	if err := d.probe(ctx); err != nil {
		return nil, err
	}
	files := map[string]ListedFile{}
	for _, a := range d.result.Artifacts {
		files[a.URL] = a.ListedFile
	}
	l := &Listing{Identity: Identity{Kind: KindUpstream, BotkubeVersion: plan.Lock.BotkubeVersion, Platforms: plan.Lock.Platforms}, Values: configured}
	l.describe(plan.Lock, files)
	return l, nil
}

// describe lists what a lock has, of whose artifacts more may be known than the lock says, or less.
func (out *Listing) describe(l *lock.Lock, files map[string]ListedFile) {
	file := func(raw string) ListedFile {
		location, _ := agent.ParseLocation(raw) // the lock was checked
		return files[location.URL]
	}
	out.Repositories, out.Plugins = []ListedRepository{}, []ListedPlugin{}
	for _, r := range l.Repositories {
		out.Repositories = append(out.Repositories, ListedRepository{r.Name, r.URL, r.Index})
	}
	for _, p := range l.Plugins {
		listed := ListedPlugin{Plugin: p, Builds: []ListedBuild{}}
		for _, b := range p.Builds {
			build := ListedBuild{b, file(b.URL), []ListedDependency{}}
			for _, d := range b.Dependencies {
				build.Dependencies = append(build.Dependencies, ListedDependency{d, file(d.URL)})
			}
			listed.Builds = append(listed.Builds, build)
		}
		for _, t := range p.Templates {
			listed.Templates = append(listed.Templates, ListedTemplates{Ref: t.Ref, Directory: t.Directory, Files: append([]lock.TemplateFile{}, t.Files...), File: files[t.URL]})
		}
		out.Plugins = append(out.Plugins, listed)
	}
	out.AgentImage, out.WatcherImage = listImage(l.AgentImage), listImage(l.WatcherImage)
	if c := l.Chart; c != nil {
		out.Chart = &ListedChart{Name: c.Name, Version: c.Version, File: ListedFile{URL: c.URL, Size: c.Size, SHA256: c.SHA256.String(), VerifiedBy: c.VerifiedBy}}
	}
	out.sum()
}

func listImage(im *lock.Image) *ListedImage {
	if im == nil {
		return nil
	}
	out := &ListedImage{Reference: im.Reference, Platforms: []ListedManifest{}}
	var all []lock.Blob
	for i, m := range im.All() {
		blobs := append([]lock.Blob{m.Blob}, m.Blobs...)
		if i < len(im.Manifests) {
			out.Platforms = append(out.Platforms, ListedManifest{Platform: m.Platform, SHA256: m.SHA256, Size: lock.SizeOf(blobs)})
		}
		all = append(all, blobs...)
	}
	if im.Index != nil {
		out.Index, out.Others = im.Index.SHA256.OCI(), len(im.Index.Others)
	}
	out.Size = lock.SizeOf(all)
	return out
}

// Files returns the upstream files of plugins and dependencies, each once, by URL.
func (l *Listing) Files() []ListedFile {
	all := map[string]ListedFile{}
	for _, p := range l.Plugins {
		for _, b := range p.Builds {
			all[b.File.URL] = b.File
			for _, d := range b.Dependencies {
				all[d.File.URL] = d.File
			}
		}
		for _, t := range p.Templates {
			all[t.File.URL] = t.File
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b ListedFile) int { return strings.Compare(a.URL, b.URL) })
}

func (l *Listing) sum() {
	l.Totals.VerifiedBy = map[lock.ChecksumSource]int{}
	seen := map[string]bool{}
	for _, f := range l.Files() {
		l.Totals.Files++
		l.Totals.VerifiedBy[f.VerifiedBy]++
		switch {
		case f.Size < 0:
			l.Totals.UnknownSizes++
		case f.SHA256 == "" || !seen[f.SHA256]:
			l.Totals.Bytes += f.Size
		}
		seen[f.SHA256] = true
	}
	l.Totals.AllBytes = l.Totals.Bytes
	for _, im := range []*ListedImage{l.AgentImage, l.WatcherImage} {
		if im != nil {
			l.Totals.AllBytes += im.Size
		}
	}
	if l.Chart != nil {
		l.Totals.AllBytes += l.Chart.File.Size
	}
}

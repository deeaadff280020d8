package lock

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// Diff returns what changed from a to b, in the order of the subjects. Both must
// be sorted, as [Parse] and [Lock.Sort] leave them.
//
// Diff does not list what follows from a platform or a plugin that only one side
// has, nor the new URL of a plugin with a new version.
func Diff(a, b *Lock) []Difference {
	d := &differ{a: a, b: b, artifactsA: a.byURL(), artifactsB: b.byURL()}
	d.compare(Difference{Subject: SubjectBotkube, Aspect: AspectVersion}, a.BotkubeVersion, b.BotkubeVersion)
	d.platforms()
	d.repositories()
	d.plugins()
	d.files()
	for _, role := range imageRoles {
		d.image(role)
	}
	d.chart()
	return d.found
}

// differ is one run of [Diff].
type differ struct {
	a, b                   *Lock
	artifactsA, artifactsB map[string]Artifact
	// common are the platforms that both locks have.
	common []agent.Platform
	found  []Difference
}

func (d *differ) add(change Change, about Difference) {
	about.Change = change
	d.found = append(d.found, about)
}

// both reports whether a and b are there. If only one is, both notes that: value
// returns what the difference shows of it.
func both[V any](d *differ, about Difference, a, b *V, value func(*V) string) bool {
	switch {
	case a == nil && b == nil:
	case b == nil:
		about.From = value(a)
		d.add(Removed, about)
	case a == nil:
		about.To = value(b)
		d.add(Added, about)
	default:
		return true
	}
	return false
}

// compare notes two values that differ.
func (d *differ) compare(about Difference, from, to string) {
	if from == to {
		return
	}
	about.From, about.To = from, to
	d.add(Changed, about)
}

func (d *differ) platforms() {
	for _, p := range union(d.a.Platforms, d.b.Platforms, agent.ComparePlatforms) {
		inA, inB := slices.Contains(d.a.Platforms, p), slices.Contains(d.b.Platforms, p)
		switch {
		case inA && inB:
			d.common = append(d.common, p)
		case inA:
			d.add(Removed, Difference{Subject: SubjectPlatform, Platform: &p})
		default:
			d.add(Added, Difference{Subject: SubjectPlatform, Platform: &p})
		}
	}
}

func (d *differ) repositories() {
	byName := func(l *Lock) map[string]Repository {
		return keyed(l.Repositories, func(r Repository) string { return r.Name })
	}
	pairs(byName(d.a), byName(d.b), strings.Compare, func(name string, a, b *Repository) {
		about := Difference{Subject: SubjectRepository, Repository: name}
		if !both(d, about, a, b, func(r *Repository) string { return r.URL }) {
			return
		}
		d.compare(about.of(AspectURL), a.URL, b.URL)
		d.compareBlobs(about.of(AspectIndex), a.Index, b.Index)
		if !d.sameSchemas(*a, *b) {
			d.add(Changed, about.of(AspectSchemas))
		}
	})
}

// sameSchemas compares the schemas that an index refers to. They come and go with
// the plugins that refer to them, which are differences of their own.
func (d *differ) sameSchemas(a, b Repository) bool {
	byURL := func(r Repository) map[string]Schema {
		return keyed(r.Schemas, func(s Schema) string { return s.URL })
	}
	same, both := true, 0
	pairs(byURL(a), byURL(b), strings.Compare, func(_ string, a, b *Schema) {
		if a != nil && b != nil {
			same = same && *a == *b
			both++
		}
	})
	return same && (both == len(a.Schemas) && both == len(b.Schemas) || d.otherPlugins(a.Name))
}

// otherPlugins reports whether the two locks have other plugins of a repository.
func (d *differ) otherPlugins(repository string) bool {
	of := func(l *Lock) []string {
		var names []string
		for _, p := range l.Plugins {
			if p.Repository == repository {
				names = append(names, string(p.Type)+" "+p.Key().String())
			}
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	return !slices.Equal(of(d.a), of(d.b))
}

// pluginID is what stays the same of a plugin from one version to the next.
type pluginID struct {
	repository string
	kind       agent.PluginType
	name       string
}

func comparePluginIDs(a, b pluginID) int {
	return cmp.Or(strings.Compare(a.repository, b.repository), strings.Compare(string(a.kind), string(b.kind)), strings.Compare(a.name, b.name))
}

// plugins pairs plugins by name if each lock has one version, and else by version.
func (d *differ) plugins() {
	byID := func(l *Lock) map[pluginID]map[string]Plugin {
		all := map[pluginID]map[string]Plugin{}
		for _, p := range l.Plugins {
			id := pluginID{p.Repository, p.Type, p.Name}
			if all[id] == nil {
				all[id] = map[string]Plugin{}
			}
			// A lock may list builds of one plugin in several places.
			p.Builds = slices.Concat(all[id][p.Version].Builds, p.Builds)
			all[id][p.Version] = p
		}
		return all
	}
	allA, allB := byID(d.a), byID(d.b)
	for _, id := range union(slices.Collect(maps.Keys(allA)), slices.Collect(maps.Keys(allB)), comparePluginIDs) {
		versionsA, versionsB := allA[id], allB[id]
		if len(versionsA) == 1 && len(versionsB) == 1 {
			for _, a := range versionsA {
				for _, b := range versionsB {
					d.plugin(a, b)
				}
			}
			continue
		}
		pairs(versionsA, versionsB, strings.Compare, func(_ string, a, b *Plugin) {
			about := cmp.Or(a, b).difference(SubjectPlugin)
			if both(d, about, a, b, func(*Plugin) string { return "" }) {
				d.plugin(*a, *b)
			}
		})
	}
}

// difference returns what all differences of a plugin begin with.
func (p Plugin) difference(s Subject) Difference {
	return Difference{Subject: s, Repository: p.Repository, Type: p.Type, Name: p.Name, Version: p.Version}
}

// plugin compares a plugin on the platforms that both locks have.
func (d *differ) plugin(a, b Plugin) {
	d.compare(b.difference(SubjectPlugin).of(AspectVersion), a.Version, b.Version)
	byPlatform := func(p Plugin) map[agent.Platform]Build {
		return keyed(p.Builds, func(b Build) agent.Platform { return b.Platform })
	}
	pairs(byPlatform(a), byPlatform(b), agent.ComparePlatforms, func(p agent.Platform, buildA, buildB *Build) {
		if !slices.Contains(d.common, p) {
			return
		}
		about := b.difference(SubjectBuild)
		about.Platform = &p
		if both(d, about, buildA, buildB, func(b *Build) string { return b.URL }) {
			d.location(about, buildA.URL, buildB.URL, a.Version != b.Version)
			d.dependencies(about, *buildA, *buildB)
		}
	})
	d.templates(a, b)
}

func (d *differ) templates(a, b Plugin) {
	byDirectory := func(p Plugin) map[string]Template {
		return keyed(p.Templates, func(t Template) string { return t.Directory })
	}
	pairs(byDirectory(a), byDirectory(b), strings.Compare, func(_ string, from, to *Template) {
		about := b.difference(SubjectTemplates)
		about.Source = cmp.Or(to, from).Ref
		if both(d, about, from, to, func(*Template) string { return "" }) {
			d.templateFiles(about, *from, *to)
		}
	})
}

func (d *differ) templateFiles(about Difference, a, b Template) {
	byPath := func(t Template) map[string]TemplateFile {
		return keyed(t.Files, func(f TemplateFile) string { return f.Path })
	}
	pairs(byPath(a), byPath(b), strings.Compare, func(path string, from, to *TemplateFile) {
		about := about
		about.Path = path
		if both(d, about, from, to, func(f *TemplateFile) string { return f.SHA256.OCI() }) {
			d.compareBlobs(about.of(AspectFile), from.Blob, to.Blob)
		}
	})
}

func (d *differ) dependencies(about Difference, a, b Build) {
	byName := func(b Build) map[string]Dependency {
		return keyed(b.Dependencies, func(d Dependency) string { return d.Name })
	}
	about.Subject = SubjectDependency
	pairs(byName(a), byName(b), strings.Compare, func(name string, a, b *Dependency) {
		about := about
		about.Dependency = name
		if both(d, about, a, b, func(d *Dependency) string { return d.URL }) {
			d.location(about, a.URL, b.URL, false)
			d.compare(about.of(AspectFromNewest), yesNo(a.FromNewest), yesNo(b.FromNewest))
		}
	})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// location compares where a file comes from, and the source of its checksum if the
// URL is another one. [differ.files] compares files of the same URL.
// If another URL is expected, location does not list it.
func (d *differ) location(about Difference, from, to string, expected bool) {
	if from == to {
		return
	}
	if !expected {
		d.compare(about.of(AspectURL), from, to)
	}
	locationA, errA := agent.ParseLocation(from)
	locationB, errB := agent.ParseLocation(to)
	if errA != nil || errB != nil || locationA.URL == locationB.URL {
		return
	}
	about.URL = locationB.URL
	d.compare(about.of(AspectVerifiedBy), string(d.artifactsA[locationA.URL].VerifiedBy), string(d.artifactsB[locationB.URL].VerifiedBy))
}

// files compares the files of the same URL. A file that only one side has is listed
// if no build needs it; otherwise the difference of the build says so.
func (d *differ) files() {
	neededA, neededB := d.a.needed(), d.b.needed()
	pairs(d.artifactsA, d.artifactsB, strings.Compare, func(url string, a, b *Artifact) {
		about := Difference{Subject: SubjectFile, URL: url}
		switch {
		case b == nil && !neededA[url]:
			about.From = a.SHA256.OCI()
			d.add(Removed, about)
		case a == nil && !neededB[url]:
			about.To = b.SHA256.OCI()
			d.add(Added, about)
		case a != nil && b != nil:
			if a.DirArchive != DirArchiveYAML || b.DirArchive != DirArchiveYAML { // templateFiles compared their files
				d.compareBlobs(about.of(AspectContent), a.Blob, b.Blob)
			}
			d.compare(about.of(AspectVerifiedBy), string(a.VerifiedBy), string(b.VerifiedBy))
			if a.VerifiedBy == b.VerifiedBy {
				d.compare(about.of(AspectVerifiedWith), strings.Join(a.VerifiedWith, " "), strings.Join(b.VerifiedWith, " "))
			}
		}
	})
}

// needed returns the URLs of the artifacts that plugins need.
func (l *Lock) needed() map[string]bool {
	needed := map[string]bool{}
	for _, p := range l.Plugins {
		p.addArtifacts(needed)
	}
	return needed
}

func (d *differ) image(role ImageRole) {
	a, b := d.a.Image(role), d.b.Image(role)
	about := Difference{Subject: role.Subject()}
	if !both(d, about, a, b, func(im *Image) string { return im.Reference }) {
		return
	}
	d.compare(about.of(AspectReference), a.Reference, b.Reference)
	byPlatform := func(im *Image) map[agent.Platform]ImageManifest {
		return keyed(im.Manifests, func(m ImageManifest) agent.Platform { return m.Platform })
	}
	pairs(byPlatform(a), byPlatform(b), agent.ComparePlatforms, func(p agent.Platform, from, to *ImageManifest) {
		if !slices.Contains(d.common, p) {
			return
		}
		about := about
		about.Platform = &p
		value := func(m *ImageManifest) string { return m.SHA256.OCI() }
		if both(d, about, from, to, value) && a.Reference == b.Reference && !reflect.DeepEqual(from, to) {
			about.From, about.To = value(from), value(to)
			d.add(Changed, about.of(AspectContent))
		}
	})
}

func (d *differ) chart() {
	a, b := d.a.Chart, d.b.Chart
	about := Difference{Subject: SubjectChart}
	if !both(d, about, a, b, func(c *Chart) string { return c.Name + " " + c.Version }) {
		return
	}
	d.compare(about.of(AspectName), a.Name, b.Name)
	d.compare(about.of(AspectVersion), a.Version, b.Version)
	if a.Name == b.Name && a.Version == b.Version {
		d.compare(about.of(AspectURL), a.URL, b.URL)
		d.compareBlobs(about.of(AspectContent), a.Blob, b.Blob)
	}
	d.compare(about.of(AspectVerifiedBy), string(a.VerifiedBy), string(b.VerifiedBy))
}

func (about Difference) of(aspect Aspect) Difference {
	about.Aspect = aspect
	return about
}

// compareBlobs notes content that differs, in its digest or its size.
func (d *differ) compareBlobs(about Difference, from, to Blob) {
	if from == to {
		return
	}
	about.From, about.To = from.SHA256.OCI(), to.SHA256.OCI()
	d.add(Changed, about)
}

// keyed returns the elements of a list by a key.
func keyed[K comparable, V any](list []V, key func(V) K) map[K]V {
	all := make(map[K]V, len(list))
	for _, v := range list {
		all[key(v)] = v
	}
	return all
}

// union returns what stands in either list, sorted, each once.
func union[K comparable](a, b []K, compare func(a, b K) int) []K {
	all := slices.Concat(a, b)
	slices.SortFunc(all, compare)
	return slices.Compact(all)
}

// pairs calls yield for every key of either map, in order. The value that a map
// lacks is nil.
func pairs[K comparable, V any](a, b map[K]V, compare func(a, b K) int, yield func(key K, a, b *V)) {
	for _, key := range union(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)), compare) {
		var valueA, valueB *V
		if v, ok := a[key]; ok {
			valueA = &v
		}
		if v, ok := b[key]; ok {
			valueB = &v
		}
		yield(key, valueA, valueB)
	}
}

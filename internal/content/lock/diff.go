package lock

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// Diff returns what changed from a to b, in the order of the subjects. Both locks must be sorted,
// as after [Parse] and [Lock.Sort].
//
// If a platform or a plugin was added or removed, Diff does not list its files. If a plugin has a
// new version, Diff does not list its new URL.
func Diff(a, b *Lock) []Difference {
	d := &differ{a: a, b: b, artifactsA: a.byURL(), artifactsB: b.byURL()}
	d.compare(Difference{Subject: SubjectBotkube}, AspectVersion, a.BotkubeVersion, b.BotkubeVersion)
	pairs(a.Platforms, b.Platforms, agent.Platform.String, d.platform)
	pairs(a.Repositories, b.Repositories, func(r Repository) string { return r.Name }, d.repository)
	d.plugins()
	d.files()
	for _, role := range imageRoles {
		d.image(role)
	}
	d.chart()
	return d.found
}

// differ is the state of [Diff].
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

// both reports whether neither a nor b is nil. If one of them is nil, both records that the other
// was added or removed. value returns the text that the difference shows.
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

func (d *differ) changed(about Difference, aspect Aspect, from, to string) {
	about.Aspect, about.From, about.To = aspect, from, to
	d.add(Changed, about)
}

// compare records two values if they differ.
func (d *differ) compare(about Difference, aspect Aspect, from, to string) {
	if from != to {
		d.changed(about, aspect, from, to)
	}
}

// compareBlobs records content if its digest or its size differs.
func (d *differ) compareBlobs(about Difference, aspect Aspect, from, to Blob) {
	if from != to {
		d.changed(about, aspect, from.SHA256.OCI(), to.SHA256.OCI())
	}
}

func (d *differ) platform(a, b *agent.Platform) {
	about := Difference{Subject: SubjectPlatform, Platform: cmp.Or(a, b)}
	if both(d, about, a, b, func(*agent.Platform) string { return "" }) {
		d.common = append(d.common, *a)
	}
}

func (d *differ) repository(a, b *Repository) {
	about := Difference{Subject: SubjectRepository, Repository: cmp.Or(a, b).Name}
	if !both(d, about, a, b, func(r *Repository) string { return r.URL }) {
		return
	}
	d.compare(about, AspectURL, a.URL, b.URL)
	d.compareBlobs(about, AspectIndex, a.Index, b.Index)
	// Added and removed schemas count only if the plugins are the same.
	same, others := true, d.otherPlugins(a.Name)
	pairs(a.Schemas, b.Schemas, func(s Schema) string { return s.URL }, func(a, b *Schema) {
		if a != nil && b != nil {
			same = same && *a == *b
		} else {
			same = same && others
		}
	})
	if !same {
		d.changed(about, AspectSchemas, "", "")
	}
}

// otherPlugins reports whether the two locks have different plugins of a repository.
func (d *differ) otherPlugins(repository string) bool {
	of := func(l *Lock) map[string]bool {
		names := map[string]bool{}
		for _, p := range l.Plugins {
			if p.Repository == repository {
				names[string(p.Type)+" "+p.Key().String()] = true
			}
		}
		return names
	}
	return !maps.Equal(of(d.a), of(d.b))
}

// plugins compares plugins with the same name. If a lock has several versions of a plugin, it
// compares plugins with the same version.
func (d *differ) plugins() {
	id := func(p Plugin) string { return strings.Join([]string{p.Repository, string(p.Type), p.Name}, "\x00") }
	several := map[string]bool{}
	versions := func(l *Lock) (all []Plugin) {
		for _, p := range l.Plugins {
			last := len(all) - 1
			switch {
			case last >= 0 && comparePlugins(all[last], p) == 0: // its builds may be in several entries
				all[last].Builds = slices.Concat(all[last].Builds, p.Builds)
				continue
			case last >= 0 && id(all[last]) == id(p):
				several[id(p)] = true
			}
			all = append(all, p)
		}
		return all
	}
	a, b := versions(d.a), versions(d.b)
	key := func(p Plugin) string {
		if several[id(p)] {
			return id(p) + "\x00" + p.Version
		}
		return id(p)
	}
	pairs(a, b, key, func(a, b *Plugin) {
		if both(d, cmp.Or(b, a).difference(SubjectPlugin), a, b, func(*Plugin) string { return "" }) {
			d.plugin(*a, *b)
		}
	})
}

// difference returns a difference with the fields that identify the plugin.
func (p Plugin) difference(s Subject) Difference {
	return Difference{Subject: s, Repository: p.Repository, Type: p.Type, Name: p.Name, Version: p.Version}
}

// plugin compares a plugin for the platforms that both locks have.
func (d *differ) plugin(a, b Plugin) {
	d.compare(b.difference(SubjectPlugin), AspectVersion, a.Version, b.Version)
	pairs(a.Builds, b.Builds, func(b Build) string { return b.Platform.String() }, func(from, to *Build) {
		about := b.difference(SubjectBuild)
		about.Platform = &cmp.Or(to, from).Platform
		if slices.Contains(d.common, *about.Platform) && both(d, about, from, to, func(b *Build) string { return b.URL }) {
			d.location(about, from.URL, to.URL, a.Version != b.Version)
			d.dependencies(about, *from, *to)
		}
	})
	pairs(a.Templates, b.Templates, func(t Template) string { return t.Directory }, func(from, to *Template) {
		about := b.difference(SubjectTemplates)
		about.Source = cmp.Or(to, from).Ref
		if both(d, about, from, to, func(*Template) string { return "" }) {
			d.templateFiles(about, *from, *to)
		}
	})
}

func (d *differ) templateFiles(about Difference, a, b Template) {
	pairs(a.Files, b.Files, func(f TemplateFile) string { return f.Path }, func(from, to *TemplateFile) {
		about.Path = cmp.Or(to, from).Path
		if both(d, about, from, to, func(f *TemplateFile) string { return f.SHA256.OCI() }) {
			d.compareBlobs(about, AspectFile, from.Blob, to.Blob)
		}
	})
}

func (d *differ) dependencies(about Difference, a, b Build) {
	about.Subject = SubjectDependency
	yesNo := map[bool]string{true: "yes", false: "no"}
	pairs(a.Dependencies, b.Dependencies, func(d Dependency) string { return d.Name }, func(a, b *Dependency) {
		about.Dependency = cmp.Or(a, b).Name
		if both(d, about, a, b, func(d *Dependency) string { return d.URL }) {
			d.location(about, a.URL, b.URL, false)
			d.compare(about, AspectReplaces, a.Replaces, b.Replaces)
			d.compare(about, AspectFromNewest, yesNo[a.FromNewest], yesNo[b.FromNewest])
		}
	})
}

// location compares the URLs of a file. If they differ, it also compares the sources of the
// checksums; [differ.files] does that for equal URLs. If expected is set, the URL may change, so it
// is not recorded.
func (d *differ) location(about Difference, from, to string, expected bool) {
	if !expected {
		d.compare(about, AspectURL, from, to)
	}
	locationA, errA := agent.ParseLocation(from)
	locationB, errB := agent.ParseLocation(to)
	if errA != nil || errB != nil || locationA.URL == locationB.URL {
		return
	}
	about.URL = locationB.URL
	d.compare(about, AspectVerifiedBy, string(d.artifactsA[locationA.URL].VerifiedBy), string(d.artifactsB[locationB.URL].VerifiedBy))
}

// files compares files with the same URL. It records a file that only one lock has if no build
// needs it: otherwise the build has a difference.
func (d *differ) files() {
	neededA, neededB := artifactsOf(d.a.Plugins), artifactsOf(d.b.Plugins)
	pairs(d.a.Artifacts, d.b.Artifacts, func(a Artifact) string { return a.URL }, func(a, b *Artifact) {
		about := Difference{Subject: SubjectFile, URL: cmp.Or(a, b).URL}
		if b == nil && neededA[a.URL] || a == nil && neededB[b.URL] || !both(d, about, a, b, func(a *Artifact) string { return a.SHA256.OCI() }) {
			return
		}
		if a.DirArchive != DirArchiveYAML || b.DirArchive != DirArchiveYAML { // templateFiles compared their files
			d.compareBlobs(about, AspectContent, a.Blob, b.Blob)
		}
		d.compare(about, AspectVerifiedBy, string(a.VerifiedBy), string(b.VerifiedBy))
		if a.VerifiedBy == b.VerifiedBy {
			d.compare(about, AspectVerifiedWith, strings.Join(a.VerifiedWith, " "), strings.Join(b.VerifiedWith, " "))
		}
	})
}

func (d *differ) image(role ImageRole) {
	a, b := d.a.Image(role), d.b.Image(role)
	about := Difference{Subject: role.Subject()}
	if !both(d, about, a, b, func(im *Image) string { return im.Reference }) {
		return
	}
	d.compare(about, AspectReference, a.Reference, b.Reference)
	whole, before := about, len(d.found)
	pairs(a.Manifests, b.Manifests, func(m ImageManifest) string { return m.Platform.String() }, func(from, to *ImageManifest) {
		about.Platform = &cmp.Or(to, from).Platform
		if !slices.Contains(d.common, *about.Platform) {
			return
		}
		value := func(m *ImageManifest) string { return m.SHA256.OCI() }
		if both(d, about, from, to, value) && a.Reference == b.Reference && !reflect.DeepEqual(from, to) {
			d.changed(about, AspectContent, value(from), value(to))
		}
	})
	switch {
	case len(d.found) > before || a.Reference != b.Reference: // a new index follows from that
	case a.Index != nil && b.Index != nil: // other manifests of the index may have changed, such as attestations
		d.compare(whole, AspectContent, a.Index.digest(), b.Index.digest())
	case slices.Equal(a.platforms(), b.platforms()):
		d.compare(whole, AspectIndex, a.Index.digest(), b.Index.digest())
	}
}

func (d *differ) chart() {
	a, b := d.a.Chart, d.b.Chart
	about := Difference{Subject: SubjectChart}
	if !both(d, about, a, b, func(c *Chart) string { return c.Name + " " + c.Version }) {
		return
	}
	d.compare(about, AspectName, a.Name, b.Name)
	d.compare(about, AspectVersion, a.Version, b.Version)
	if a.Name == b.Name && a.Version == b.Version {
		d.compare(about, AspectURL, a.URL, b.URL)
		d.compareBlobs(about, AspectContent, a.Blob, b.Blob)
	}
	d.compare(about, AspectVerifiedBy, string(a.VerifiedBy), string(b.VerifiedBy))
}

// pairs calls yield with the two values of every key, sorted by key. If a list does not have the
// key, its value is nil. If it has the key several times, its value is the last one.
func pairs[V any](a, b []V, key func(V) string, yield func(a, b *V)) {
	both := map[string]*[2]*V{}
	for side, list := range [][]V{a, b} {
		for i := range list {
			k := key(list[i])
			if both[k] == nil {
				both[k] = new([2]*V)
			}
			both[k][side] = &list[i]
		}
	}
	for _, k := range slices.Sorted(maps.Keys(both)) {
		yield(both[k][0], both[k][1])
	}
}

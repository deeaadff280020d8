package site

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/deploy"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/page"
)

// PagePath returns the path of a version's web page in the site.
func PagePath(tag string) string { return path.Join(tag, page.Name) }

// Paged has what the web page of a version shows.
type Paged struct {
	Lock *lock.Lock
	// BaseURL is empty if it is not known.
	BaseURL string
	// Made is when it was made, or zero.
	Made time.Time
	// Password says that the server wants a user and a password.
	Password bool
}

// VersionPage returns the web page of a version.
func VersionPage(p Paged) ([]byte, error) {
	v, err := p.describe("..")
	if err != nil {
		return nil, err
	}
	return (&page.Page{Version: v, Up: "../" + page.Name}).Render(), nil
}

// RootPage returns the web page of a site with all its versions. It shows the newest version that
// has a known base URL.
func RootPage(versions []Paged) ([]byte, error) {
	p := new(page.Page)
	for _, v := range newestFirst(versions) {
		sums, err := totals(v.Lock.PluginsOnly())
		if err != nil {
			return nil, err
		}
		listed := page.Listed{Totals: sums, URL: PagePath(sums.Tag)}
		if p.Tag == "" && v.BaseURL != "" {
			if p.Version, err = v.describe("."); err != nil {
				return nil, err
			}
			listed.Shown = true
		}
		p.All = append(p.All, listed)
	}
	switch {
	case p.Tag == "":
		return nil, fault.New(fault.Incomplete, "no version of the site has a base URL in its indexes")
	case len(p.All) == 1:
		p.All = nil
	}
	return p.Render(), nil
}

func totals(l *lock.Lock) (page.Totals, error) {
	tag, err := l.Tag()
	return page.Totals{
		Tag: tag, Platforms: l.Platforms, Plugins: len(l.Plugins), Files: len(Files(l)), Size: lock.SizeOf(blobsOf(l.Artifacts)),
	}, err
}

// describe returns what a page shows of a version, with the way from the page to the web root.
func (p Paged) describe(up string) (v page.Version, err error) {
	base, err := baseURL(p.BaseURL)
	if err != nil {
		return v, err
	}
	l := p.Lock.PluginsOnly()
	if v.Totals, err = totals(l); err != nil {
		return v, err
	}
	digest, err := l.Digest()
	if err != nil {
		return v, err
	}
	at := func(p string) string { return up + "/" + p }
	v.Botkube, v.BaseURL, v.Made, v.Password, v.LockDigest = l.BotkubeVersion, base, p.Made, p.Password, digest.OCI()
	v.LockURL, v.SumsURL = at(path.Join(v.Tag, lockName)), at(path.Join(v.Tag, sumsName))
	for _, r := range l.Repositories {
		index, err := IndexURL(base, l, r.Name)
		if err != nil {
			return v, err
		}
		v.Repositories = append(v.Repositories, page.Repository{Name: r.Name, Upstream: agent.Redact(r.URL), Index: index})
	}
	artifacts := newRewriter(base, l).artifacts
	for _, p := range l.Plugins {
		v.Entries = append(v.Entries, describePlugin(p, artifacts, at))
	}
	for _, source := range lock.ChecksumSources {
		files := slices.DeleteFunc(slices.Clone(l.Artifacts), func(a lock.Artifact) bool { return a.VerifiedBy != source })
		if len(files) > 0 {
			v.ChecksumCounts = append(v.ChecksumCounts, page.ChecksumCount{Source: source, Files: len(files)})
		}
	}
	templates, err := Templates(base, l)
	if err != nil {
		return v, err
	}
	for _, t := range templates {
		v.Templates = append(v.Templates, page.Template{Plugin: t.Plugin.String(), Ref: agent.Redact(t.Ref), URL: t.URL})
	}
	v.Check = checkCommand(base, v.Tag)
	if v.Values, err = values(base, v.Tag, l); fault.KindOf(err) == fault.Usage {
		v.NoValues, err = err.Error(), nil
	}
	return v, err
}

// values returns the Helm values with which an agent starts from a version.
func values(base, tag string, l *lock.Lock) (string, error) {
	o, err := form.Deployment(base+"/"+tag, l.BotkubeVersion, l.Platforms, l)
	if err != nil {
		return "", err
	}
	if err := Deliver(o, base, l); err != nil {
		return "", err
	}
	made, err := deploy.Values(*o)
	if err != nil {
		return "", err
	}
	text, err := made.YAML()
	return string(text), err
}

func describePlugin(p lock.Plugin, artifacts map[string]lock.Artifact, at func(string) string) page.Plugin {
	out := page.Plugin{Name: p.Repository + "/" + p.Name, Type: p.Type, Version: p.Version}
	var used []lock.Artifact
	// The artifact of a build or a dependency is named by a part of its URL. The lock was checked.
	pinned := func(raw string) lock.Artifact {
		location, _ := agent.ParseLocation(raw)
		return artifacts[location.URL]
	}
	add := func(what, raw string, a lock.Artifact, on []agent.Platform, notes ...string) {
		if a.DirArchive != "" {
			notes = append(notes, "an archive that botkube-mirror made from a directory")
		}
		used = append(used, a)
		i := slices.IndexFunc(out.Files, func(f page.File) bool { return f.What == what && f.SHA256 == a.SHA256 && slices.Equal(f.Notes, notes) })
		if i >= 0 {
			out.Files[i].For = append(out.Files[i].For, on...)
			return
		}
		file := FilePath(a)
		out.Files = append(out.Files, page.File{
			For: on, What: what, Notes: notes, Name: path.Base(file), URL: at(file), Upstream: agent.Redact(raw),
			Size: a.Size, SHA256: a.SHA256, VerifiedBy: a.VerifiedBy, VerifiedWith: redacted(a.VerifiedWith),
		})
	}
	for _, b := range p.Builds {
		out.Platforms = append(out.Platforms, b.Platform)
		add("plugin", b.URL, pinned(b.URL), []agent.Platform{b.Platform})
	}
	for _, b := range p.Builds {
		for _, d := range b.Dependencies {
			out.Dependencies = append(out.Dependencies, d.Name)
			add(d.Name, d.URL, pinned(d.URL), []agent.Platform{b.Platform}, notesOn(d)...)
		}
	}
	for _, t := range p.Templates {
		add("templates", t.URL, artifacts[t.URL], nil)
	}
	slices.Sort(out.Dependencies)
	out.Dependencies = slices.Compact(out.Dependencies)
	out.Size = lock.SizeOf(blobsOf(used))
	return out
}

func notesOn(d lock.Dependency) (notes []string) {
	switch d.Replaces {
	case "":
	case lock.ReplacesNothing:
		notes = append(notes, "added with --dependency: the index has no such file")
	default:
		notes = append(notes, "from --dependency, instead of "+agent.Redact(d.Replaces))
	}
	if d.FromNewest {
		notes = append(notes, "listed only by a newer version of the plugin")
	}
	return notes
}

// checkCommand returns what downloads a version and compares its checksums.
func checkCommand(base, tag string) string {
	below := base + "/" + tag + "/"
	return strings.Join([]string{
		"mkdir -p " + tag + " && cd " + tag + " &&",
		"curl -fsSO " + fault.Quote(below+sumsName) + " &&",
		`cut -c67- ` + sumsName + ` | while read -r file; do curl -fsS --create-dirs -o "$file" ` + fault.Quote(below) + `"$file"; done`,
		"sha256sum -c " + sumsName,
	}, "\n")
}

func blobsOf(artifacts []lock.Artifact) (blobs []lock.Blob) {
	for _, a := range artifacts {
		blobs = append(blobs, a.Blob)
	}
	return blobs
}

func redacted(urls []string) (out []string) {
	for _, u := range urls {
		out = append(out, agent.Redact(u))
	}
	return out
}

// newestFirst returns versions in order.
func newestFirst(versions []Paged) []Paged {
	tag := func(l *lock.Lock) string {
		t, _ := l.Tag() // one that has none is an error elsewhere
		return t
	}
	return slices.SortedStableFunc(slices.Values(versions), func(a, b Paged) int {
		return lock.CompareReleases(a.Lock.BotkubeVersion, tag(a.Lock), b.Lock.BotkubeVersion, tag(b.Lock))
	})
}

package lock

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
)

// maxPlatforms is more than there are: Go knows some fifty.
const maxPlatforms = 100

// Check reports every reason why the lock cannot be used: those of
// [Lock.CheckPlan], and artifacts without a size. A lock may come from anywhere,
// so nothing of it is believed before.
func (l *Lock) Check() error {
	problems := []error{l.CheckPlan()}
	for _, a := range l.Artifacts {
		if a.Size <= 0 {
			problems = append(problems, fmt.Errorf("lock: artifact %s has no size", agent.Redact(a.URL)))
		}
	}
	return errors.Join(problems...)
}

// CheckPlan reports what is wrong with a lock whose artifacts are not known
// yet: names that are no file names, URLs that no artifact is pinned for, two
// files at one path.
func (l *Lock) CheckPlan() error {
	if l.SchemaVersion != SchemaVersion {
		return fmt.Errorf("the lock has schema version %d; this program knows version %d", l.SchemaVersion, SchemaVersion)
	}
	var problems []error
	report := func(format string, args ...any) { problems = append(problems, fmt.Errorf("lock: "+format, args...)) }

	if tag := versionTag(l.BotkubeVersion); tag != "" && !tagForm.MatchString(tag) {
		report("the Botkube version %q is none", l.BotkubeVersion)
	}
	if len(l.Platforms) == 0 {
		report("it names no platform")
	}
	if len(l.Platforms) > maxPlatforms {
		return fmt.Errorf("lock: it names %d platforms; at most %d are read", len(l.Platforms), maxPlatforms)
	}
	platforms := map[agent.Platform]bool{}
	for _, p := range l.Platforms {
		if _, err := agent.ParsePlatform(p.String()); err != nil {
			report("%w", err)
		}
		if platforms[p] {
			report("platform %s stands twice", p)
		}
		platforms[p] = true
	}
	repositories := map[string]bool{}
	for _, r := range l.Repositories {
		if err := agent.CheckRepository(r.Name); err != nil {
			report("%w", err)
		}
		if repositories[r.Name] {
			report("repository %q stands twice", r.Name)
		}
		repositories[r.Name] = true
		if r.Index.Size < 0 {
			report("the index of %q has a negative size", r.Name)
		}
	}
	artifacts := map[string]bool{}
	for _, a := range l.Artifacts {
		if artifacts[a.URL] {
			report("artifact %s stands twice", agent.Redact(a.URL))
		}
		artifacts[a.URL] = true
		if !a.VerifiedBy.valid() {
			report("artifact %s is verified by %q, which means nothing", agent.Redact(a.URL), a.VerifiedBy)
		}
	}
	for _, p := range l.Plugins {
		if !repositories[p.Repository] {
			report("plugin %s is of a repository that the lock does not name", p.Key())
		}
		problems = append(problems, p.check(platforms, artifacts)...)
	}
	if l.AgentImage != nil {
		problems = append(problems, l.AgentImage.check(platforms)...)
	}
	if l.Chart != nil {
		problems = append(problems, l.Chart.check()...)
	}
	if len(problems) == 0 {
		problems = append(problems, checkPaths(l)...)
	}
	return errors.Join(problems...)
}

// manifestTypes are the media types of manifests of an image for one platform.
var manifestTypes = []string{
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json",
}

// check reports what is wrong with an image.
func (im *Image) check(platforms map[agent.Platform]bool) []error {
	var problems []error
	report := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("lock: the agent image: "+format, args...))
	}
	if im.Reference == "" || len(im.Manifests) == 0 {
		report("it has no reference or no manifest")
	}
	seen := map[agent.Platform]bool{}
	for _, m := range im.Manifests {
		if seen[m.Platform] || !platforms[m.Platform] {
			report("platform %s stands twice or is not one of the lock's", m.Platform)
		}
		seen[m.Platform] = true
		if !slices.Contains(manifestTypes, m.MediaType) {
			report("media type %q is not that of an image manifest", m.MediaType)
		}
		for _, b := range append([]Blob{m.Blob}, m.Blobs...) {
			if b.Size <= 0 {
				report("sha256:%s has no size", b.SHA256)
			}
		}
	}
	return problems
}

// check reports what is wrong with a chart.
func (c *Chart) check() []error {
	var problems []error
	for _, err := range []error{agent.CheckName("chart", c.Name), agent.CheckName("chart version", c.Version)} {
		if err != nil {
			problems = append(problems, fmt.Errorf("lock: %w", err))
		}
	}
	if c.Size <= 0 || c.URL == "" {
		problems = append(problems, errors.New("lock: the chart has no size or no URL"))
	}
	if !c.VerifiedBy.valid() {
		problems = append(problems, fmt.Errorf("lock: the chart is verified by %q, which means nothing", c.VerifiedBy))
	}
	return problems
}

// check reports what is wrong with one plugin.
func (p Plugin) check(platforms map[agent.Platform]bool, artifacts map[string]bool) []error {
	var problems []error
	report := func(err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("lock: plugin %s: %w", p.Key(), err))
		}
	}
	pinned := func(raw string) {
		location, err := agent.ParseLocation(raw)
		if err == nil && !artifacts[location.URL] {
			err = fmt.Errorf("no artifact is pinned for %s", agent.Redact(raw))
		}
		report(err)
	}
	if !p.Type.Valid() {
		report(fmt.Errorf("type %q is neither executor nor source", p.Type))
	}
	report(agent.CheckName("name", p.Name))
	report(agent.CheckName("version", p.Version))
	report(agent.CheckBinaryName(p.Type, p.Version, p.Name))
	seen := map[agent.Platform]bool{}
	for _, b := range p.Builds {
		if seen[b.Platform] || !platforms[b.Platform] {
			report(fmt.Errorf("platform %s stands twice or is not one of the lock's", b.Platform))
		}
		seen[b.Platform] = true
		pinned(b.URL)
		names := map[string]bool{}
		for _, d := range b.Dependencies {
			report(agent.CheckName("dependency", d.Name))
			if names[d.Name] {
				report(fmt.Errorf("dependency %q stands twice", d.Name))
			}
			names[d.Name] = true
			pinned(d.URL)
		}
	}
	return problems
}

// checkPaths reports files of one cache directory that would lie at the same
// path, or one of them in a directory that has another's name: versions and
// names may hold underscores, so different plugins can make the same path.
func checkPaths(l *Lock) []error {
	var problems []error
	for _, platform := range l.Platforms {
		files := l.Files(platform)
		owners := map[string]bool{}
		for _, r := range l.Repositories {
			owners[agent.IndexPath(r.Name)] = true
		}
		for _, f := range files {
			if owners[f.Path] {
				problems = append(problems, fmt.Errorf("lock: two files for %s would lie at %s", platform, f.Path))
			}
			owners[f.Path] = true
		}
		for p := range owners {
			for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
				if owners[dir] {
					problems = append(problems, fmt.Errorf("lock: %s would be a file and a directory for %s", dir, platform))
				}
			}
		}
	}
	return problems
}

package lock

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// maxPlatforms bounds the platforms of a lock: Go knows some fifty.
const maxPlatforms = 100

// MaxBlob bounds, in bytes, a file of a mirror. No file is nearly as large, and a sparse
// file of this size is read in about a minute. The bound also keeps sums of sizes from
// overflowing.
const MaxBlob = 64 << 30

// Check reports every reason why the lock cannot be used: those of [Lock.CheckPlan], and
// artifacts without a size. A lock may come from anywhere, so it is checked before use.
func (l *Lock) Check() error { return l.check(true) }

// CheckPlan reports what is wrong with a lock whose artifacts have no sizes yet: names
// that are no file names, malformed URLs, URLs without an artifact, two files at one
// path.
func (l *Lock) CheckPlan() error { return l.check(false) }

func (l *Lock) check(complete bool) error {
	if l.SchemaVersion != SchemaVersion {
		return fmt.Errorf("the lock has schema version %d; this program knows version %d", l.SchemaVersion, SchemaVersion)
	}
	if len(l.Platforms) > maxPlatforms {
		return fmt.Errorf("lock: it names %d platforms; at most %d are read", len(l.Platforms), maxPlatforms)
	}
	c := &checking{complete: complete, platforms: map[agent.Platform]bool{}, repositories: map[string]bool{}, artifacts: map[string]DirArchive{}}
	if tag := versionTag(l.BotkubeVersion); tag != "" && !IsTag(tag) {
		c.report("the Botkube version %.100q is none", l.BotkubeVersion)
	}
	c.checkPlatforms(l.Platforms)
	for _, r := range l.Repositories {
		c.checkRepository(r)
	}
	for i, a := range l.Artifacts {
		c.checkArtifact(i, a)
	}
	for _, p := range l.Plugins {
		c.about = "plugin " + printable(p.Key().String()) + ": "
		c.checkPlugin(p)
	}
	c.about = ""
	c.checkImages(l)
	if l.Chart != nil {
		c.checkChart(l.Chart)
	}
	if len(c.problems) == 0 {
		c.checkPaths(l)
	}
	return errors.Join(c.problems...)
}

// checking is one run of [Lock.Check], and what it has met so far.
type checking struct {
	// complete says that the artifacts must have sizes.
	complete bool
	problems []error
	// about begins every problem of the subject that is being checked.
	about        string
	platforms    map[agent.Platform]bool
	repositories map[string]bool
	// artifacts are by URL.
	artifacts map[string]DirArchive
}

func (c *checking) report(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("lock: %s%w", c.about, fmt.Errorf(format, args...)))
}

// note reports an error, if it is one.
func (c *checking) note(err error) {
	if err != nil {
		c.report("%w", err)
	}
}

// url reports what is wrong with a URL.
func (c *checking) url(raw, format string, args ...any) {
	if err := checkURL(raw); err != nil {
		c.report("the URL of %s %w", fmt.Sprintf(format, args...), err)
	}
}

// twice adds a value to a set, and reports whether it was in it.
func twice[K comparable](seen map[K]bool, value K) bool {
	before := seen[value]
	seen[value] = true
	return before
}

func (c *checking) checkPlatforms(platforms []agent.Platform) {
	if len(platforms) == 0 {
		c.report("it names no platform")
	}
	for _, p := range platforms {
		_, err := agent.ParsePlatform(p.String())
		c.note(err)
		if twice(c.platforms, p) {
			c.report("platform %.100q stands twice", p)
		}
	}
}

func (c *checking) checkRepository(r Repository) {
	c.note(agent.CheckRepository(r.Name))
	if twice(c.repositories, r.Name) {
		c.report("repository %.100q stands twice", r.Name)
	}
	if r.Index.Size < 0 {
		c.report("the index of %.100q has a negative size", r.Name)
	}
	if r.Index.Size > MaxBlob {
		c.report("the index of %.100q has %d bytes", r.Name, r.Index.Size)
	}
	c.url(r.URL, "repository %.100q", r.Name)
	for _, s := range r.Schemas {
		c.url(s.URL, "a schema of repository %.100q", r.Name)
	}
}

func (c *checking) checkArtifact(i int, a Artifact) {
	if _, twice := c.artifacts[a.URL]; twice {
		c.report("artifact %s stands twice", shown(a.URL))
	}
	c.artifacts[a.URL] = a.DirArchive
	if !slices.Contains([]DirArchive{"", DirArchiveYAML, DirArchiveAll}, a.DirArchive) {
		c.report("artifact %s is a tree of %.100q, which means nothing", shown(a.URL), a.DirArchive)
	}
	c.url(a.URL, "artifacts[%d]", i)
	if !slices.Contains(ChecksumSources, a.VerifiedBy) {
		c.report("artifact %s is verified by %.100q, which means nothing", shown(a.URL), a.VerifiedBy)
	}
	for _, u := range a.VerifiedWith {
		c.url(u, "a checksum file of artifact %s", shown(a.URL))
	}
	if c.complete && a.Size <= 0 {
		c.report("artifact %s has no size", shown(a.URL))
	}
	if c.complete && a.Size > MaxBlob {
		c.report("artifact %s has %d bytes; at most %d can be mirrored", shown(a.URL), a.Size, int64(MaxBlob))
	}
}

const (
	// maxURL bounds, in bytes, a URL: servers take no longer ones.
	maxURL = 8 << 10
	// maxReference bounds, in bytes, a reference of an image: a repository has
	// at most 255, a tag 128 and a digest 71.
	maxReference = 512
)

// checkURL reports what is wrong with a URL, without quoting it: a malformed URL cannot
// be redacted. An empty URL passes.
func checkURL(raw string) error {
	if err := checkText(raw); err != nil {
		return err
	}
	if _, err := url.Parse(raw); err != nil {
		return errors.New("is malformed")
	}
	return nil
}

// checkText reports what is wrong with a text, which may be a URL.
func checkText(raw string) error {
	if len(raw) > maxURL {
		return fmt.Errorf("has %d bytes; at most %d are read", len(raw), maxURL)
	}
	if strings.ContainsFunc(raw, isUnprintable) {
		return errors.New("holds a control character")
	}
	return nil
}

func isUnprintable(r rune) bool { return !unicode.IsPrint(r) }

// shown returns a URL for a message.
func shown(raw string) string {
	if checkURL(raw) != nil {
		return "with a URL that is none"
	}
	return agent.Redact(raw)
}

// printable makes a name fit for a message, whatever it is.
func printable(s string) string {
	const most = 300
	if len(s) > most {
		s = s[:most] + "…"
	}
	if strings.ContainsFunc(s, isUnprintable) {
		return strconv.Quote(s)
	}
	return s
}

func (c *checking) checkChart(chart *Chart) {
	name, version := agent.CheckName("chart", chart.Name), agent.CheckName("chart version", chart.Version)
	c.note(name)
	c.note(version)
	if name == nil && version == nil && !IsTag(versionTag(chart.Version)) {
		c.report("the chart version %q makes no tag of a registry", chart.Version)
	}
	if chart.Size <= 0 || chart.URL == "" {
		c.report("the chart has no size or no URL")
	}
	c.url(chart.URL, "the chart")
	if !slices.Contains(ChecksumSources, chart.VerifiedBy) {
		c.report("the chart is verified by %.100q, which means nothing", chart.VerifiedBy)
	}
}

func (c *checking) checkPlugin(p Plugin) {
	if !c.repositories[p.Repository] {
		c.report("it is of a repository that the lock does not name")
	}
	if !p.Type.Valid() {
		c.report("type %.100q is neither executor nor source", p.Type)
	}
	c.note(agent.CheckName("name", p.Name))
	c.note(agent.CheckName("version", p.Version))
	c.note(agent.CheckBinaryName(p.Type, p.Version, p.Name))
	seen := map[agent.Platform]bool{}
	for _, b := range p.Builds {
		if twice(seen, b.Platform) || !c.platforms[b.Platform] {
			c.report("platform %.100q stands twice or is not one of the lock's", b.Platform)
		}
		c.checkPinned(b.URL, printable(b.Platform.String()))
		names := map[string]bool{}
		for _, d := range b.Dependencies {
			c.note(agent.CheckName("dependency", d.Name))
			if twice(names, d.Name) {
				c.report("dependency %.100q stands twice", d.Name)
			}
			c.checkPinned(d.URL, "dependency "+printable(d.Name))
			c.checkReplaces(d)
		}
	}
	c.checkTemplates(p)
}

// checkPinned checks the URL of a build or a dependency, and that it has an artifact.
func (c *checking) checkPinned(raw, what string) {
	if checkURL(raw) != nil {
		c.url(raw, "%s", what)
		return
	}
	location, err := agent.ParseLocation(raw)
	c.note(err)
	archive, pinned := c.artifacts[location.URL]
	if err == nil && (!pinned || archive == DirArchiveYAML || (archive == DirArchiveAll) != location.IsGit) {
		c.report("no artifact is pinned for %s", agent.Redact(raw))
	}
}

// checkReplaces checks what a dependency replaces: the URL that an index has. It need not be one
// that can be mirrored.
func (c *checking) checkReplaces(d Dependency) {
	if d.Replaces == "" || d.Replaces == ReplacesNothing {
		return
	}
	c.url(d.Replaces, "what dependency %s replaces", printable(d.Name))
	switch {
	case !strings.Contains(d.Replaces, "/"):
		c.report("dependency %s: replaces is neither a URL nor %q", printable(d.Name), ReplacesNothing)
	case d.Replaces == d.URL:
		c.report("dependency %s replaces itself", printable(d.Name))
	}
}

// checkPaths reports two files at the same path of a cache directory, and a file at the
// path of a directory. Versions and names may hold underscores, so different plugins
// can have the same path.
func (c *checking) checkPaths(l *Lock) {
	for _, platform := range l.Platforms {
		owners := map[string]bool{}
		for _, r := range l.Repositories {
			owners[agent.IndexPath(r.Name)] = true
		}
		for _, f := range l.Files(platform) {
			if twice(owners, f.Path) {
				c.report("two files for %s would lie at %s", platform, f.Path)
			}
		}
		for p := range owners {
			for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
				if owners[dir] {
					c.report("%s would be a file and a directory for %s", dir, platform)
				}
			}
		}
	}
}

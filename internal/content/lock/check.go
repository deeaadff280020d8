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

// maxPlatforms is how many platforms a lock may have. Go has about fifty.
const maxPlatforms = 100

// MaxBlob is the largest file of a mirror, in bytes. Real files are far smaller. A sparse file of
// this size can be read in about a minute, and sums of such sizes do not overflow.
const MaxBlob = 64 << 30

// Check returns every reason why the lock cannot be used: those of [Lock.CheckPlan], and artifacts
// without a size. A lock may come from anyone, so every lock must be checked before use.
func (l *Lock) Check() error { return l.check(true) }

// CheckPlan checks a lock whose artifacts have no sizes yet. It returns an error for names that
// cannot be file names, malformed URLs, URLs without an artifact, and two files at the same path.
func (l *Lock) CheckPlan() error { return l.check(false) }

func (l *Lock) check(complete bool) error {
	if l.SchemaVersion != SchemaVersion {
		return fmt.Errorf("the lock has schema version %d, but this program reads version %d", l.SchemaVersion, SchemaVersion)
	}
	if len(l.Platforms) > maxPlatforms {
		return fmt.Errorf("lock: it has %d platforms; the limit is %d", len(l.Platforms), maxPlatforms)
	}
	c := &checking{complete: complete, platforms: map[agent.Platform]bool{}, repositories: map[string]bool{}, artifacts: map[string]DirArchive{}}
	if tag := versionTag(l.BotkubeVersion); tag != "" && !IsTag(tag) {
		c.report("%.100q is not a Botkube version", l.BotkubeVersion)
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

// checking is the state of [Lock.Check].
type checking struct {
	// complete means that artifacts must have sizes.
	complete bool
	problems []error
	// about is put before every problem: the part of the lock that is being checked.
	about        string
	platforms    map[agent.Platform]bool
	repositories map[string]bool
	// artifacts has the kind of every artifact by URL.
	artifacts map[string]DirArchive
}

func (c *checking) report(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("lock: %s%w", c.about, fmt.Errorf(format, args...)))
}

// note reports err if it is not nil.
func (c *checking) note(err error) {
	if err != nil {
		c.report("%w", err)
	}
}

// url reports a malformed URL. format names what the URL belongs to.
func (c *checking) url(raw, format string, args ...any) {
	if err := checkURL(raw); err != nil {
		c.report("the URL of %s %w", fmt.Sprintf(format, args...), err)
	}
}

// twice adds a value to a set, and reports whether the set had it before.
func twice[K comparable](seen map[K]bool, value K) bool {
	before := seen[value]
	seen[value] = true
	return before
}

func (c *checking) checkPlatforms(platforms []agent.Platform) {
	if len(platforms) == 0 {
		c.report("it has no platforms")
	}
	for _, p := range platforms {
		_, err := agent.ParsePlatform(p.String())
		c.note(err)
		if twice(c.platforms, p) {
			c.report("platform %.100q is listed twice", p)
		}
	}
}

func (c *checking) checkRepository(r Repository) {
	c.note(agent.CheckRepository(r.Name))
	if twice(c.repositories, r.Name) {
		c.report("repository %.100q is listed twice", r.Name)
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
		c.report("artifact %s is listed twice", shown(a.URL))
	}
	c.artifacts[a.URL] = a.DirArchive
	if !slices.Contains([]DirArchive{"", DirArchiveYAML, DirArchiveAll}, a.DirArchive) {
		c.report("artifact %s has the unknown tree %.100q", shown(a.URL), a.DirArchive)
	}
	c.url(a.URL, "artifacts[%d]", i)
	if !slices.Contains(ChecksumSources, a.VerifiedBy) {
		c.report("artifact %s has the unknown verifiedBy %.100q", shown(a.URL), a.VerifiedBy)
	}
	for _, u := range a.VerifiedWith {
		c.url(u, "a checksum file of artifact %s", shown(a.URL))
	}
	if c.complete && a.Size <= 0 {
		c.report("artifact %s has no size", shown(a.URL))
	}
	if c.complete && a.Size > MaxBlob {
		c.report("artifact %s has %d bytes; the limit is %d", shown(a.URL), a.Size, int64(MaxBlob))
	}
}

const (
	// maxURL is the longest URL in bytes. Servers do not accept longer ones.
	maxURL = 8 << 10
	// maxReference is the longest reference of an image in bytes. A repository has at most 255, a
	// tag 128 and a digest 71.
	maxReference = 512
)

// checkURL returns an error for a malformed URL. The error does not quote the URL, because
// passwords in a malformed URL cannot be removed. An empty URL is valid.
func checkURL(raw string) error {
	if err := checkText(raw); err != nil {
		return err
	}
	if _, err := url.Parse(raw); err != nil {
		return errors.New("is malformed")
	}
	return nil
}

// checkText returns an error for a text that is too long or contains control characters.
func checkText(raw string) error {
	if len(raw) > maxURL {
		return fmt.Errorf("has %d bytes; the limit is %d", len(raw), maxURL)
	}
	if strings.ContainsFunc(raw, isUnprintable) {
		return errors.New("contains a control character")
	}
	return nil
}

func isUnprintable(r rune) bool { return !unicode.IsPrint(r) }

// shown returns a URL without secrets for a message.
func shown(raw string) string {
	if checkURL(raw) != nil {
		return "with a malformed URL"
	}
	return agent.Redact(raw)
}

// printable makes any name safe to print in a message.
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
		c.report("the chart version %q is not valid as a tag", chart.Version)
	}
	if chart.Size <= 0 || chart.URL == "" {
		c.report("the chart has no size or no URL")
	}
	c.url(chart.URL, "the chart")
	if !slices.Contains(ChecksumSources, chart.VerifiedBy) {
		c.report("the chart has the unknown verifiedBy %.100q", chart.VerifiedBy)
	}
}

func (c *checking) checkPlugin(p Plugin) {
	if !c.repositories[p.Repository] {
		c.report("the lock does not list its repository")
	}
	if !p.Type.Valid() {
		c.report("type must be executor or source, not %.100q", p.Type)
	}
	c.note(agent.CheckName("name", p.Name))
	c.note(agent.CheckName("version", p.Version))
	c.note(agent.CheckBinaryName(p.Type, p.Version, p.Name))
	seen := map[agent.Platform]bool{}
	for _, b := range p.Builds {
		if twice(seen, b.Platform) || !c.platforms[b.Platform] {
			c.report("platform %.100q is listed twice, or is not a platform of the lock", b.Platform)
		}
		c.checkPinned(b.URL, printable(b.Platform.String()))
		names := map[string]bool{}
		for _, d := range b.Dependencies {
			c.note(agent.CheckName("dependency", d.Name))
			if twice(names, d.Name) {
				c.report("dependency %.100q is listed twice", d.Name)
			}
			c.checkPinned(d.URL, "dependency "+printable(d.Name))
			c.checkReplaces(d)
		}
	}
	c.checkTemplates(p)
}

// checkPinned checks the URL of a build or a dependency, and whether the lock has its artifact.
func (c *checking) checkPinned(raw, what string) {
	if checkURL(raw) != nil {
		c.url(raw, "%s", what)
		return
	}
	location, err := agent.ParseLocation(raw)
	c.note(err)
	archive, pinned := c.artifacts[location.URL]
	if err == nil && (!pinned || archive == DirArchiveYAML || (archive == DirArchiveAll) != location.IsGit) {
		c.report("the lock has no artifact for %s", agent.Redact(raw))
	}
}

// checkReplaces checks [Dependency.Replaces]. It is a URL from an index, and does not have to be
// one that can be mirrored.
func (c *checking) checkReplaces(d Dependency) {
	if d.Replaces == "" || d.Replaces == ReplacesNothing {
		return
	}
	c.url(d.Replaces, "dependency %s in replaces", printable(d.Name))
	switch {
	case !strings.Contains(d.Replaces, "/"):
		c.report("dependency %s: replaces must be a URL or %q", printable(d.Name), ReplacesNothing)
	case d.Replaces == d.URL:
		c.report("dependency %s: replaces is the same as url", printable(d.Name))
	}
}

// checkPaths reports two files at the same path of a plugins directory, and a file at the path of a
// directory. Different plugins can have the same path, because versions and names may have
// underscores.
func (c *checking) checkPaths(l *Lock) {
	for _, platform := range l.Platforms {
		paths := map[string]bool{}
		for _, r := range l.Repositories {
			paths[agent.IndexPath(r.Name)] = true
		}
		for _, f := range l.Files(platform) {
			if twice(paths, f.Path) {
				c.report("two files for %s would have the path %s", platform, f.Path)
			}
		}
		for p := range paths {
			for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
				if paths[dir] {
					c.report("%s would be both a file and a directory for %s", dir, platform)
				}
			}
		}
	}
}

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
func (l *Lock) Check() error {
	problems := []error{l.CheckPlan()}
	for _, p := range l.Plugins {
		for _, t := range p.Templates {
			if len(t.Files) == 0 {
				problems = append(problems, fmt.Errorf("lock: plugin %s: templates %s have no files", printable(p.Key().String()), shown(t.Ref)))
			}
		}
	}
	for _, a := range l.Artifacts {
		if a.Size <= 0 {
			problems = append(problems, fmt.Errorf("lock: artifact %s has no size", shown(a.URL)))
		}
		if a.Size > MaxBlob {
			problems = append(problems, fmt.Errorf("lock: artifact %s has %d bytes; at most %d can be mirrored", shown(a.URL), a.Size, int64(MaxBlob)))
		}
	}
	return errors.Join(problems...)
}

// CheckPlan reports what is wrong with a lock whose artifacts have no sizes yet: names
// that are no file names, malformed URLs, URLs without an artifact, two files at one
// path.
func (l *Lock) CheckPlan() error {
	if l.SchemaVersion != SchemaVersion {
		return fmt.Errorf("the lock has schema version %d; this program knows version %d", l.SchemaVersion, SchemaVersion)
	}
	if len(l.Platforms) > maxPlatforms {
		return fmt.Errorf("lock: it names %d platforms; at most %d are read", len(l.Platforms), maxPlatforms)
	}
	c := &checking{platforms: map[agent.Platform]bool{}, repositories: map[string]bool{}, artifacts: map[string]DirArchive{}}
	if tag := versionTag(l.BotkubeVersion); tag != "" && !tagForm.MatchString(tag) {
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
		if !c.repositories[p.Repository] {
			c.report("plugin %s is of a repository that the lock does not name", printable(p.Key().String()))
		}
		c.problems = append(c.problems, p.check(c.platforms, c.artifacts)...)
	}
	c.problems = append(c.problems, l.checkImages(c.platforms)...)
	if l.Chart != nil {
		c.problems = append(c.problems, l.Chart.check()...)
	}
	if len(c.problems) == 0 {
		c.problems = checkPaths(l)
	}
	return errors.Join(c.problems...)
}

// checking is one run of [Lock.CheckPlan], and what it has met so far.
type checking struct {
	problems     []error
	platforms    map[agent.Platform]bool
	repositories map[string]bool
	// artifacts are by URL.
	artifacts map[string]DirArchive
}

func (c *checking) report(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("lock: "+format, args...))
}

func (c *checking) checkPlatforms(platforms []agent.Platform) {
	if len(platforms) == 0 {
		c.report("it names no platform")
	}
	for _, p := range platforms {
		if _, err := agent.ParsePlatform(p.String()); err != nil {
			c.report("%w", err)
		}
		if c.platforms[p] {
			c.report("platform %.100q stands twice", p)
		}
		c.platforms[p] = true
	}
}

func (c *checking) checkRepository(r Repository) {
	if err := agent.CheckRepository(r.Name); err != nil {
		c.report("%w", err)
	}
	if c.repositories[r.Name] {
		c.report("repository %.100q stands twice", r.Name)
	}
	c.repositories[r.Name] = true
	if r.Index.Size < 0 {
		c.report("the index of %.100q has a negative size", r.Name)
	}
	if r.Index.Size > MaxBlob {
		c.report("the index of %.100q has %d bytes", r.Name, r.Index.Size)
	}
	if err := checkURL(r.URL); err != nil {
		c.report("the URL of repository %.100q %w", r.Name, err)
	}
	for _, s := range r.Schemas {
		if err := checkURL(s.URL); err != nil {
			c.report("the URL of a schema of repository %.100q %w", r.Name, err)
		}
	}
}

func (c *checking) checkArtifact(i int, a Artifact) {
	if _, twice := c.artifacts[a.URL]; twice {
		c.report("artifact %s stands twice", shown(a.URL))
	}
	c.artifacts[a.URL] = a.DirArchive
	if !a.DirArchive.valid() {
		c.report("artifact %s is a tree of %.100q, which means nothing", shown(a.URL), a.DirArchive)
	}
	if err := checkURL(a.URL); err != nil {
		c.report("the URL of artifacts[%d] %w", i, err)
	}
	if !slices.Contains(ChecksumSources, a.VerifiedBy) {
		c.report("artifact %s is verified by %.100q, which means nothing", shown(a.URL), a.VerifiedBy)
	}
	for _, u := range a.VerifiedWith {
		if err := checkURL(u); err != nil {
			c.report("the URL of a checksum file of artifact %s %w", shown(a.URL), err)
		}
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
	if strings.ContainsFunc(raw, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("holds a control character")
	}
	return nil
}

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
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// check reports what is wrong with a chart.
func (c *Chart) check() []error {
	var problems []error
	for _, err := range []error{agent.CheckName("chart", c.Name), agent.CheckName("chart version", c.Version)} {
		if err != nil {
			problems = append(problems, fmt.Errorf("lock: %w", err))
		}
	}
	if len(problems) == 0 && !tagForm.MatchString(versionTag(c.Version)) {
		problems = append(problems, fmt.Errorf("lock: the chart version %q makes no tag of a registry", c.Version))
	}
	if c.Size <= 0 || c.URL == "" {
		problems = append(problems, errors.New("lock: the chart has no size or no URL"))
	}
	if err := checkURL(c.URL); err != nil {
		problems = append(problems, fmt.Errorf("lock: the URL of the chart %w", err))
	}
	if !slices.Contains(ChecksumSources, c.VerifiedBy) {
		problems = append(problems, fmt.Errorf("lock: the chart is verified by %.100q, which means nothing", c.VerifiedBy))
	}
	return problems
}

// check reports what is wrong with one plugin.
func (p Plugin) check(platforms map[agent.Platform]bool, artifacts map[string]DirArchive) []error {
	var problems []error
	report := func(err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("lock: plugin %s: %w", printable(p.Key().String()), err))
		}
	}
	pinned := func(raw string, what string) {
		if err := checkURL(raw); err != nil {
			report(fmt.Errorf("the URL of %s %w", what, err))
			return
		}
		location, err := agent.ParseLocation(raw)
		if err == nil {
			tree, pinned := artifacts[location.URL]
			if !pinned || tree == DirArchiveYAML || (tree == DirArchiveAll) != location.IsGit {
				err = fmt.Errorf("no artifact is pinned for %s", agent.Redact(raw))
			}
		}
		report(err)
	}
	if !p.Type.Valid() {
		report(fmt.Errorf("type %.100q is neither executor nor source", p.Type))
	}
	report(agent.CheckName("name", p.Name))
	report(agent.CheckName("version", p.Version))
	report(agent.CheckBinaryName(p.Type, p.Version, p.Name))
	seen := map[agent.Platform]bool{}
	for _, b := range p.Builds {
		if seen[b.Platform] || !platforms[b.Platform] {
			report(fmt.Errorf("platform %.100q stands twice or is not one of the lock's", b.Platform))
		}
		seen[b.Platform] = true
		pinned(b.URL, printable(b.Platform.String()))
		names := map[string]bool{}
		for _, d := range b.Dependencies {
			report(agent.CheckName("dependency", d.Name))
			if names[d.Name] {
				report(fmt.Errorf("dependency %.100q stands twice", d.Name))
			}
			names[d.Name] = true
			pinned(d.URL, "dependency "+printable(d.Name))
		}
	}
	for _, err := range p.checkTemplates(artifacts) {
		report(err)
	}
	return problems
}

// checkPaths reports two files at the same path of a cache directory, and a file at the
// path of a directory. Versions and names may hold underscores, so different plugins
// can have the same path.
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

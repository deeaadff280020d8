package resolve

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// artifact is an upstream file while it is resolved.
type artifact struct {
	// url is what is requested. Its redacted form names the artifact.
	url       string
	checksums []given
	// checksumFiles are URLs of checksum files that the index names itself.
	checksumFiles []string
	publishers    []string
	// answers say, of places where no checksum file is, what was answered there.
	answers []string
	odd     bool
	// troubles say which checksum files cannot be read or asked for, and why.
	troubles []string
	// unasked says that nobody knows whether there is a checksum file.
	unasked bool
	// tree is as in [lock.Artifact].
	tree lock.DirArchive
}

type given struct {
	agent.Checksum
	origin
}

// origin is who names a URL.
type origin struct {
	// by is who in messages, source who in the lock.
	by     string
	source lock.ChecksumSource
	// base is what the URL is relative to.
	base *url.URL
}

func (repo *repository) origin() origin {
	return origin{"the index of " + repo.Name, lock.ByIndex, repo.url}
}

type collection struct {
	plugins   []lock.Plugin
	artifacts map[string]*artifact
	local     []LocalTemplates
	// here is the directory that paths of replacements are relative to.
	here *url.URL
}

func collect(repositories []*repository, selected []index.Selected, here *url.URL) (*collection, error) {
	c := &collection{artifacts: map[string]*artifact{}, here: here}
	var problems []error
	for _, e := range selected {
		i := slices.IndexFunc(repositories, func(r *repository) bool { return r.Name == e.Repository })
		plugin := lock.Plugin{Repository: e.Repository, Type: e.Type, Name: e.Name, Version: e.Version}
		for _, p := range e.MirroredFor {
			build, err := c.build(repositories[i], e, p)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s (%s) for %s: %w", e.Key(), e.Type, p, err))
			}
			plugin.Builds = append(plugin.Builds, build)
		}
		c.plugins = append(c.plugins, plugin)
	}
	if len(problems) > 0 {
		return nil, fault.New(fault.Integrity, "%w", errors.Join(problems...)).
			WithHint("leave a plugin out with --exclude REPOSITORY/NAME")
	}
	return c, nil
}

func (c *collection) build(repo *repository, e index.Selected, p agent.Platform) (lock.Build, error) {
	upstream, _ := e.Build(p)
	out := lock.Build{Platform: p}
	var err error
	if out.URL, err = c.add(repo.origin(), upstream.URL, upstream.Checksum); err != nil {
		return out, err
	}
	dependencies := e.Dependencies(p)
	for _, name := range slices.Sorted(maps.Keys(dependencies)) {
		d, err := c.dependency(repo, name, dependencies[name])
		if err != nil {
			return out, fmt.Errorf("dependency %q: %w", name, err)
		}
		out.Dependencies = append(out.Dependencies, d)
	}
	return out, nil
}

func (c *collection) dependency(repo *repository, name string, d index.SelectedDependency) (out lock.Dependency, err error) {
	from := repo.origin()
	out = lock.Dependency{Name: name, FromNewest: d.FromNewest}
	if d.Replacement != nil {
		from = origin{"--dependency " + d.Replacement.String(), lock.ByFlag, c.here}
		out.Replaces = replaced(repo.url, d.Replaced)
	}
	out.URL, err = c.add(from, d.URL, "")
	if out.Replaces == out.URL {
		out.Replaces = ""
	}
	return out, err
}

// add records the artifact of a URL, which it returns in the form of [lock.Build].
func (c *collection) add(from origin, raw, checksum string) (string, error) {
	location, err := locate(from.base, raw)
	if err != nil {
		return "", err
	}
	if location.IsGit && checksum != "" {
		return "", fmt.Errorf("%s gives a checksum for %s, and a git repository can have none: the agent refuses that", from.by, agent.Redact(raw))
	}
	var kind lock.DirArchive
	if location.IsGit {
		kind = lock.DirArchiveAll
	}
	a, err := c.artifact(location.URL, kind)
	if err != nil {
		return "", err
	}
	if err := a.vouch(from, location, checksum); err != nil {
		return "", err
	}
	return agent.Redact(location.Normalized), checkSource(from.base, location, a)
}

// locate reads a URL of an index that lies at base.
func locate(base *url.URL, raw string) (agent.Location, error) {
	abs, err := agent.ResolveLocation(base, raw)
	if err != nil {
		return agent.Location{}, err
	}
	// Of what go-getter's detectors change, the agent decides by what it was how
	// to unpack it; that does not matter for a repository.
	if located, _, err := fetch.Locate(abs); err == nil && strings.HasPrefix(located, "git::") {
		abs = located
	}
	return agent.ParseLocation(abs)
}

// The agent lets the key checksum win over that of the URL; here both count.
func (a *artifact) vouch(from origin, location agent.Location, checksum string) error {
	var files []string
	if file, ok := strings.CutPrefix(checksum, "file:"); ok {
		files = append(files, file)
	} else if checksum != "" {
		parsed, err := agent.ParseChecksum(checksum)
		if err != nil {
			return err
		}
		a.checksums = append(a.checksums, given{parsed, from})
	}
	if location.Checksum != nil {
		a.checksums = append(a.checksums, given{*location.Checksum, from})
	}
	if location.ChecksumFile != "" {
		files = append(files, location.ChecksumFile)
	}
	for _, file := range files {
		abs, err := agent.ResolveLocation(from.base, file)
		if err != nil {
			return err
		}
		if err := checkLocal(from.base, abs); err != nil {
			return fmt.Errorf("its checksum file: %w", err)
		}
		a.checksumFiles = append(a.checksumFiles, abs)
	}
	return a.agree()
}

func (a *artifact) agree() error {
	seen := map[string]given{}
	for _, g := range a.checksums {
		if other, found := seen[g.Algorithm]; found && other.Hex != g.Hex {
			return fault.New(fault.Integrity, "the checksums of %s disagree: %s says %s, %s says %s",
				agent.Redact(a.url), other.by, other.Checksum, g.by, g.Checksum).
				WithHint("one of them is wrong: ask the publisher, or leave the plugin out with --exclude")
		}
		seen[g.Algorithm] = g
	}
	return nil
}

// checkLocal refuses an index from the network that names a file of this
// machine: whoever wrote it could have any file carried into the mirror.
func checkLocal(base *url.URL, abs string) error {
	if base.Scheme != "file" && strings.HasPrefix(strings.ToLower(abs), "file:") {
		return localError(abs)
	}
	return nil
}

func localError(raw string) error {
	return fmt.Errorf("an index from the network names %s, a file of this machine", agent.Redact(raw))
}

// checkSource refuses what cannot be one file, and what [checkLocal] does unless the index gives
// the checksum of the file, which only those know who have it.
func checkSource(base *url.URL, location agent.Location, a *artifact) error {
	located, _, err := fetch.Locate(location.URL)
	if err != nil || located == "" {
		return fmt.Errorf("%s is nothing that an agent could download", agent.Redact(location.URL))
	}
	getter, rest := agent.SplitGetter(located)
	u, err := url.Parse(rest)
	if err != nil {
		return fmt.Errorf("URL %s cannot be read", agent.Redact(rest))
	}
	scheme := cmp.Or(getter, u.Scheme)
	switch {
	case scheme == "git" && (u.Scheme == "" || u.Scheme == "file"):
		return fmt.Errorf("%s is a repository of this machine; the mirror clones by https, http, ssh and git", agent.Redact(u.String()))
	case scheme == "git" && (u.Host == "" || strings.HasPrefix(u.Host, "-")):
		return fmt.Errorf("%s names no host", agent.Redact(u.String()))
	case scheme == "git":
		return nil
	case scheme == "file" && base.Scheme != "file" && len(a.checksums) == 0: // file::/PATH has no scheme in rest
		return fmt.Errorf("%w, and gives no checksum", localError(location.URL))
	case !slices.Contains([]string{"http", "https", "s3", "gcs", "file"}, scheme):
		return fmt.Errorf("%s is to be downloaded by %q, which is not supported", agent.Redact(location.URL), scheme)
	}
	if strings.HasSuffix(u.Path, "/") {
		return fmt.Errorf("%s names a directory, not a file", agent.Redact(location.URL))
	}
	return nil
}

// requests returns how the artifacts are downloaded, as far as the indexes tell.
func (c *collection) requests() (all []fetch.Request) {
	for _, url := range slices.Sorted(maps.Keys(c.artifacts)) {
		_, request := c.artifacts[url].entry()
		all = append(all, request)
	}
	return all
}

// plan leaves out repositories of which nothing is selected.
func (c *collection) plan(version string, repositories []*repository, platforms []agent.Platform) (*Plan, error) {
	l := &lock.Lock{SchemaVersion: lock.SchemaVersion, BotkubeVersion: version, Platforms: platforms, Plugins: c.plugins}
	for _, repo := range repositories {
		if slices.ContainsFunc(c.plugins, func(p lock.Plugin) bool { return p.Repository == repo.Name }) {
			l.Repositories = append(l.Repositories, repo.lock)
		}
	}
	requests := map[string]fetch.Request{}
	for _, a := range c.artifacts {
		entry, request := a.entry()
		if other, taken := requests[entry.URL]; taken && other.URL != request.URL {
			return nil, fault.New(fault.Integrity, "two artifacts differ only in credentials, which a lock does not hold: %s", entry.URL).
				WithHint("leave one of their plugins out with --exclude")
		}
		l.Artifacts = append(l.Artifacts, entry)
		requests[entry.URL] = request
	}
	l.Sort()
	plan := &Plan{Lock: l, LocalTemplates: c.local, Troubles: map[string][]string{}, Unasked: map[string]bool{}}
	for _, a := range c.artifacts {
		plan.Troubles[agent.Redact(a.url)], plan.Unasked[agent.Redact(a.url)] = a.troubles, a.unasked && len(a.checksums) == 0
	}
	for _, a := range l.Artifacts {
		plan.Downloads = append(plan.Downloads, requests[a.URL])
	}
	if err := l.CheckPlan(); err != nil {
		return nil, fault.New(fault.Integrity, "what was resolved contradicts itself: %w", err).
			WithHint("leave one of the plugins out with --exclude")
	}
	return plan, nil
}

func (a *artifact) entry() (lock.Artifact, fetch.Request) {
	entry := lock.Artifact{URL: agent.Redact(a.url), DirArchive: a.tree, VerifiedBy: lock.ByNone, VerifiedWith: slices.Compact(slices.Sorted(slices.Values(a.publishers)))}
	request := fetch.Request{URL: a.url, Tree: a.tree, Size: -1}
	for _, g := range a.checksums {
		request.Checksums = append(request.Checksums, g.Checksum)
		request.Source = g.by
	}
	switch {
	case len(a.publishers) > 0:
		entry.VerifiedBy = lock.ByPublisher
	case slices.ContainsFunc(a.checksums, func(g given) bool { return g.source == lock.ByIndex }):
		entry.VerifiedBy = lock.ByIndex
	case len(a.checksums) > 0:
		entry.VerifiedBy = lock.ByFlag
	}
	return entry, request
}

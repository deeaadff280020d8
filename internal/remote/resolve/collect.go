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
	// url is the URL to request. Without secrets, it names the artifact.
	url       string
	checksums []given
	// checksumFiles has the URLs of checksum files that the index names.
	checksumFiles []string
	// publishers has the URLs of checksum files that have a checksum of the artifact.
	publishers []string
	// answers says what servers answered where there is no checksum file.
	answers []string
	// odd says that an answer is not simply "not found".
	odd bool
	// troubles says which checksum files cannot be read or requested, and why.
	troubles []string
	// unasked says that a server could not say whether there is a checksum file.
	unasked bool
	// tree is DirArchive of [lock.Artifact].
	tree lock.DirArchive
}

type given struct {
	agent.Checksum
	origin
}

// origin says where a URL or a checksum comes from.
type origin struct {
	// by is for messages, source for the lock.
	by     string
	source lock.ChecksumSource
	// base is the URL that relative URLs refer to.
	base *url.URL
}

func (repo *repository) origin() origin {
	return origin{"the index of " + repo.Name, lock.ByIndex, repo.url}
}

type collection struct {
	plugins   []lock.Plugin
	artifacts map[string]*artifact
	local     []LocalTemplates
	// here is the working directory, for relative paths of replacements.
	here *url.URL
}

// collect collects the plugins and artifacts of selected entries.
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
			WithHint("leave the plugin out: --exclude REPOSITORY/NAME")
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

// add records the artifact of a URL. It returns the URL in the form of [lock.Build].
func (c *collection) add(from origin, raw, checksum string) (string, error) {
	location, err := locate(from.base, raw)
	if err != nil {
		return "", err
	}
	if location.IsGit && checksum != "" {
		return "", fmt.Errorf("%s has a checksum for the git repository %s, which the agent refuses", from.by, agent.Redact(raw))
	}
	var kind lock.DirArchive
	if location.IsGit {
		kind = lock.DirArchiveAll
	}
	a, err := c.artifact(location.URL, kind)
	if err != nil {
		return "", err
	}
	if err := a.addChecksums(from, location, checksum); err != nil {
		return "", err
	}
	return agent.Redact(location.Normalized), checkSource(from.base, location, a)
}

// locate parses a URL in an index at base.
func locate(base *url.URL, raw string) (agent.Location, error) {
	abs, err := agent.ResolveLocation(base, raw)
	if err != nil {
		return agent.Location{}, err
	}
	// Only git repositories take the form of go-getter's detectors: for other URLs, the agent decides
	// by the original form how to unpack the file.
	if located, _, err := fetch.Locate(abs); err == nil && strings.HasPrefix(located, "git::") {
		abs = located
	}
	return agent.ParseLocation(abs)
}

// addChecksums records the checksums of an artifact: of the index's key checksum and of the URL. The
// agent prefers the key; here both must match.
func (a *artifact) addChecksums(from origin, location agent.Location, checksum string) error {
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
			return fmt.Errorf("the checksum file: %w", err)
		}
		a.checksumFiles = append(a.checksumFiles, abs)
	}
	return a.agree()
}

// agree returns an error if checksums of the same algorithm differ.
func (a *artifact) agree() error {
	seen := map[string]given{}
	for _, g := range a.checksums {
		if other, found := seen[g.Algorithm]; found && other.Hex != g.Hex {
			return fault.New(fault.Integrity, "the checksums of %s differ: %s has %s, %s has %s",
				agent.Redact(a.url), other.by, other.Checksum, g.by, g.Checksum).
				WithHint("ask the publisher which one is right, or leave the plugin out with --exclude")
		}
		seen[g.Algorithm] = g
	}
	return nil
}

// checkLocal refuses a file URL in an index from the network. Otherwise a foreign index could put any
// file of this machine into the mirror.
func checkLocal(base *url.URL, abs string) error {
	if base.Scheme != "file" && strings.HasPrefix(strings.ToLower(abs), "file:") {
		return localError(abs)
	}
	return nil
}

func localError(raw string) error {
	return fmt.Errorf("an index from the network names a file on this machine: %s", agent.Redact(raw))
}

// checkSource refuses a URL that is not a single file or a git repository. It refuses what [checkLocal]
// refuses, unless the index has a checksum: who knows the checksum already knows the file.
func checkSource(base *url.URL, location agent.Location, a *artifact) error {
	located, _, err := fetch.Locate(location.URL)
	if err != nil || located == "" {
		return fmt.Errorf("%s is not a URL that an agent can download", agent.Redact(location.URL))
	}
	getter, rest := agent.SplitGetter(located)
	u, err := url.Parse(rest)
	if err != nil {
		return fmt.Errorf("the URL %s is not valid", agent.Redact(rest))
	}
	scheme := cmp.Or(getter, u.Scheme)
	switch {
	case scheme == "git" && (u.Scheme == "" || u.Scheme == "file"):
		return fmt.Errorf("%s is a git repository on this machine: only https, http, ssh and git URLs can be cloned", agent.Redact(u.String()))
	case scheme == "git" && (u.Host == "" || strings.HasPrefix(u.Host, "-")):
		return fmt.Errorf("%s has no valid host", agent.Redact(u.String()))
	case scheme == "git":
		return nil
	case scheme == "file" && base.Scheme != "file" && len(a.checksums) == 0: // file::/PATH has no scheme in rest
		return fmt.Errorf("%w (without a checksum)", localError(location.URL))
	case !slices.Contains([]string{"http", "https", "s3", "gcs", "file"}, scheme):
		return fmt.Errorf("%s needs a download with %q, which is not supported", agent.Redact(location.URL), scheme)
	}
	if strings.HasSuffix(u.Path, "/") {
		return fmt.Errorf("%s is a directory, not a file", agent.Redact(location.URL))
	}
	return nil
}

// requests returns the requests for the artifacts, without checksums from publishers.
func (c *collection) requests() (all []fetch.Request) {
	for _, url := range slices.Sorted(maps.Keys(c.artifacts)) {
		_, request := c.artifacts[url].entry()
		all = append(all, request)
	}
	return all
}

// plan returns the plan of a collection. It leaves out repositories without selected plugins.
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
			return nil, fault.New(fault.Integrity, "two URLs differ only in their credentials, which a lock does not have: %s", entry.URL).
				WithHint("leave one of the two plugins out with --exclude")
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
		return nil, fault.New(fault.Integrity, "the selected plugins contradict each other: %w", err).
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

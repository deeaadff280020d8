package resolve

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// Current is the present state of a lock's content upstream.
type Current struct {
	// Plan has the plugins of the lock that upstream still has, in the lock's versions, without the
	// files of templates.
	*Plan
	// Indexes has the indexes that could be read, by the repository's name.
	Indexes map[string]*index.Index
	// Failed has what could not be found out.
	Failed []Failed
}

// Failed is a failed request to upstream.
type Failed struct {
	// About names the part of the lock that cannot be compared, such as "chart".
	About string
	Err   error
}

// tolerable reports whether an error concerns upstream only, so that the run may continue.
func tolerable(ctx context.Context, err error) bool {
	return ctx.Err() == nil && slices.Contains([]fault.Kind{fault.Upstream, fault.Integrity, fault.Incomplete}, fault.KindOf(err))
}

// Fail adds a failure to c.Failed, or returns it if the run cannot continue. The format names the part
// that cannot be compared.
func (c *Current) Fail(ctx context.Context, err error, format string, args ...any) error {
	if err == nil || !tolerable(ctx, err) {
		return err
	}
	c.Failed = append(c.Failed, Failed{fmt.Sprintf(format, args...), err})
	return nil
}

// Current requests the present state of a lock's content, without downloading artifacts. A lock has
// no credentials; the URLs of given repositories may have them.
func (r *Resolver) Current(ctx context.Context, pinned *lock.Lock, given []agent.Repository, headers []Header) (*Current, error) {
	c := &Current{Plan: &Plan{Lock: &lock.Lock{}}}
	wanted, err := r.repositoriesOf(pinned, given)
	if err != nil {
		return nil, err
	}
	for _, h := range headers {
		if !names(wanted, h.Repository) {
			r.noteUnused("--header "+h.Repository+":"+h.Name, h.Repository)
		}
	}
	// Images and the chart come from other servers than plugins.
	members := &Current{Plan: &Plan{Lock: &lock.Lock{Platforms: pinned.Platforms}}}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return r.currentMembers(ctx, members, pinned) })
	both.Go(func() error {
		repositories, err := r.readable(ctx, c, wanted, headers)
		if err != nil {
			return err
		}
		return r.currentPlugins(ctx, c, pinned, repositories)
	})
	if err := both.Wait(); err != nil {
		return nil, err
	}
	c.Lock.SchemaVersion, c.Lock.BotkubeVersion, c.Lock.Platforms = pinned.SchemaVersion, pinned.BotkubeVersion, pinned.Platforms
	for _, im := range members.Lock.Images() {
		c.Lock.SetImage(im.Role, im.Image)
	}
	c.Lock.Chart, c.ImageSources = members.Lock.Chart, members.ImageSources
	c.Failed = append(c.Failed, members.Failed...)
	return c, nil
}

// noteUnused notes that a flag has no effect. It is not an error: a configuration file may have flags
// for several mirrors.
func (r *Resolver) noteUnused(flag, repository string) {
	r.Note(fmt.Sprintf("%s is not used: the mirror has no repository %q", flag, repository))
}

func (r *Resolver) repositoriesOf(l *lock.Lock, given []agent.Repository) (all []agent.Repository, err error) {
	var names []string
	for _, r := range l.Repositories {
		all = append(all, agent.Repository{Name: r.Name, URL: r.URL})
		names = append(names, r.Name)
	}
	for _, g := range given {
		i := slices.Index(names, g.Name)
		if i < 0 {
			r.noteUnused("--repository "+g.Name, g.Name)
			continue
		}
		if g.URL, err = indexURL(g.Name, g.URL); err != nil {
			return nil, err
		}
		if agent.Redact(g.URL) != all[i].URL {
			return nil, fault.New(fault.Usage, "--repository %s has the URL %s, but the mirror comes from %s", g.Name, agent.Redact(g.URL), all[i].URL).
				WithHint("write the mirror's URL, with a user and a password if it needs them; to download from another server, use --via")
		}
		all[i] = g
	}
	return all, nil
}

// IndexesOf reads the indexes of repositories. It ignores headers for other repositories.
func (r *Resolver) IndexesOf(ctx context.Context, repositories []agent.Repository, headers []Header) (*Current, error) {
	c := new(Current)
	_, err := r.readable(ctx, c, repositories, headers)
	return c, err
}

// readable returns the repositories whose indexes can be read. It ignores headers for others.
func (r *Resolver) readable(ctx context.Context, c *Current, repositories []agent.Repository, headers []Header) ([]*repository, error) {
	c.Indexes = map[string]*index.Index{}
	sel := Selection{Repositories: repositories}
	for _, h := range headers {
		if names(repositories, h.Repository) {
			sel.Headers = append(sel.Headers, h)
		}
	}
	if len(repositories) == 0 {
		return nil, nil
	}
	if err := sel.settleRepositories(); err != nil {
		return nil, err
	}
	all, err := newRepositories(sel)
	if err != nil {
		return nil, err
	}
	var readable []*repository
	for i, err := range r.indexes(ctx, all) {
		if err == nil {
			readable = append(readable, all[i])
			c.Indexes[all[i].Name] = all[i].index
		} else if err := c.Fail(ctx, err, "repository %s", all[i].Name); err != nil {
			return nil, err
		}
	}
	return readable, nil
}

// currentPlugins sets c's plan to the plugins of a lock that the indexes still have.
func (r *Resolver) currentPlugins(ctx context.Context, c *Current, pinned *lock.Lock, repositories []*repository) error {
	plan, err := r.planPinned(ctx, c, pinned, repositories)
	if err != nil {
		clear(c.Indexes)
		return c.Fail(ctx, err, "plugins")
	}
	for _, p := range plan.Lock.Plugins {
		for i := range p.Templates {
			p.Templates[i].Files = nil
		}
	}
	c.Plan = plan
	return nil
}

// planPinned returns a plan with the plugins of a lock that the indexes still have. If a schema cannot
// be read, it takes the lock's.
func (r *Resolver) planPinned(ctx context.Context, c *Current, pinned *lock.Lock, repositories []*repository) (*Plan, error) {
	selected, err := selectPinned(c.Indexes, pinned)
	if err != nil {
		return nil, err
	}
	found, err := collect(repositories, selected, &url.URL{Scheme: "file", Path: "/"})
	if err != nil {
		return nil, err
	}
	if err := found.templates(selected, Templates{}, pinned); err != nil {
		return nil, err
	}
	r.Collected(found.requests())
	for _, repo := range repositories {
		if err := r.schemas(ctx, []*repository{repo}, selected); err != nil {
			repo.lock.Schemas = schemasOf(pinned, repo.Name)
			if err := c.Fail(ctx, err, "JSON schemas of repository %s", repo.Name); err != nil {
				return nil, err
			}
		}
	}
	if err := r.publishers(ctx, found.artifacts, true); err != nil {
		return nil, err
	}
	return found.plan(pinned.BotkubeVersion, repositories, pinned.Platforms)
}

func schemasOf(l *lock.Lock, repository string) []lock.Schema {
	for _, r := range l.Repositories {
		if r.Name == repository {
			return r.Schemas
		}
	}
	return nil
}

// selectPinned selects the entries of the plugins of a lock, for the lock's platforms.
func selectPinned(indexes map[string]*index.Index, pinned *lock.Lock) ([]index.Selected, error) {
	sel := index.Selection{AllPlatforms: true, WhereStartable: true, Replacements: pinnedReplacements(pinned)}
	platforms := map[string][]agent.Platform{}
	id := func(repository string, t agent.PluginType, name, version string) string {
		return fmt.Sprintf("%s %s/%s@%s", t, repository, name, version)
	}
	for _, p := range pinned.Plugins {
		ix := indexes[p.Repository]
		if ix == nil || !slices.ContainsFunc(ix.Versions(p.Type, p.Name), func(e *agent.Entry) bool { return e.Version == p.Version }) {
			continue
		}
		keys := map[agent.PluginType]*[]agent.PluginKey{agent.Executor: &sel.Executors, agent.Source: &sel.Sources}[p.Type]
		*keys = append(*keys, p.Key())
		for _, b := range p.Builds {
			at := id(p.Repository, p.Type, p.Name, p.Version)
			platforms[at] = append(platforms[at], b.Platform)
		}
	}
	if len(platforms) == 0 {
		return nil, nil
	}
	selected, _, err := index.Select(indexes, sel)
	if err != nil {
		return nil, fault.New(fault.Integrity, "%w", err)
	}
	for i, e := range selected {
		wanted := platforms[id(e.Repository, e.Type, e.Name, e.Version)]
		selected[i].MirroredFor = slices.DeleteFunc(slices.Clone(e.MirroredFor), func(p agent.Platform) bool { return !slices.Contains(wanted, p) })
	}
	return selected, nil
}

// currentMembers requests the images by their references, and the chart.
func (r *Resolver) currentMembers(ctx context.Context, c *Current, pinned *lock.Lock) error {
	c.ImageSources = map[lock.ImageRole]*registry.Repository{}
	for _, im := range pinned.Images() {
		ref, err := parseImage(im.Role, im.Reference)
		if err == nil {
			err = r.image(ctx, im.Role, ref, Selection{Selection: index.Selection{AllPlatforms: im.Index != nil}}, c.Plan)
		}
		if err != nil {
			c.Lock.SetImage(im.Role, im.Image)
		}
		if err := c.Fail(ctx, err, "%s", im.Role.What()); err != nil {
			return err
		}
	}
	if pinned.Chart == nil {
		return nil
	}
	c.Lock.Chart = new(*pinned.Chart)
	data, err := r.Fetch.Document(ctx, pinned.Chart.URL, maxChart, nil)
	if err != nil {
		return c.Fail(ctx, err, "chart")
	}
	c.Lock.Chart.Blob = lock.Blob{Size: int64(len(data)), SHA256: lock.Sum(data)}
	return nil
}

// Checksum returns the sha256 of artifact i of the plan, if the index or the publisher has one.
func (p *Plan) Checksum(i int) (lock.SHA256, bool) {
	for _, sum := range p.Downloads[i].Checksums {
		if sum.Algorithm == "sha256" {
			digest, err := lock.ParseSHA256(sum.Hex)
			return digest, err == nil
		}
	}
	return lock.SHA256{}, false
}

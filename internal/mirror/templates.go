package mirror

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// dispensable adds to an error how to do without templates.
func dispensable(err error) error {
	const without = "--no-exec-templates leaves them out, but where exec can neither find nor download them, each of its commands fails"
	kind, hint := fault.KindOf(err), fault.HintOf(err)
	if kind == fault.Unexpected || strings.Contains(hint, "--no-exec-templates") {
		return err
	}
	return fault.New(kind, "%w", err).WithHint("%s", strings.TrimPrefix(hint+"\n"+without, "\n"))
}

// fetchTemplates downloads templates whose files are not known yet, into the
// store, and completes the plan with them: which files a directory has follows
// from it. It returns what came of the artifacts, by their indexes, of which it does
// not tell that they came to their end. Failed, if not
// nil, collects what could not be downloaded.
func (s *Session) fetchTemplates(ctx context.Context, plan *resolve.Plan, failed *failures) (map[int]fetch.Result, error) {
	var mu sync.Mutex
	got := map[int]fetch.Result{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Parallel)
	for _, i := range plan.OpenTemplates() {
		group.Go(func() error {
			r, err := s.fetch(ctx, plan.Downloads[i], true)
			if err != nil {
				return failed.collect(ctx, plan.Lock.Artifacts[i].URL, dispensable(err))
			}
			mu.Lock()
			defer mu.Unlock()
			got[i] = r
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, r := range got {
		plan.CompleteTemplates(i, r)
	}
	return got, nil
}

// templates says which templates an agent would download from elsewhere at the
// first command of exec.
func (c *checkingValues) templates(g audit.StartState) {
	sources, err := c.result.Templates(c.version)
	if err != nil {
		c.fail(audit.KindSetting, "executors", "%v", err)
		return
	}
	c.templateDirectories()
	for _, key := range slices.SortedFunc(maps.Keys(sources), func(a, b agent.PluginKey) int { return strings.Compare(a.String(), b.String()) }) {
		plugin, byDefault := execOf(g, key)
		if plugin == nil {
			continue // that it is not there was reported
		}
		refs := slices.Clone(sources[key])
		slices.Sort(refs)
		for _, ref := range slices.Compact(refs) {
			if ref == "" {
				ref = byDefault
			}
			c.template(*plugin, ref)
		}
	}
}

// templateDirectories wants exec to look for templates where a mirror has them. Of a
// site it downloads them, whatever the directory.
func (c *checkingValues) templateDirectories() {
	sources, err := c.config.Templates(c.version)
	if err != nil || c.verifying.result.Kind == KindSite {
		return // an error was reported
	}
	for _, s := range sources {
		downloads := len(s.Refs) == 0 || slices.ContainsFunc(s.Refs, func(ref string) bool {
			_, local, err := fetch.Locate(ref)
			return !local && err == nil
		})
		if s.Dir != "" && downloads {
			c.fail(audit.KindSetting, "executors."+s.Group+"."+s.Key+".config.tmpDir", "it is %q, where exec would download its templates to at its first command: leave it out", s.Dir)
		}
	}
}

// execOf returns the plugin of a mirror that an agent takes a key for, and its
// default source of templates.
func execOf(g audit.StartState, key agent.PluginKey) (plugin *lock.Plugin, byDefault string) {
	data := g.Indexes[key.Repository]
	if data == nil {
		data = g.Upstream[key.Repository]
	}
	ix, err := agent.ReadIndex(data)
	if err != nil {
		return nil, ""
	}
	for _, e := range ix.Versions(agent.Executor, key.Name) {
		if key.Version != "" && key.Version != e.Version {
			continue
		}
		i := slices.IndexFunc(g.Lock.Plugins, func(p lock.Plugin) bool { return p.Matches(key.Repository, e) })
		if i < 0 {
			return nil, ""
		}
		return &g.Lock.Plugins[i], e.DefaultTemplates(key.Repository)
	}
	return nil, ""
}

// template checks one source of templates of a plugin.
func (c *checkingValues) template(p lock.Plugin, ref string) {
	_, local, err := fetch.Locate(ref)
	if ref == "" || local || err != nil {
		return // exec has none, or it is in the agent's container
	}
	directory := agent.TemplateDirectory(ref)
	i := slices.IndexFunc(p.Templates, func(t lock.Template) bool { return t.Directory == directory })
	if c.verifying.result.Kind == KindSite || c.base != "" {
		c.templateOfSite(p, i, ref)
		return
	}
	if i < 0 {
		c.fail(audit.KindMissing, "", "the templates %s of %s are not in the mirror: exec would download them at its first command", agent.Redact(ref), p.Key())
	}
}

// templateOfSite wants a source of templates to be one of the site's: an agent with
// an empty cache directory downloads what is configured.
func (c *checkingValues) templateOfSite(p lock.Plugin, mirrored int, ref string) {
	served, err := site.Templates(c.base, c.lock)
	if err != nil {
		return // without a base URL, the indexes are damaged, which was reported
	}
	served = slices.DeleteFunc(served, func(t form.Template) bool { return t.Plugin != p.Key() })
	if slices.ContainsFunc(served, func(t form.Template) bool { return t.URL == ref }) {
		return
	}
	i := slices.IndexFunc(served, func(t form.Template) bool {
		elsewhere := strings.HasSuffix(ref, strings.TrimPrefix(t.URL, c.base)) // the path has the digest
		return elsewhere || mirrored >= 0 && t.Ref == p.Templates[mirrored].Ref
	})
	if i < 0 {
		c.fail(audit.KindMissing, "", "the templates %s of %s are not in the mirror: exec would download them at its first command", agent.Redact(ref), p.Key())
		return
	}
	c.fail(audit.KindSetting, "executors.*."+p.Repository+"/"+p.Name+".config.templates", "exec would download %s at its first command: configure the ref %s in its place", agent.Redact(ref), served[i].URL)
}

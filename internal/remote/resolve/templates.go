package resolve

import (
	"fmt"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// Templates selects the sources of templates, which the executor exec downloads at its first command.
type Templates struct {
	// None leaves all of them out.
	None bool
	// Configured has the sources in the agent's configuration, by plugin. They replace the default
	// source; an empty string stands for the default. A plugin without a key has the default.
	Configured map[agent.PluginKey][]string
	// Add has additional sources.
	Add []string
}

func (t Templates) of(e index.Selected) (refs []string, configured bool) {
	for key, more := range t.Configured {
		if !key.Covers(e.Key()) {
			continue
		}
		configured = true
		for _, ref := range more {
			if ref == "" {
				refs = append(refs, defaultTemplates(e)...)
			} else {
				refs = append(refs, ref)
			}
		}
	}
	if !configured {
		refs = defaultTemplates(e)
	}
	return append(refs, t.Add...), configured
}

func defaultTemplates(e index.Selected) []string {
	if ref := e.DefaultTemplates(e.Repository); ref != "" {
		return []string{ref}
	}
	return nil
}

// LocalTemplates is a source that is not mirrored, because it is a path in the agent's container.
type LocalTemplates struct {
	Plugin agent.PluginKey `json:"plugin"`
	Ref    string          `json:"ref"`
}

// templates adds the sources of templates of the selected entries to the plugins.
func (c *collection) templates(selected []index.Selected, t Templates, pinned *lock.Lock) error {
	if t.None {
		return nil
	}
	used := false
	for i, e := range selected {
		if !e.IsExec() {
			continue
		}
		used = true
		refs, configured := t.of(e)
		if !configured && pinned != nil {
			c.pinnedTemplates(i, e, pinned)
			refs = t.Add
		}
		for _, ref := range refs {
			if err := c.template(i, ref); err != nil {
				return fmt.Errorf("the templates %s of %s: %w", agent.Redact(ref), e.Key(), err)
			}
		}
	}
	if !used && len(t.Add) > 0 {
		return fault.New(fault.Usage, "--exec-template is given, but the executor exec is not selected").
			WithHint("add the executor with --plugin, or leave out --exec-template")
	}
	return nil
}

func (c *collection) template(plugin int, ref string) error {
	p := &c.plugins[plugin]
	located, local, err := fetch.Locate(ref)
	if err != nil {
		return err
	}
	if local {
		c.local = append(c.local, LocalTemplates{Plugin: p.Key(), Ref: agent.Redact(ref)})
		return nil
	}
	location, err := agent.ParseLocation(located)
	if err != nil {
		return fault.New(fault.Usage, "%w", err)
	}
	t := lock.Template{Ref: agent.Redact(ref), Directory: agent.TemplateDirectory(ref), URL: agent.Redact(location.Normalized)}
	if slices.ContainsFunc(p.Templates, func(other lock.Template) bool { return other.Directory == t.Directory }) {
		return nil
	}
	p.Templates = append(p.Templates, t)
	_, err = c.artifact(location.Normalized, lock.DirArchiveYAML)
	return err
}

// artifact returns the artifact of a URL. One URL cannot be both a file and a directory.
func (c *collection) artifact(url string, kind lock.DirArchive) (*artifact, error) {
	a := c.artifacts[url]
	if a == nil {
		a = &artifact{url: url, tree: kind}
		c.artifacts[url] = a
	}
	if a.tree != kind {
		return nil, fault.New(fault.Integrity, "%s is used both as a file and as a directory, or as a directory for different files", agent.Redact(url)).
			WithHint("leave one of the plugins out with --exclude, or the templates with --no-exec-templates")
	}
	return a, nil
}

func (c *collection) pinnedTemplates(plugin int, e index.Selected, pinned *lock.Lock) {
	for _, p := range pinned.Plugins {
		if !p.Matches(e.Repository, e.Entry) {
			continue
		}
		for _, t := range p.Templates {
			c.plugins[plugin].Templates = append(c.plugins[plugin].Templates, t)
			if u := pinnedURL(t); c.artifacts[u] == nil {
				c.artifacts[u] = &artifact{url: u, tree: lock.DirArchiveYAML}
			}
		}
	}
}

// pinnedURL returns the URL of a lock's templates, with the user name that the lock's URL lacks.
func pinnedURL(t lock.Template) string {
	located, _, err := fetch.Locate(t.Ref)
	if err != nil || agent.TemplateDirectory(t.Ref) != t.Directory {
		return t.URL
	}
	location, err := agent.ParseLocation(located)
	if err != nil || agent.Redact(location.Normalized) != t.URL {
		return t.URL
	}
	return location.Normalized
}

// adoptTemplates copies the lists of template files from a lock.
func adoptTemplates(got, pinned *lock.Lock) {
	files := map[string][]lock.TemplateFile{}
	for _, p := range pinned.Plugins {
		for _, t := range p.Templates {
			files[t.URL] = t.Files
		}
	}
	for _, p := range got.Plugins {
		for i, t := range p.Templates {
			p.Templates[i].Files = files[t.URL]
		}
	}
}

package site

import (
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// Template is a source of templates that a site serves.
type Template struct {
	// Plugin is the executor that reads it, with its version.
	Plugin agent.PluginKey `json:"plugin"`
	// Ref is the source of which it is the content: see [lock.Template].
	Ref string `json:"ref"`
	// URL is to stand in the executor's configuration in the place of Ref, as
	// one of its templates[].ref. An agent with an empty cache then downloads
	// the templates from the site, and compares their digest.
	URL string `json:"url"`
}

// Templates returns the sources of templates that a site of a lock serves, in the
// order of the lock.
func Templates(base string, l *lock.Lock) ([]Template, error) {
	base, err := baseURL(base)
	if err != nil {
		return nil, err
	}
	var all []Template
	for _, p := range l.Plugins {
		for _, t := range p.Templates {
			i := slices.IndexFunc(l.Artifacts, func(a lock.Artifact) bool { return a.URL == t.URL })
			if i < 0 {
				continue // the lock was checked
			}
			a := l.Artifacts[i]
			all = append(all, Template{Plugin: p.Key(), Ref: t.Ref, URL: withChecksum(base+"/"+FilePath(a), a.SHA256)})
		}
	}
	return all, nil
}

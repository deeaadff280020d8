package site

import (
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// Templates returns the sources of templates that a site of a lock serves, in the
// order of the lock.
func Templates(base string, l *lock.Lock) ([]form.Template, error) {
	base, err := baseURL(base)
	if err != nil {
		return nil, err
	}
	var all []form.Template
	for _, p := range l.Plugins {
		for _, t := range p.Templates {
			i := slices.IndexFunc(l.Artifacts, func(a lock.Artifact) bool { return a.URL == t.URL })
			if i < 0 {
				continue // the lock was checked
			}
			a := l.Artifacts[i]
			all = append(all, form.Template{Plugin: p.Key(), Ref: t.Ref, URL: withChecksum(base+"/"+FilePath(a), a.SHA256)})
		}
	}
	return all, nil
}

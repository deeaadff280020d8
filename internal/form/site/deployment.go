package site

import (
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/deploy"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// Deliver has an agent, whose own values are not known, download a version from a base URL.
func Deliver(o *deploy.Options, base string, l *lock.Lock) error {
	if err := form.CheckBaseURL(base); err != nil {
		return err
	}
	o.Site = &deploy.Site{BaseURL: strings.TrimSuffix(base, "/")}
	o.Site.Unasked = slices.ContainsFunc(l.Plugins, func(p lock.Plugin) bool { return len(p.Templates) > 0 })
	for _, r := range l.Repositories {
		u, err := IndexURL(o.Site.BaseURL, l, r.Name)
		if err != nil {
			return err
		}
		o.Repositories = append(o.Repositories, agent.Repository{Name: r.Name, URL: u})
	}
	return nil
}

package lock

import (
	"fmt"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// Replaced is a dependency whose URL is not from the index.
type Replaced struct {
	Plugin     agent.PluginKey  `json:"plugin"`
	Type       agent.PluginType `json:"type"`
	Platform   agent.Platform   `json:"platform"`
	Dependency string           `json:"dependency"`
	// URL and Replaces are the fields of [Dependency].
	URL      string `json:"url"`
	Replaces string `json:"replaces"`
}

// String describes the replacement in a sentence.
func (r Replaced) String() string {
	switch {
	case r.Replaces == ReplacesNothing:
		return fmt.Sprintf("%s of %s for %s is added: %s (the index has none)", r.Dependency, r.Plugin, r.Platform, r.URL)
	case r.SameFile():
		return fmt.Sprintf("%s of %s for %s is the index's file with other parameters: %s instead of %s", r.Dependency, r.Plugin, r.Platform, r.URL, r.Replaces)
	}
	return fmt.Sprintf("%s of %s for %s is replaced: %s instead of %s", r.Dependency, r.Plugin, r.Platform, r.URL, r.Replaces)
}

// SameFile reports whether the URL and the URL in the index are of the same file. Then they differ
// only in a checksum, a sub-directory or another parameter.
func (r Replaced) SameFile() bool {
	a, errA := agent.ParseLocation(r.URL)
	b, errB := agent.ParseLocation(r.Replaces)
	return errA == nil && errB == nil && a.URL == b.URL
}

// ReplacedIn returns the replaced dependencies of plugins.
func ReplacedIn(plugins []Plugin) (all []Replaced) {
	for _, p := range plugins {
		for _, b := range p.Builds {
			for _, d := range b.Dependencies {
				if d.Replaces != "" {
					all = append(all, Replaced{p.Key(), p.Type, b.Platform, d.Name, d.URL, d.Replaces})
				}
			}
		}
	}
	return all
}

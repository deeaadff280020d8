package image

import (
	"fmt"
	"reflect"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// merge makes one lock of those for its platforms: what [lock.Lock.ForPlatform]
// took apart.
func merge(locks []*lock.Lock) (*lock.Lock, error) {
	whole := &lock.Lock{SchemaVersion: lock.SchemaVersion, BotkubeVersion: locks[0].BotkubeVersion, Repositories: locks[0].Repositories}
	plugins := map[string]*lock.Plugin{}
	artifacts := map[string]lock.Artifact{}
	for _, l := range locks {
		if l.BotkubeVersion != whole.BotkubeVersion || !reflect.DeepEqual(l.Repositories, whole.Repositories) {
			return nil, fmt.Errorf("%v is of another lock than %v", l.Platforms, whole.Platforms)
		}
		whole.Platforms = append(whole.Platforms, l.Platforms...)
		for _, p := range l.Plugins {
			key := fmt.Sprintf("%q %q %q %q", p.Repository, p.Type, p.Name, p.Version)
			if plugins[key] == nil {
				plugins[key] = &lock.Plugin{Repository: p.Repository, Type: p.Type, Name: p.Name, Version: p.Version, Templates: p.Templates}
			} else if !reflect.DeepEqual(plugins[key].Templates, p.Templates) {
				return nil, fmt.Errorf("plugin %s has other templates for another platform", p.Key())
			}
			plugins[key].Builds = append(plugins[key].Builds, p.Builds...)
		}
		for _, a := range l.Artifacts {
			if other, found := artifacts[a.URL]; found && !reflect.DeepEqual(a, other) {
				return nil, fmt.Errorf("%s is pinned to two contents", agent.Redact(a.URL))
			}
			artifacts[a.URL] = a
		}
	}
	for _, p := range plugins {
		whole.Plugins = append(whole.Plugins, *p)
	}
	for _, a := range artifacts {
		whole.Artifacts = append(whole.Artifacts, a)
	}
	whole.Sort()
	return whole, whole.Check()
}

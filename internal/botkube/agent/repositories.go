package agent

import (
	"fmt"
	"slices"
)

// Repository is a plugin repository of the agent's configuration.
type Repository struct {
	Name string `mapstructure:"-"`
	// URL is where its index lies.
	URL string
	// Headers are for the request of the index only. Values may be templates over the agent's
	// identity in Botkube Cloud (pkg/plugin/manager.go, renderPluginIndexHeaders).
	Headers map[string]string
}

// extraSince is the version from which the chart names a second repository, with the plugins
// that were Botkube Cloud's before (helm/botkube/values.yaml, plugins.repositories).
const extraSince = "v1.14.0"

// DefaultRepositories returns the repositories of the chart of a Botkube version, by name.
func DefaultRepositories(version string) []Repository {
	const release = "https://github.com/kubeshop/%s/releases/download/%s/plugins-index.yaml"
	repositories := []Repository{{Name: "botkube", URL: fmt.Sprintf(release, "botkube", version)}}
	// A pre-release has no index of these: its chart names that of its release.
	if core := WithoutPrerelease(version); !Newer(extraSince, core) {
		repositories = append(repositories, Repository{Name: "botkubeExtra", URL: fmt.Sprintf(release, "botkube-plugins", core)})
	}
	return repositories
}

func isDefault(name, version string) bool {
	return slices.ContainsFunc(DefaultRepositories(version), func(r Repository) bool { return r.Name == name })
}

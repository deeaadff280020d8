package form

import (
	"maps"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/deploy"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Deployment returns what a lock says about an agent that starts from a mirror, except how the
// agent reads the files. name is the mirror's name in messages, version the Botkube version, and
// nodes the platforms of the cluster's nodes.
func Deployment(name, version string, nodes []agent.Platform, l *lock.Lock) (*deploy.Options, error) {
	digest, err := l.Digest()
	if err != nil {
		return nil, err
	}
	o := &deploy.Options{
		Target: name, BotkubeVersion: version, LockDigest: digest.OCI(),
		Platforms: slices.DeleteFunc(slices.Clone(nodes), func(p agent.Platform) bool { return p.OS != "linux" }),
		Absent:    Unmirrored(version, l, nil), Watcher: chart.HasWatcher(version),
	}
	if len(o.Platforms) == 0 {
		return nil, fault.New(fault.Usage, "%s is for %s only, but Botkube's agent runs on Linux nodes", name, agent.JoinPlatforms(l.Platforms)).
			WithHint("pull for the platform of your nodes: --platform linux/amd64 or --platform linux/arm64")
	}
	return o, nil
}

// Unmirrored returns the repositories of a Botkube version, and of values, that a lock does not
// have.
func Unmirrored(version string, l *lock.Lock, configured map[string]agent.Repository) []string {
	absent := map[string]bool{}
	for name := range configured {
		absent[name] = true
	}
	// The chart's own repositories count even if the values take them away. An earlier run of this
	// command may have printed these values.
	for _, r := range agent.DefaultRepositories(version) {
		absent[r.Name] = true
	}
	for _, r := range l.Repositories {
		delete(absent, r.Name)
	}
	return slices.Sorted(maps.Keys(absent))
}

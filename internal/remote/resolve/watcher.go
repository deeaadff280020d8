package resolve

import (
	"cmp"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// noWatcher, in the place of a reference, leaves the image of the second container out.
const noWatcher = "none"

// settleWatcher has a request for the agent's image name the image of the second
// container, too, of charts that run one: that of the flag, of the lock, or the one
// beside the agent's image. Values is what values come to, or nil.
func (req *Request) settleWatcher(values *configured.Agent) error {
	given := req.Members.WatcherImage
	req.Members.WatcherImage = ""
	if req.Members.AgentImage == "" {
		if given == "" || given == noWatcher {
			return nil
		}
		return fault.New(fault.Usage, "--watcher-image goes with the agent's image, which is not wanted").WithHint("add --with-agent-image")
	}
	if req.Lock != nil && req.Lock.AgentImage != nil {
		return req.lockedWatcher(given)
	}
	ref, err := req.AgentReference()
	if err != nil {
		return err
	}
	version := cmp.Or(req.Version, chart.ImageVersion(ref.String()))
	has := chart.HasWatcher(version)
	switch {
	case given == noWatcher || !has && given == "":
		return nil
	case !has:
		return fault.New(fault.Usage, "--watcher-image: of the charts, only v1.0.0 to v1.4.1 run a second container, and this is for %s", cmp.Or(version, "an unknown version")).
			WithHint("leave it out, or give --version")
	case given != "":
		req.Members.WatcherImage = given
		return nil
	}
	published, err := chart.WatcherImage(version)
	if err != nil {
		return fault.New(fault.Usage, "%w", err).WithHint("name the image of the chart's second container: --watcher-image REFERENCE, or none")
	}
	if values != nil {
		published = values.WatcherImage(published, ImageFlag(lock.RoleWatcher))
	}
	if published != "" {
		req.Members.WatcherImage, err = besideAgent(ref, published)
	}
	return err
}

// lockedWatcher takes what a lock says that has the agent's image.
func (req *Request) lockedWatcher(given string) error {
	pinned := req.Lock.WatcherImage
	switch {
	case pinned == nil && given != "" && given != noWatcher:
		return fault.New(fault.Integrity, "the watcher image %.200q is wanted, but the lock pins none", given).
			WithHint("leave out --watcher-image, or write a new lock with the command lock")
	case pinned != nil && given == noWatcher:
		return fault.New(fault.Integrity, "the watcher image is not wanted, but the lock pins %s", pinned.Reference).
			WithHint("leave out --watcher-image, or write a new lock with the command lock")
	case pinned != nil:
		req.Members.WatcherImage = cmp.Or(given, pinned.Reference)
	}
	return nil
}

// besideAgent returns the reference of an image that Botkube publishes, as it is where
// the agent's image comes from: at Botkube or in a copy of its registry.
func besideAgent(agentImage registry.Reference, published string) (string, error) {
	ref, err := registry.ParseReference(published)
	if err != nil {
		return "", err
	}
	from := agentImage.Repository()
	in := path.Join(from.Host(), path.Dir(from.Path()), path.Base(ref.Repository().Path()))
	return in + published[len(ref.Repository().String()):], nil
}

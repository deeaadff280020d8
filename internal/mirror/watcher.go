package mirror

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/deploy"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// noWatcher, in the place of a reference, leaves the image of the second container out.
const noWatcher = "none"

// settleWatcher has a request for the agent's image name the image of the second
// container, too, of charts that run one: that of the flag, of the lock, or the one
// beside the agent's image. Configured is what values come to, or nil.
func settleWatcher(req *resolve.Request, configured *Configured) error {
	given := req.Members.WatcherImage
	req.Members.WatcherImage = ""
	if req.Members.AgentImage == "" {
		if given == "" || given == noWatcher {
			return nil
		}
		return fault.New(fault.Usage, "--watcher-image goes with the agent's image, which is not wanted").WithHint("add --with-agent-image")
	}
	if req.Lock != nil && req.Lock.AgentImage != nil {
		return lockedWatcher(req, given)
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
	if published = configured.watcherImage(published); published != "" {
		req.Members.WatcherImage, err = besideAgent(ref, published)
	}
	return err
}

// lockedWatcher takes what a lock says that has the agent's image.
func lockedWatcher(req *resolve.Request, given string) error {
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

// watcherImage returns which image the second container is to have, in the form in which
// Botkube publishes it; empty if values switch the container off. Of an image from
// elsewhere, it is told how that is mirrored.
func (c *Configured) watcherImage(published string) string {
	if c == nil {
		return published
	}
	for _, p := range c.values.Pulls {
		if p.Setting != chart.WatcherSetting {
			continue
		}
		if chart.IsWatcherImage(p.Image) {
			return p.Image
		}
		c.Notes = append(c.Notes, fmt.Sprintf("the values have nodes pull the image %s for the chart's second container, and Botkube's own is mirrored: %s=%s mirrors that", p.Image, resolve.ImageFlag(lock.RoleWatcher), p.Image))
		return published
	}
	return ""
}

// watcher settles what becomes of the chart's second container. Configured is nil where
// the user's values are not known. A Deployment that does not have the container would
// get one that is no container by a patch, so that must be known.
func (o *ValuesOptions) watcher(d *deploy.Options, in *inspected, c *Configured) error {
	version, runs := d.BotkubeVersion, !o.Form.plain()
	if c != nil {
		version = c.version
		runs = runs || slices.ContainsFunc(c.values.Pulls, func(p chart.Pull) bool { return p.Setting == chart.WatcherSetting })
	}
	d.Watcher, d.WatcherImage = chart.HasWatcher(version), nil
	if !d.Watcher || o.Registry == "" || in.lock.WatcherImage == nil || !runs {
		return nil
	}
	name, err := belowPrefix(o.Registry, PushOptions{}.path(PartWatcherImage))
	if err != nil {
		return err
	}
	tag, err := in.lock.Tag()
	d.WatcherImage = &deploy.ChartImage{Registry: name.Host(), Repository: name.Path(), Tag: tag}
	return err
}

// watcherNotes say why the second container is left out though its image may be in the
// registry.
func (o *ValuesOptions) watcherNotes(d *deploy.Options, in *inspected) []string {
	switch {
	case o.Registry == "" || !d.Watcher || d.WatcherImage != nil:
		return nil
	case in.lock.WatcherImage != nil && !d.Configured:
		return []string{"the container cfg-watcher is left out: without --values it is not known whether the agent's Deployment has it"}
	case !in.kind.holdsMembers():
		return []string{"the container cfg-watcher is left out: " + in.name() + " does not say whether push put its image below " + o.Registry + "; name the bundle to keep the container"}
	}
	return nil
}

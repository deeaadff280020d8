// Package deploy makes the Helm values, and the Kubernetes objects, with which
// an agent starts from a mirror. It does no I/O.
//
// What it says about the chart was read in module github.com/kubeshop/botkube
// v1.14.0, helm/botkube; comments name the file.
package deploy

import (
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// Options say what an agent is configured for. [Options.Check] says whether they can be
// rendered.
type Options struct {
	Target string
	// BotkubeVersion is empty if the mirror does not name one.
	BotkubeVersion string
	// LockDigest identifies the mirror's content. If it changes, pods are restarted.
	LockDigest string
	// Platforms are those of the nodes.
	Platforms []agent.Platform
	// Repositories are the mirrored ones, each with the URL for its index.
	Repositories []agent.Repository
	// Absent are repositories of the chart or of the user's values that are not mirrored.
	Absent []string
	// Read are notes on the user's values.
	Read []string
	// Missing are plugins that the user's values enable, but that are not mirrored.
	Missing []string
	// Cloned are sources of templates in the user's values that are not mirrored.
	Cloned []string

	// Mount is the agent's cache directory. With a site, [SiteCacheDir] is used instead.
	Mount string
	// Exactly one of Claim, Image and Site is how files come to the agent.
	Claim *Claim
	Image *ImageVolume
	Site  *Site

	// Watcher says that the chart runs a second container.
	Watcher bool
	// WatcherImage is that container's; nil if it is not mirrored.
	WatcherImage *ChartImage
	// AgentImage is nil if the agent's image stays where it is.
	AgentImage *ChartImage
	// PullSecrets are names of secrets of type kubernetes.io/dockerconfigjson.
	PullSecrets []string
	// Policy is nil for no NetworkPolicy.
	Policy *Policy
	// Configured says that the agent's configuration is known, on which Missing, templates and
	// calls depend.
	Configured bool
	// User has the user's own Helm values, merged; nil if they are not known.
	User map[string]any
	// Environment is what the user's values give the agent's container.
	Environment map[string]string
}

// Claim is a PersistentVolumeClaim with the agent's cache directory in it.
type Claim struct {
	Name string
	// SubPath is where in the volume the directory for the platform is.
	SubPath string
	// Seed is nil for a claim that exists, and holds the directory.
	Seed *Seed
}

// Seed fills a claim.
type Seed struct {
	// Image is one that push or unpack wrote, with a program in it.
	Image string
	// Storage, StorageClass and AccessMode are the claim's. No class is the cluster's default.
	Storage, StorageClass, AccessMode string
	// LockDigest is that of the image's lock for the platform: by now, the name may be of
	// another mirror.
	LockDigest string
}

// ImageVolume is an image that a pod mounts read-only.
type ImageVolume struct {
	Reference string
	// Path is the directory in the image.
	Path string
}

// Site is a web root.
type Site struct {
	BaseURL string
	// Written is the base URL in the site's indexes, if it is another.
	Written string
	// Templates are exec's template sources, which it would clone otherwise.
	Templates []Templates
	// Unasked means that the site has templates, but the configuration of exec is unknown.
	Unasked bool
}

// Templates are the template sources of one exec plugin.
type Templates struct {
	// Group and Plugin are its keys in executors.
	Group, Plugin string
	URLs          []string
}

// ChartImage is an image as the chart puts it together.
type ChartImage struct{ Registry, Repository, Tag string }

func (i *ChartImage) reference() string { return i.Registry + "/" + i.Repository + ":" + i.Tag }

func (o *Options) withoutWatcher() bool { return o.Watcher && o.WatcherImage == nil }

const (
	volumeName       = "botkube-plugins"
	policyName       = "botkube-offline"
	configName       = "botkube-offline-config"
	annotationLock   = "mirror.botkube.io/lock"
	annotationConfig = "mirror.botkube.io/config"
	managedBy        = "botkube-mirror"
)

// SiteCacheDir is where an agent that downloads keeps files: the chart mounts an emptyDir there,
// and all else is read-only (templates/deployment.yaml).
const SiteCacheDir = "/tmp"

// agentPods selects the agent's pods (templates/deployment.yaml).
func agentPods() object {
	return newObject().set("matchLabels", labels("app", "botkube", "component", "controller"))
}

func (o *Options) platform() (agent.Platform, bool) {
	if len(o.Platforms) != 1 {
		return agent.Platform{}, false
	}
	return o.Platforms[0], true
}

// byTag returns the image that files come from, if a tag alone names it.
func (o *Options) byTag() string {
	image := ""
	switch s := o.seeded(); {
	case o.Image != nil:
		image = o.Image.Reference
	case s != nil:
		image = s.Image
	}
	if strings.Contains(image, "@") {
		return ""
	}
	return image
}

func (o *Options) seeded() *Seed {
	if o.Claim == nil {
		return nil
	}
	return o.Claim.Seed
}

package chart

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// Pull is an image that nodes pull for the agent.
type Pull struct {
	Image   string
	Setting string
	// Stop is the value that has nodes pull it from elsewhere, or not at all.
	Stop string
}

// Registry returns the image's host: what precedes the first slash, unless that is a part of a
// name at Docker Hub (github.com/distribution/reference, normalize.go, splitDockerDomain).
func (p Pull) Registry() string {
	host, _, found := strings.Cut(p.Image, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" && strings.ToLower(host) == host {
		return "docker.io"
	}
	return host
}

// pullsOf returns what nodes pull by Helm values, each image once.
func pullsOf(version string, merged map[string]any) []Pull {
	p := &pulls{agent: imageOf(merged)}
	watcher, provider := mapping(merged["configWatcher"]), mapping(mapping(merged["config"])["provider"])
	if HasWatcher(version) && helmvalues.IsTrue(watcher["enabled"]) && !helmvalues.IsTrue(provider["identifier"]) {
		p.beside = []Pull{{imageOf(watcher), WatcherSetting, watcherStop}}
	}
	p.takeVolumes(manifest.List("", merged["extraVolumes"]))
	for _, object := range manifest.List("", merged["extraObjects"]) {
		if object.At("kind").Text() == "Job" {
			p.takeJob(object)
		}
	}
	return p.all()
}

// takeVolumes takes mounted images. A patch may put an image in a volume's place, or the other
// way.
func (p *pulls) takeVolumes(volumes []manifest.Field) {
	if p.mounted == nil {
		p.mounted = map[string]string{}
	}
	for _, v := range volumes {
		p.mounted[v.At("name").Text()] = v.At("image", "reference").Text()
	}
}

func (p *pulls) takeJob(job manifest.Field) {
	for _, c := range job.At("spec", "template", "spec", "containers").Items() {
		p.jobs = append(p.jobs, c.At("image").Text())
	}
}

// takeBeside takes a container beside the agent's. A patch changes the one of its name, or
// deletes it.
func (p *pulls) takeBeside(name, image string, deleted bool) {
	pull := Pull{image, "the container " + name, ""}
	if name == "cfg-watcher" { // as charts up to v1.4.1 call it
		pull = Pull{image, WatcherSetting, watcherStop}
	}
	i := slices.IndexFunc(p.beside, func(had Pull) bool { return name != "" && had.Setting == pull.Setting })
	switch {
	case i >= 0 && deleted:
		p.beside = slices.Delete(p.beside, i, i+1)
	case i >= 0 && image != "":
		p.beside[i] = pull
	case i < 0 && !deleted:
		p.beside = append(p.beside, pull)
	}
}

const (
	agentStop   = "image.registry and image.repository"
	watcherStop = WatcherSetting + ": false"
)

// HasWatcher reports whether the chart of a version runs a second container by default
// (helm/botkube/templates/deployment.yaml, cfg-watcher).
func HasWatcher(version string) bool { return !agent.Since(version, "v1.5.0") }

// WatcherSetting is the value that has charts up to v1.4.1 run a second container.
const WatcherSetting = "configWatcher.enabled"

const watcherRepository = "ghcr.io/kubeshop/k8s-sidecar"

// IsWatcherImage reports whether a reference is of the image that Botkube publishes.
func IsWatcherImage(reference string) bool {
	return strings.HasPrefix(reference, watcherRepository+":") || strings.HasPrefix(reference, watcherRepository+"@")
}

// WatcherImage returns the second container's image in the chart of a version that has one.
func WatcherImage(version string) (string, error) {
	values, _, err := DefaultValues(version)
	if err != nil {
		return "", err
	}
	return imageOf(mapping(values["configWatcher"])), nil
}

var imageTag = lazyregexp.New(`:v?([0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?)(@|$)`)

// ImageVersion returns the version that the tag of an image says, or "".
func ImageVersion(image string) string {
	if m := imageTag.FindStringSubmatch(image); m != nil {
		return "v" + m[1]
	}
	return ""
}

func tagIn(image string) string {
	name, _, _ := strings.Cut(image, "@")
	if i := strings.LastIndexAny(name, ":/"); i >= 0 && name[i] == ':' {
		return name[i+1:]
	}
	return ""
}

func imageOf(merged map[string]any) string {
	registry, _ := mapping(merged["image"])["registry"].(string)
	repository, _ := mapping(merged["image"])["repository"].(string)
	name, tag := strings.Trim(registry+"/"+repository, "/"), tagOf(merged)
	if name == "" || tag == "" {
		return ""
	}
	return name + ":" + tag
}

// tagOf returns an image's tag as the chart writes it: a number may be one.
func tagOf(values map[string]any) string {
	switch tag := mapping(values["image"])["tag"].(type) {
	case string:
		return tag
	case float64, int64:
		return fmt.Sprint(tag)
	}
	return ""
}

type pulls struct {
	agent string
	// mounted has the images of image volumes by the volumes' names, and "" for other volumes.
	mounted map[string]string
	jobs    []string
	// beside are the images of the other containers of the agent's pod.
	beside []Pull
}

func (p *pulls) all() []Pull {
	found := append([]Pull{{p.agent, "image", agentStop}}, p.beside...)
	for _, name := range slices.Sorted(maps.Keys(p.mounted)) {
		found = append(found, Pull{p.mounted[name], "extraVolumes", ""})
	}
	for _, image := range p.jobs {
		found = append(found, Pull{image, "extraObjects", ""})
	}
	var once []Pull
	for _, f := range found {
		if f.Image != "" && !slices.Contains(once, f) {
			once = append(once, f)
		}
	}
	return once
}

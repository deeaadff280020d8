package chart

import (
	"maps"
	"slices"
	"strings"
)

// Pull is an image that nodes pull for the agent.
type Pull struct {
	// Image is a reference.
	Image string
	// Setting is the value that names it.
	Setting string
}

// Registry returns the host that the image is pulled from: what stands before the
// first slash, unless that is a part of a name at Docker Hub
// (github.com/distribution/reference, normalize.go, splitDockerDomain).
func (p Pull) Registry() string {
	host, _, found := strings.Cut(p.Image, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" && strings.ToLower(host) == host {
		return "docker.io"
	}
	return host
}

// pullsOf returns what nodes pull by Helm values: the agent's image, images that are
// mounted, and those of Jobs, each once.
func pullsOf(merged map[string]any) []Pull {
	p := &pulls{agent: imageOf(merged), mounted: map[string]string{}}
	for _, v := range mappings(merged["extraVolumes"]) {
		name, _ := v["name"].(string)
		p.mounted[name], _ = mapping(v["image"])["reference"].(string)
	}
	for _, object := range mappings(merged["extraObjects"]) {
		if object["kind"] != "Job" {
			continue
		}
		pod := mapping(mapping(mapping(object["spec"])["template"])["spec"])
		for _, c := range mappings(pod["containers"]) {
			image, _ := c["image"].(string)
			p.jobs = append(p.jobs, image)
		}
	}
	return p.all()
}

func imageOf(merged map[string]any) string {
	image, _ := merged["image"].(map[string]any)
	var parts []string
	for _, k := range []string{"registry", "repository"} {
		if s, _ := image[k].(string); s != "" {
			parts = append(parts, s)
		}
	}
	tag, _ := image["tag"].(string)
	if len(parts) == 0 || tag == "" {
		return ""
	}
	return strings.Join(parts, "/") + ":" + tag
}

// pulls are images as they are found.
type pulls struct {
	agent string
	// mounted are by the names of their volumes; empty for one that is no image.
	mounted map[string]string
	jobs    []string
}

func (p *pulls) all() []Pull {
	found := []Pull{{p.agent, "image"}}
	for _, name := range slices.Sorted(maps.Keys(p.mounted)) {
		found = append(found, Pull{p.mounted[name], "extraVolumes"})
	}
	for _, image := range p.jobs {
		found = append(found, Pull{image, "extraObjects"})
	}
	var once []Pull
	for _, f := range found {
		if f.Image != "" && !slices.Contains(once, f) {
			once = append(once, f)
		}
	}
	return once
}

package chart

import (
	"path"
	"strings"
)

// Mounts are the paths at which an agent sees volumes, and whether the volume may have
// files when it starts. Volumes that the chart always mounts are empty or irrelevant,
// and may be absent.
type Mounts map[string]bool

// MayHaveFiles reports whether there can be something in a directory when an agent starts.
func (m Mounts) MayHaveFiles(dir string) bool {
	for at := path.Clean(dir); ; at = path.Dir(at) {
		if filled, is := m[at]; is {
			return filled
		}
		if at == path.Dir(at) {
			return false
		}
	}
}

func (m Mounts) add(at string, filled bool) {
	if strings.HasPrefix(at, "/") {
		m[path.Clean(at)] = filled
	}
}

// mountsOf returns what extraVolumes and extraVolumeMounts say
// (helm/botkube/templates/deployment.yaml). A mount of a volume that is not there, as if
// another file has taken the place of extraVolumes, has nothing.
func mountsOf(merged map[string]any) Mounts {
	filled := map[string]bool{}
	for _, v := range mappings(merged["extraVolumes"]) {
		name, _ := v["name"].(string)
		_, empty := v["emptyDir"]
		filled[name] = !empty
	}
	m := Mounts{}
	for _, v := range mappings(merged["extraVolumeMounts"]) {
		name, _ := v["name"].(string)
		at, _ := v["mountPath"].(string)
		m.add(at, filled[name])
	}
	return m
}

// mappings returns those of a list.
func mappings(list any) []map[string]any {
	items, _ := list.([]any)
	var all []map[string]any
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

package chart

import (
	"path"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
)

// Mounts has the paths at which an agent sees volumes, and whether these may have files when it
// starts. Volumes that the chart always mounts may be absent.
type Mounts map[string]bool

// MayHaveFiles reports whether a directory may have files when an agent starts.
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

// mountsOf returns what a container sees. Unlisted says whether a volume that is not listed may
// have files: not in Helm values, where another file may have replaced extraVolumes.
func mountsOf(volumes, mounts []manifest.Field, unlisted bool) Mounts {
	filled := map[string]bool{}
	for _, v := range volumes {
		_, empty := v.Mapping()["emptyDir"]
		filled[v.At("name").Text()] = !empty
	}
	m := Mounts{}
	for _, v := range mounts {
		may, listed := filled[v.At("name").Text()]
		if at := v.At("mountPath").Text(); strings.HasPrefix(at, "/") {
			m[path.Clean(at)] = may || !listed && unlisted
		}
	}
	return m
}

// labelsOf returns the texts of a mapping, such as a nodeSelector.
func labelsOf(all map[string]any) map[string]string {
	texts := map[string]string{}
	for name, value := range all {
		if text, is := value.(string); is {
			texts[name] = text
		}
	}
	return texts
}

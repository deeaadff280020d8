package pluginsdir

import (
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// Placement is a file of the directory of a platform.
type Placement struct {
	Platform agent.Platform
	File     lock.File
}

// Placements returns the files of all directories for a lock, by the URL of what
// they are made of.
func Placements(l *lock.Lock) map[string][]Placement {
	files := map[string][]Placement{}
	for _, p := range l.Platforms {
		for _, f := range l.Files(p) {
			files[f.Artifact.URL] = append(files[f.Artifact.URL], Placement{p, f})
		}
	}
	return files
}

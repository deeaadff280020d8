package image

import "github.com/botkube-mirror/botkube-mirror/internal/content/lock"

// compressed is what a layer leaves of a program, about: one part of so many.
const compressed = 3

// layerSizes estimates the sizes of an image's layers of files: an archive is as
// large as a layer of what is in it, and a program is compressed.
func layerSizes(l *lock.Lock) []int64 {
	var sizes []int64
	for _, p := range l.Platforms {
		seen := map[string]bool{}
		for _, file := range l.Files(p) {
			size := file.Artifact.Size
			if file.Format == "" {
				size /= compressed
			}
			if !seen[file.Artifact.URL] {
				sizes = append(sizes, size)
			}
			seen[file.Artifact.URL] = true
		}
	}
	return sizes
}

// NeedTemporary estimates how much of an image waits in temporary files for its turn:
// as many layers in a row as are made at a time.
func NeedTemporary(l *lock.Lock) int64 {
	sizes := layerSizes(l)
	n := min(layersAtATime(), len(sizes))
	var most int64
	for i := range len(sizes) - n + 1 {
		most = max(most, sum(sizes[i:i+n]))
	}
	return most
}

func sum(sizes []int64) (total int64) {
	for _, n := range sizes {
		total += n
	}
	return total
}

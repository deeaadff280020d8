package entry

import (
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
)

// Missing sums up, in bytes, the entries that a directory lacks, as far as a look at
// sizes tells. AtLeast says that it may be more: the size of one is a guess.
func Missing(dir string, plan []Entry) (bytes int64, atLeast bool) {
	root, err := disk.OpenRoot(dir)
	if err == nil {
		defer root.Close()
	}
	for _, e := range plan {
		if err == nil {
			fi, err := disk.StatRegular(root, e.Path)
			if err == nil && (fi.Size() == e.Size || e.Guess && fi.Size() > e.Size) {
				continue
			}
		}
		bytes += e.Size
		atLeast = atLeast || e.Guess
	}
	return bytes, atLeast
}
